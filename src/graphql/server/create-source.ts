import { confirm, type Opened } from './confirm-live.ts';
import type { ServerRuntime } from './engine.ts';
import { PulledSource } from './pulled-source.ts';
import { type PushedReader, PushedSource } from './pushed-source.ts';
import { type PlacedOperation, Places } from './resume.ts';
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

/** An operation whose source is about to be read. */
interface Reading extends Opened, PlacedOperation {
  places: Places | undefined;
  readonly host: { readonly session: { marks(): void } };
}

/** Begin to read: at once, or from where the client was, if it wants to know where it is. */
export function startSource(operation: Reading, opened: AsyncIterable<unknown>, source: Source): void {
  confirm(operation, opened);
  const places = Places.of(operation, source);
  operation.places = places;
  if (!places) return source.start();
  places.begin(opened, () => source.start());
  operation.host.session.marks();
}
