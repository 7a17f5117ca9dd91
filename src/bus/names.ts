import { inWords } from '../core/options.ts';
import { isPattern, maxPatternSegments } from './pattern.ts';

/** A name may have this many segments ([BUS-4]). */
export const maxSegments = maxPatternSegments;

/** A name may have this many characters, in UTF-16 units ([BUS-4]). */
export const maxNameLength = 1_024;

const dot = 0x2e;
const slash = 0x2f;
const star = 0x2a;

/** Names that were good lately: most calls are about a name that was looked at before. */
let lastGoodName: string | undefined;
let lastGoodTopic: string | undefined;

/**
 * What is wrong with the name of a topic or pattern, as the end of a sentence that begins with the name; undefined:
 * nothing.
 *
 * @example
 * problemOfName('prices'); // undefined
 * problemOfName(''); // 'must not be empty'
 */
export function problemOfName(name: unknown): string | undefined {
  if (name === lastGoodName) return undefined;
  if (typeof name !== 'string') return `must be text; got ${kindOf(name)}`;
  if (name === '') return 'must not be empty';
  if (name.length > maxNameLength) return `is longer than ${maxNameLength} characters`;
  let segments = 1;
  let hasStar = false;
  for (let index = 0; index < name.length; index++) {
    const unit = name.charCodeAt(index);
    if (unit === dot || unit === slash) segments++;
    else if (unit === star) hasStar = true;
    else if (unit < 0x20 || unit === 0x7f) return 'must not have control characters';
  }
  if (segments > maxSegments) return `has more than ${maxSegments} segments`;
  if (hasStar && /(^|[./])\*\*[./]/.test(name))
    return 'has ** before its end: ** stands for the rest, so it comes last';
  lastGoodName = name;
  return undefined;
}

/** As {@link problemOfName}, for the name of one topic, which is no pattern. */
export function problemOfTopic(name: unknown): string | undefined {
  if (name === lastGoodTopic) return undefined;
  const problem = problemOfName(name);
  if (problem !== undefined) return problem;
  if (isPattern(name as string)) return 'must not be a pattern; leave * and ** out';
  lastGoodTopic = name as string;
  return undefined;
}

/** What a value is, for messages: `an object`, `undefined`, `the number 5`. */
export const kindOf = (value: unknown): string =>
  value === null || ['undefined', 'object', 'function'].includes(typeof value)
    ? inWords(value)
    : `the ${typeof value} ${String(value)}`;
