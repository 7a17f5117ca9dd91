import { isPattern, PatternIndex } from '../../src/bus/pattern.ts';
import { ProtocolError } from '../../src/core/fault.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';
import { parseMessage } from '../../src/graphql/protocol/messages.ts';
import { Decoder, type DecoderLimits } from '../../src/stomp/protocol/decoder.ts';
import { encodeFrame } from '../../src/stomp/protocol/encoder.ts';
import { escapeHeader, unescapeHeader } from '../../src/stomp/protocol/headers.ts';
import { type Version, versions } from '../../src/stomp/protocol/versions.ts';
import { createDestinations, isPrivateTopic } from '../../src/stomp/server/destinations.ts';
import { contentOf } from '../support/fake-socket.ts';
import { graphqlMessages, mutated, pieces, stompStreams } from './corpus.ts';
import type { Fuzz } from './fuzz.ts';
import { mqttFuzz } from './mqtt.ts';
import type { Random } from './random.ts';

/** Small, so that inputs of some hundred bytes meet them. */
const small: DecoderLimits = { maxHeaders: 6, maxHeaderLine: 80, maxHeaderBytes: 200, maxBody: 60 };
const large: DecoderLimits = { maxHeaders: 64, maxHeaderLine: 8_192, maxHeaderBytes: 65_536, maxBody: 1_048_576 };

/** What a stream came to, in one text: frames, then how it ended. */
function readAll(version: Version, limits: DecoderLimits, parts: Iterable<string | Uint8Array>): string {
  const decoder = new Decoder(limits);
  decoder.version = version;
  let read = '';
  try {
    for (const part of parts) {
      decoder.push(part);
      for (let frame = decoder.next(); frame; frame = decoder.next()) {
        read += `${JSON.stringify([frame.command, ...frame.headers])} ${Buffer.from(frame.body).toString('latin1')}\n`;
      }
    }
    return `${read}${decoder.partial ? 'partial' : 'whole'}`;
  } catch (error) {
    return `${read}${faultOf(error)}`;
  }
}

/** Every other error is one that the documents do not know. */
function faultOf(error: unknown): string {
  if (error instanceof ProtocolError && ['malformed', 'tooLarge', 'forbidden'].includes(error.fault))
    return error.fault;
  throw error;
}

/** Only a {@link ProtocolError}, or nothing at all. */
function attempt(run: () => void): void {
  try {
    run();
  } catch (error) {
    faultOf(error);
  }
}

function same(what: string, wanted: unknown, got: unknown): void {
  const [one, other] = [JSON.stringify(wanted), JSON.stringify(got)];
  if (one !== other) throw new Error(`${what}\nwanted: ${one}\ngot:    ${other}`);
}

const alphabet = ['a', 'b', '*', '**', '', 'aa', '***', 'ü', '$', '%', '%2A', '__proto__', '#', '>', ' '];
const segmentsOf = (random: Random, most: number): string =>
  Array.from({ length: 1 + random.below(most) }, () => random.pick(alphabet)).join(random.pick(['.', '/']));

/** The meaning of a pattern said once more, as slow as it likes to be. */
function matchesPattern(pattern: readonly string[], topic: readonly string[]): boolean {
  if (pattern.length === 1 && pattern[0] === '**') return true;
  if (pattern.length === 0 || topic.length === 0) return pattern.length === topic.length;
  return (pattern[0] === '*' || pattern[0] === topic[0]) && matchesPattern(pattern.slice(1), topic.slice(1));
}

const anyText = (random: Random, most: number): string =>
  Array.from({ length: random.below(most) }, () =>
    random.pick(['a', '\\', ':', '\n', '\r', '\\n', '\\c', 'ü', '\u{1f600}', ' ', '\t', 'content-length']),
  ).join('');

const destinations = createDestinations();
const prefixes = ['/topic/', '/queue/', '/temp-queue/', '/reply-queue/', '/user/', '/app/', '/', ''];

export const codecFuzz: readonly Fuzz[] = [
  ...mqttFuzz,
  {
    name: 'STOMP decoder: any cut gives the same frames and the same fault',
    unit: 'splits',
    short: 10_000,
    long: 1_000_000,
    once(random) {
      const version = random.pick(versions);
      const limits = random.chance(0.5) ? small : large;
      const stream = random.pick(stompStreams);
      const bytes = new Uint8Array(random.chance(0.5) ? stream : mutated(random, stream, stompStreams));
      const whole = readAll(version, limits, [bytes]);
      const cuts = 4;
      for (let cut = 0; cut < cuts; cut++) {
        const parts = pieces(random, bytes);
        const read = readAll(version, limits, parts);
        if (read !== whole) throw new Error(`${JSON.stringify(parts)}\nwhole: ${whole}\nin pieces: ${read}`);
      }
      return cuts;
    },
  },
  {
    name: 'STOMP decoder: mutations end in documented faults',
    unit: 'mutations',
    short: 60_000,
    long: 10_000_000,
    once(random) {
      const bytes = mutated(random, random.pick(stompStreams), stompStreams);
      const decoder = new Decoder(random.chance(0.3) ? small : large);
      decoder.version = random.pick(versions);
      try {
        decoder.push(bytes);
        for (let frame = decoder.next(); frame; frame = decoder.next()) void frame.text;
      } catch (error) {
        faultOf(error);
      }
      return 1;
    },
  },
  {
    name: 'STOMP encoder: what is written is read again, in pieces as well',
    unit: 'frames',
    short: 6_000,
    long: 1_000_000,
    once(random) {
      const version = random.pick(versions);
      const headers = new Map<string, string>(
        Array.from({ length: random.below(5) }, () => [`h${anyText(random, 4)}`, anyText(random, 8)] as const),
      );
      const body = random.chance(0.5) ? anyText(random, 20) : Buffer.from(anyText(random, 20));
      let bytes: Uint8Array;
      try {
        const content = contentOf(encodeFrame(version, 'SEND', headers, body));
        bytes = typeof content === 'string' ? encodeUtf8(content) : content;
      } catch (error) {
        // Headers that a version cannot carry are refused by name, never injected.
        if (!(error instanceof TypeError) || !error.message.startsWith('header ')) throw error;
        return 1;
      }
      headers.delete('content-length');
      const decoder = new Decoder(large);
      decoder.version = version;
      const read = [];
      for (const part of pieces(random, bytes)) {
        decoder.push(part);
        for (let frame = decoder.next(); frame; frame = decoder.next()) read.push(frame);
      }
      // 1.0 has padding, which is not data there.
      const written = [...headers].map(([name, value]) => [name, version === '1.0' ? trimmed(value) : value]);
      const [frame] = read;
      const got = [...(frame?.headers ?? [])].filter(([name]) => name !== 'content-length');
      same('frames', [1, false], [read.length, decoder.partial]);
      same('headers', written, got);
      same('body', Buffer.from(body).toString('hex'), Buffer.from(frame?.body ?? []).toString('hex'));
      return 1;
    },
  },
  {
    name: 'STOMP headers: what is escaped comes back, and any text can be looked at',
    unit: 'headers',
    short: 20_000,
    long: 1_000_000,
    once(random) {
      const version = random.pick(['1.1', '1.2'] as const);
      const text = anyText(random, 12);
      if (version === '1.2' || !text.includes('\r')) {
        same(version, text, unescapeHeader(version, escapeHeader(version, text)));
      }
      attempt(() => unescapeHeader(version, text));
      return 1;
    },
  },
  {
    name: 'GraphQL messages: mutations end in documented faults',
    unit: 'mutations',
    short: 25_000,
    long: 2_000_000,
    once(random) {
      const bytes = mutated(random, random.pick(graphqlMessages), graphqlMessages);
      const data = random.chance(0.5) ? bytes : bytes.toString('utf8');
      attempt(() => parseMessage(data));
      return 1;
    },
  },
  {
    name: 'STOMP destinations: no spelling reaches what is private, or another topic',
    unit: 'names',
    short: 15_000,
    long: 2_000_000,
    once(random) {
      const destination = `${random.pick(prefixes)}${segmentsOf(random, 5)}`;
      const owner = { user: random.pick(['ann', 'a/b', '*', '$', 'a%2Fb']), session: 's1' };
      attempt(() => {
        const route = destinations.toSend(destination);
        if (route.kind !== 'topic') return;
        if (route.pattern) throw new Error(`SEND to the pattern ${destination}`);
        if (destination.startsWith('/topic/')) {
          if (isPrivateTopic(route.topic)) throw new Error(`SEND to the private topic ${route.topic}`);
          same('shown', destination, destinations.shown(route.topic));
        }
      });
      attempt(() => {
        const route = destinations.toSubscribe(destination, owner);
        if (route.kind !== 'topic') return;
        const opens = destination.startsWith('/topic/');
        if (isPrivateTopic(route.topic) === opens) throw new Error(`${destination} means ${route.topic}`);
        if (!opens && isPattern(route.topic)) throw new Error(`${destination} is a pattern: ${route.topic}`);
      });
      return 1;
    },
  },
  {
    name: 'bus patterns: the tree finds what each pattern alone would',
    unit: 'lookups',
    short: 6_000,
    long: 500_000,
    once(random) {
      const index = new PatternIndex<number>();
      const known = new Map<number, string>();
      for (let step = 0; step < 12; step++) {
        if (random.chance(0.3) && known.size > 0) {
          const number = random.pick([...known.keys()]);
          same('deleted', true, index.delete(known.get(number) as string));
          known.delete(number);
        } else {
          // `**` elsewhere than at the end is no wildcard for anybody.
          const pattern = segmentsOf(random, 4).replace(/\*\*(?=[./])/g, '*');
          attempt(() => {
            // `a.*` and `a/*` are one pattern.
            const held = index.get(pattern);
            if (held !== undefined) known.delete(held);
            index.set(pattern, step);
            known.set(step, pattern);
          });
        }
        const topic = segmentsOf(random, 4);
        const split = (name: string): string[] => name.split(/[./]/);
        // A wildcard in the first segment is about no private name.
        const hidden = (pattern: string): boolean => topic.startsWith('$') && /^\*\*?([./]|$)/.test(pattern);
        const wanted = [...known].filter(
          ([, pattern]) => !hidden(pattern) && matchesPattern(split(pattern), split(topic)),
        );
        const found = [...index.match(topic)].sort((one, other) => one - other);
        same(
          `${topic} among ${JSON.stringify([...known.values()])}`,
          wanted.map(([number]) => number),
          found,
        );
      }
      for (const pattern of known.values()) index.delete(pattern);
      same('size', 0, index.size);
      return 12;
    },
  },
];

const trimmed = (value: string): string => value.replace(/^[ \t]+|[ \t]+$/g, '');
