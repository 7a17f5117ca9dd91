import { never } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import { assertOption, checkNames } from '../../core/options.ts';

/**
 * How punctual each side is. `early`: beat after this part of the agreed interval, since "at least every n ms" leaves no
 * room for a late timer ([STOMP-36]). `tolerance`: the peer is gone after so many intervals without an octet
 * ([STOMP-37]). Clients wait a tenth longer: ActiveMQ looks once in each interval whether it has sent something in it, so
 * that its beat may come just after two.
 */
export const beatFactors = {
  /** Of a server towards its clients. */
  server: { early: 0.9, tolerance: 2 },
  /** Of a client towards its server. */
  client: { early: 0.8, tolerance: 2.1 },
} as const;

/** What one side offers: how often it can send, and how often it wants to receive, in ms; 0: not at all. */
export interface HeartBeat {
  /** How often this side can send, in ms; 0: not at all. */
  readonly outgoing: number;
  /** How often this side wants to receive, in ms; 0: not at all. */
  readonly incoming: number;
}

/**
 * How often its sender can send, and wants to receive, in a `heart-beat` header ([STOMP-34]). Blanks around the numbers
 * are passed over, as they are in `accept-version`: mobile clients send them. Throws a {@link ProtocolError} `malformed`.
 */
export function parseHeartBeat(value = '0,0'): readonly [canSend: number, wants: number] {
  const [, canSend, wants] = /^[ \t]*(\d{1,10})[ \t]*,[ \t]*(\d{1,10})[ \t]*$/.exec(value) ?? [];
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
