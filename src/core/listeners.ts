type Listener = (...details: never[]) => void;
type Named<Events> = { readonly [Event in keyof Events]: Listener };

/** Many listeners for each of several events. */
export interface Listeners<Events extends Named<Events>> {
  /** Returns how to stop. The same function may listen several times. */
  on<Event extends keyof Events>(event: Event, listener: Events[Event]): () => void;
  /** Call them in order; one that throws, or is async and rejects, harms only itself. False: nobody listens. */
  emit<Event extends keyof Events>(event: Event, ...details: Parameters<Events[Event]>): boolean;
  /** Call what belongs to the application: what it throws, or rejects with, is reported and goes no further. */
  guard(run: () => unknown): void;
  /** What a function of the application returned: if it is a promise that rejects, that is reported. */
  watch(outcome: unknown): void;
  /** Hand an error to the application. Never throws: a logger that does must not cost the connection. */
  report(error: unknown): void;
}

/**
 * Listeners by event; who is added during an event hears the next one. `first` are there before all others. What listeners of
 * `strict` events throw goes on to whoever tells of the event.
 *
 * @example
 * const { on, emit } = createListeners<{ closed: (code: number) => void }>(console.error);
 */
export function createListeners<Events extends Named<Events>>(
  onError: (error: unknown) => void,
  first: { readonly [Event in keyof Events]?: Events[Event] | undefined } = {},
  strict: readonly (keyof Events)[] = [],
): Listeners<Events> {
  // Replaced, never changed: an event goes through those that there were when it began.
  let listeners: readonly (readonly [event: unknown, listener: Listener | undefined])[] = Object.entries(first);

  function report(error: unknown): void {
    try {
      onError(error);
    } catch {}
  }

  function watch(outcome: unknown): void {
    // A function that returns nothing may be asynchronous all the same.
    const promised = outcome as Partial<PromiseLike<unknown>> | null | undefined;
    if (typeof promised?.then === 'function') promised.then(undefined, report);
  }

  function guard(run: () => unknown): void {
    try {
      watch(run());
    } catch (error) {
      report(error);
    }
  }

  return {
    report,
    guard,
    watch,
    on(event, listener) {
      const own = [event, listener] as const;
      listeners = [...listeners, own];
      return () => {
        listeners = listeners.filter((each) => each !== own);
      };
    },
    emit(event, ...details) {
      let heard = false;
      for (const [name, listener] of listeners) {
        if (name !== event) continue;
        heard = true;
        if (strict.includes(event)) watch(listener?.(...(details as never[])));
        else guard(() => listener?.(...(details as never[])));
      }
      return heard;
    },
  };
}
