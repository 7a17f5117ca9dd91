import type { LiveEntry } from './linked-log.ts';

/** `offset link epoch envelope`, separated by one space each. Undefined: somebody else wrote it. */
export function readLive(topic: string, message: Buffer): LiveEntry | undefined {
  const first = message.indexOf(32);
  const second = message.indexOf(32, first + 1);
  const third = message.indexOf(32, second + 1);
  if (first < 1 || second < 0 || third < 0 || third > 64) return undefined;
  const offset = Number(message.toString('latin1', 0, first));
  const link = Number(message.toString('latin1', first + 1, second));
  const epoch = message.toString('latin1', second + 1, third);
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(link) || offset <= 0) return undefined;
  return { topic, offset, link, epoch, envelope: message.subarray(third + 1) };
}

/**
 * The pattern of Redis that reaches at least what a pattern of the bus does. Its `*` covers separators too, so that
 * the messages are looked at again; both separators are one; and a last `**` stands for nothing as well.
 */
export function globOf(pattern: string): string {
  const segments = pattern.split(/[./]/);
  const rest = segments.at(-1) === '**';
  if (rest) segments.pop();
  const glob = segments
    .map((segment) => (segment === '*' ? '*' : segment.replace(/[*?[\]\\^-]/g, '\\$&')))
    .join('[./]');
  return rest ? `${glob}*` : glob;
}
