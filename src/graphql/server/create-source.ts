import type { ServerRuntime } from './engine.ts';
import { PulledSource } from './pulled-source.ts';
import { type PushedReader, PushedSource } from './pushed-source.ts';
import { isPushed, type Source } from './source.ts';

/** How an iterable is read: one that pushes is pushed, any other is pulled. */
export function createSource(
  reader: PushedReader,
  opened: AsyncIterable<unknown>,
  { options, limits }: Pick<ServerRuntime, 'options' | 'limits'>,
): Source {
  const { slowSubscriber = 'disconnect' } = options;
  return isPushed(opened)
    ? new PushedSource(reader, opened, slowSubscriber, limits.maxBacklog)
    : new PulledSource(reader, opened, slowSubscriber, limits.maxBacklog);
}
