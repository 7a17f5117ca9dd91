import { filesBelow, readText } from '../support/project-files.ts';
import { type Captures, octetsOf } from '../support/transcripts/match.ts';
import { parseTranscripts } from '../support/transcripts/parse.ts';
import { bytesOf } from '../support/transcripts/run.ts';
import type { Random } from './random.ts';

/** What a transcript captures is only known when it is played: here all of it is this. */
const anything: Captures = new (class extends Map<string, string> {
  override get(): string {
    return '1-a-1';
  }
})();

/** What each side of each transcript says, one dialogue after the other, as it goes over the wire. */
function saidIn(directory: string): Buffer[] {
  const said: Buffer[] = [];
  for (const file of filesBelow(directory, '.wire')) {
    for (const { steps } of parseTranscripts(file, readText(file))) {
      for (const side of ['C', 'S']) {
        const parts = steps.flatMap((step) => {
          if (step.kind !== 'line' || step.side !== side) return [];
          return bytesOf(step.what, anything) ?? [];
        });
        if (parts.length > 0) said.push(Buffer.concat(parts));
      }
    }
  }
  return said;
}

/** Single messages of the transcripts of GraphQL. */
function messagesIn(directory: string): Buffer[] {
  return filesBelow(directory, '.wire').flatMap((file) =>
    parseTranscripts(file, readText(file)).flatMap(({ steps }) =>
      steps.flatMap((step) => (step.kind === 'line' ? (bytesOf(step.what, anything) ?? []) : [])),
    ),
  );
}

/** Streams of STOMP frames: what the transcripts say, and frames with whatever is easily read wrong. */
export const stompStreams: readonly Buffer[] = [
  ...saidIn('test/transcripts/stomp'),
  ...[
    'SEND<LF>a\\cb:c\\\\d\\ne<LF>destination:/queue/a<LF>content-length:5<LF><LF>a<NUL>b<NUL>c<NUL>',
    'SEND<CR><LF>destination:/queue/ä<CR><LF>content-length:0<CR><LF><CR><LF><NUL><LF><CR><LF><LF>',
    'MESSAGE<LF>content-length:3<LF>content-length:9<LF>x: y <LF><LF>€<NUL>ACK<LF>id:1-x<LF><LF><NUL>',
    'CONNECT<LF>accept-version:1.0,1.1,1.2<LF>host:a<LF>login: b <LF><LF><NUL><LF><LF><LF>SEND<LF><LF>body<NUL>',
    'SEND<LF>destination:/topic/a<LF>content-type:text/plain<LF><LF>\u{1f600} and more<NUL>',
  ].map((text) => octetsOf(text, anything)),
];

/** Messages of graphql-transport-ws. */
export const graphqlMessages: readonly Buffer[] = messagesIn('test/transcripts/graphql');

/** Octets that mean something to a parser. */
const telling = Buffer.from('\0\n\r:\\ctnr{}[]",0123456789-*./#>%$\x7f\xc3\xff', 'latin1');

const scratch = Buffer.alloc(65_536);

/**
 * A copy with a few small changes: octets changed, taken out, put in, said twice, or taken from elsewhere. What it
 * returns holds until it is called again: millions are made.
 */
export function mutated(random: Random, original: Uint8Array, others: readonly Uint8Array[]): Buffer {
  let length = original.length;
  scratch.set(original);
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(length + 1);
    const some = 1 + random.below(random.chance(0.2) ? 64 : 4);
    const octet = random.chance(0.2) ? random.below(256) : (telling[random.below(telling.length)] as number);
    switch (random.below(5)) {
      case 0:
      case 1:
        if (at < length) scratch[at] = octet;
        break;
      case 2:
        scratch.copyWithin(at, Math.min(at + some, length), length);
        length -= Math.min(some, length - at);
        break;
      case 3:
        scratch.copyWithin(at + 1, at, length++);
        scratch[at] = octet;
        break;
      default: {
        // Said twice, or taken from elsewhere.
        const other = random.chance(0.5) ? original : random.pick(others);
        const from = random.below(other.length);
        const part = other.subarray(from, from + some);
        scratch.copyWithin(at + part.length, at, length);
        scratch.set(part, at);
        length += part.length;
      }
    }
  }
  return scratch.subarray(0, length);
}

/** The same octets in pieces; those that are ASCII may come as text. */
export function pieces(random: Random, bytes: Uint8Array): (string | Uint8Array)[] {
  const cuts = Array.from({ length: random.below(6) }, () => random.below(bytes.length + 1)).sort((a, b) => a - b);
  return [...cuts, bytes.length].map((end, index) => {
    const piece = bytes.slice(index === 0 ? 0 : cuts[index - 1], end);
    const isAscii = random.chance(0.5) && piece.every((octet) => octet < 128);
    return isAscii ? Buffer.from(piece).toString('latin1') : piece;
  });
}
