import { type Clock, never, type Timed } from './clock.ts';
import { isPromise } from './promise-or.ts';

/**
 * Hears an error that is no peer's fault. `count` is how often this cause came since it was last reported: 1 at first,
 * then at most once in a minute for each cause.
 */
export type OnError = (error: unknown, count: number) => void;

/** How long one cause is quiet after it was reported, in ms. */
const quiet = 60_000;
/** So many causes are told apart in a minute; what comes beside them counts as one. */
const maxCauses = 100;

interface Cause<About> {
  latest: unknown;
  about: About | undefined;
  count: number;
}

/**
 * Reports errors so that the log is not itself the flood: a cause is told at once, and then once in a minute with how
 * often it came. A cause is the place where an error was made and who
 * called there, or its text where that is not known. `about` is what it was about the last time. Never throws.
 *
 * @example
 * const report = createReports((error, count) => console.error(error, count), systemClock);
 */
export function createReports<About = undefined>(
  onError: (error: unknown, count: number, about?: About) => void,
  clock: Clock,
): (error: unknown, about?: About) => void {
  const causes = new Map<string, Cause<About>>();

  function tell(error: unknown, count: number, about: About | undefined): void {
    try {
      const outcome: unknown = onError(error, count, about);
      // [CONN-25] A logger that rejects must not end the process, and nobody else could be told.
      if (isPromise(outcome)) Promise.resolve(outcome).catch(() => {});
    } catch {
      // A logger that throws must not end the process.
    }
  }

  const minute: Timed & { deadline: number } = {
    deadline: never,
    tick(now) {
      for (const [key, cause] of causes) {
        if (cause.count === 0) causes.delete(key);
        else tell(cause.latest, cause.count, cause.about);
        cause.count = 0;
        cause.latest = cause.about = undefined;
      }
      minute.deadline = causes.size > 0 ? now + quiet : never;
    },
  };

  return (error, about) => {
    let key = causeOf(error);
    if (!causes.has(key) && causes.size >= maxCauses) key = '';
    const known = causes.get(key);
    if (known) {
      known.latest = error;
      known.about = about;
      known.count++;
      return;
    }
    causes.set(key, { latest: undefined, about: undefined, count: 0 });
    if (minute.deadline === never) {
      minute.deadline = clock.now() + quiet;
      clock.watch(minute);
    }
    tell(error, 1, about);
  };
}

/** Messages name what varies, such as a topic; the first lines of the stack do not. Never throws. */
function causeOf(error: unknown): string {
  try {
    if (!(error instanceof Error)) return String(error);
    const place = /(?:\n\s+at .+){1,5}/.exec(error.stack ?? '')?.[0] ?? '';
    return `${error.name}${place === '' ? error.message : place}`;
  } catch {
    return '';
  }
}
