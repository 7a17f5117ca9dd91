import { checkNames, must } from '../../core/options.ts';
import type { HeartBeat } from './versions.ts';

/** The option of this shape, each part of which may be left out. */
export type HeartBeatOptions = { readonly [Name in keyof HeartBeat]?: number | undefined };

const names = { outgoing: true, incoming: true } satisfies Record<keyof HeartBeat, true>;

/** 10,000 ms both, unless it says otherwise. Throws a `TypeError` that names the part of the option which is wrong. */
export function heartBeatOf(option: string, given: HeartBeatOptions = {}): HeartBeat {
  checkNames(given, names, option);
  const { outgoing = 10_000, incoming = 10_000 } = given;
  for (const [name, ms] of Object.entries({ outgoing, incoming })) {
    must(Number.isInteger(ms) && ms >= 0, `${option}.${name}`, 'a whole number of ms, 0 for none', ms);
  }
  return { outgoing, incoming };
}
