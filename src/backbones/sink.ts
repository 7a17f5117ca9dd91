import type { BackboneSink } from '../bus/backbone.ts';
import type { Position } from '../bus/message.ts';

/** Calls what belongs to the bus: a bug there must not cost the connection to the broker. */
function guard(run: () => void): void {
  try {
    run();
  } catch (error) {
    console.error('subwire: the sink of a backbone threw:', error);
  }
}

/** Hears nothing: until a bus opens the backbone. */
export const noSink: BackboneSink = { message() {}, gap() {}, state() {}, unreadable() {} };

/** The sink of a bus, whose throws go no further. Throws a `TypeError` if `current` is one already. */
export function openedSink(current: BackboneSink, sink: BackboneSink): BackboneSink {
  if (current !== noSink) throw new TypeError('This backbone has a bus already: make one backbone for each bus');
  return {
    message: (message) => guard(() => sink.message(message)),
    gap: (name, from) => guard(() => sink.gap(name, from)),
    state: (state, error) => guard(() => sink.state(state, error)),
    unreadable: (error) => guard(() => sink.unreadable(error)),
  };
}

/** Positions come back from clients: is this one that a log can have? */
export const isPosition = ({ epoch, offset }: Position): boolean =>
  typeof epoch === 'string' && Number.isSafeInteger(offset) && offset >= 0;
