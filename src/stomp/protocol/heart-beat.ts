import { never } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import { assertOption, checkNames } from '../../core/options.ts';

/** What one side offers: how often it can send, and how often it wants to receive, in ms; 0: not at all. */
export interface HeartBeat {
  readonly outgoing: number;
  readonly incoming: number;
}

/** How often its sender can send, and wants to receive, in a `heart-beat` header ([STOMP-34]). Throws a {@link ProtocolError} `malformed`. */
export function parseHeartBeat(value = '0,0'): readonly [canSend: number, wants: number] {
  const [, canSend, wants] = /^(\d{1,10}),(\d{1,10})$/.exec(value) ?? [];
  if (!wants) throw new ProtocolError('malformed', 'heart-beat must look like 10000,10000');
  return [Number(canSend), Number(wants)];
}

/**
 * A direction beats at the slower wish of the two sides, and not at all if either says 0 ([STOMP-35]). In ms; Infinity: never.
 *
 * @example
 * agreedInterval(10_000, 20_000); // 20000
 */
export const agreedInterval = (canSend: number, wants: number): number =>
  canSend > 0 && wants > 0 ? Math.max(canSend, wants) : never;

/** The option of this shape, each part of which may be left out. */
export type HeartBeatOptions = { readonly [Name in keyof HeartBeat]?: number | undefined };

const names = { outgoing: true, incoming: true } satisfies Record<keyof HeartBeat, true>;

/** 10,000 ms both, unless it says otherwise. Throws a `TypeError` that names the part of the option which is wrong. */
export function heartBeatOf(option: string, given: HeartBeatOptions = {}): HeartBeat {
  checkNames(given, names, option);
  const { outgoing = 10_000, incoming = 10_000 } = given;
  for (const [name, ms] of Object.entries({ outgoing, incoming })) {
    assertOption(Number.isInteger(ms) && ms >= 0, `${option}.${name}`, 'a whole number of ms, 0 for none', ms);
  }
  return { outgoing, incoming };
}
