import { agrees, type Captures, matches, octetsOf } from './match.ts';
import { type Observed, show } from './observed.ts';
import type { Step, Transcript, What } from './parse.ts';

/** One side of a dialogue is played by the transcript; this is the other one, with everything around it. */
export interface Tested {
  /** Say something to it, over one of its connections. */
  play(peer: number, what: What, captures: Captures): void;
  /** What it did next on this connection; undefined: nothing. */
  next(peer: number): Promise<Observed | undefined>;
  /** What its user saw next. */
  seen(): string | undefined;
  /** Its user does something. */
  act(words: string): void;
  /** Let everything happen that is on its way. */
  settle(): Promise<void>;
  wait(ms: number): Promise<void>;
  /** What it did and nobody expected. */
  rest(): Promise<string[]>;
  end(): Promise<void>;
}

/** Play a transcript. Throws with file:line where the tested side does not do what stands there. */
export async function runTranscript({ steps, options, place }: Transcript, tested: Tested): Promise<void> {
  const captures: Captures = new Map();
  const played = options.peer === 'server' ? 'C' : 'S';

  async function step(each: Step): Promise<void> {
    switch (each.kind) {
      case 'act':
        await tested.settle();
        return tested.act(each.words);
      case 'wait':
        await tested.settle();
        await nothingElse(each.place);
        return tested.wait(each.ms);
      case 'see': {
        await tested.settle();
        const seen = tested.seen();
        if (seen === undefined || !matches(each.words, seen, captures)) {
          throw new Error(`wanted: U= ${each.words}\ngot:    ${seen === undefined ? 'nothing' : `U= ${seen}`}`);
        }
        return;
      }
      case 'line': {
        if (each.side === played) {
          // A close comes after all that was said before it; messages may come in one turn.
          if (!['frame', 'json', 'raw'].includes(each.what.kind)) await tested.settle();
          return tested.play(each.peer, each.what, captures);
        }
        const observed = await tested.next(each.peer);
        if (agrees(each.what, observed, captures)) return;
        const name = `${each.side}${each.peer === 1 ? '' : each.peer}`;
        const got = observed === undefined ? 'nothing' : `${name}: ${show(observed)}`;
        throw new Error(`wanted: ${each.text}\ngot:    ${got}`);
      }
    }
  }

  async function nothingElse(at: string): Promise<void> {
    const rest = await tested.rest();
    if (rest.length > 0) throw new Error(`before ${at} this came as well:\n${rest.join('\n')}`);
  }

  try {
    for (const each of steps) {
      try {
        await step(each);
      } catch (error) {
        throw new Error(`${each.place}: ${(error as Error).message}`, { cause: error });
      }
    }
    await tested.settle();
    await nothingElse(`the end of ${place}`);
  } finally {
    await tested.end();
  }
}

/** The octets of a line, for the wire. */
export function bytesOf(what: What, captures: Captures): Buffer | undefined {
  if (what.kind === 'raw') return octetsOf(what.text, captures);
  if (what.kind === 'json') return Buffer.from(JSON.stringify(what.value));
  if (what.kind !== 'frame') return undefined;
  const lines = [what.command, ...what.headers.map(({ name, value }) => `${name}:${value}`)];
  return Buffer.concat([octetsOf(`${lines.join('\n')}\n\n`, captures), octetsOf(what.body, captures), Buffer.of(0)]);
}

/** How the octets that the transcript plays are cut into pieces. */
export interface Cut {
  /** The pieces of the next octets; text that is not cut stays text. */
  pieces(bytes: Buffer): (string | Uint8Array)[];
}

export const whole: Cut = {
  pieces: (bytes) => {
    const text = bytes.toString();
    return [Buffer.from(text).equals(bytes) ? text : new Uint8Array(bytes)];
  },
};

/** Each octet comes alone. */
export const octetByOctet: Cut = { pieces: (bytes) => Array.from(bytes, (byte) => Uint8Array.of(byte)) };

/** One cut, so many octets after the beginning of all that is played. */
export function cutAt(position: number): Cut & { readonly reached: boolean } {
  let before = 0;
  return {
    get reached() {
      return before > position;
    },
    pieces(bytes) {
      const at = position - before;
      before += bytes.length;
      if (at <= 0 || at >= bytes.length) return [new Uint8Array(bytes)];
      return [new Uint8Array(bytes.subarray(0, at)), new Uint8Array(bytes.subarray(at))];
    },
  };
}
