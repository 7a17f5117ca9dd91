type Listener = (...details: never[]) => void;
type Named<Events> = { readonly [Event in keyof Events]: Listener };

/** Many listeners for each of several events. */
export interface Listeners<Events extends Named<Events>> {
  /** Returns how to stop. The same function may listen several times. */
  on<Event extends keyof Events>(event: Event, listener: Events[Event]): () => void;
  /** Call them in order; one that throws harms only itself. False: nobody listens. */
  emit<Event extends keyof Events>(event: Event, ...details: Parameters<Events[Event]>): boolean;
  /** Call what belongs to the application: what it throws is reported and goes no further. */
  guard(run: () => void): void;
  /** Hand an error to the application. Never throws: a logger that does must not cost the connection. */
  report(error: unknown): void;
}

/**
 * Listeners by event; who is added during an event hears the next one.
 *
 * @example
 * const { on, emit } = createListeners<{ closed: (code: number) => void }>(console.error);
 */
export function createListeners<Events extends Named<Events>>(onError: (error: unknown) => void): Listeners<Events> {
  const listeners: { [Event in keyof Events]?: readonly Listener[] } = {};

  function report(error: unknown): void {
    try {
      onError(error);
    } catch {}
  }

  function guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      report(error);
    }
  }

  return {
    report,
    guard,
    on(event, listener) {
      const own: Listener = (...details) => guard(() => listener(...details));
      listeners[event] = [...(listeners[event] ?? []), own];
      return () => {
        listeners[event] = listeners[event]?.filter((each) => each !== own) ?? [];
      };
    },
    emit(event, ...details) {
      const heard = listeners[event] ?? [];
      for (const listener of heard) listener(...(details as never[]));
      return heard.length > 0;
    },
  };
}
