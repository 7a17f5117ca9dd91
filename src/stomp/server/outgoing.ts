import type { Route } from './destinations.ts';

/** A message on its way to a destination, checked and ready to be kept. */
export interface Outgoing {
  /** As its sender wrote it. */
  readonly destination: string;
  /** What that means. */
  readonly route: Route;
  /** The octets of the body, which nobody changes. */
  readonly body: Uint8Array;
  /** Its MIME type; undefined: bytes of unknown kind ([STOMP-13]). */
  readonly contentType: string | undefined;
  /** Headers of the application; undefined: there are none. */
  readonly headers: ReadonlyMap<string, string> | undefined;
}
