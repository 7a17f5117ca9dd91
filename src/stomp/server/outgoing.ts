import type { Route } from './destinations.ts';

/** A message on its way to a destination, checked and ready to be kept. */
export interface Outgoing {
  /** As its sender wrote it. */
  readonly destination: string;
  /** What that means. */
  readonly route: Route;
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
  /** Headers of the application; undefined: there are none. */
  readonly headers: ReadonlyMap<string, string> | undefined;
}
