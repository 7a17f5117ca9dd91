import { createRequire } from 'node:module';
import type { WebSocket, WebSocketServer } from 'ws';

/** What is used of the `ws` package. */
export interface Ws {
  /** The class of its sockets, and of its client. */
  readonly WebSocket: typeof WebSocket;
  /** What shakes hands. */
  readonly WebSocketServer: typeof WebSocketServer;
}

let loaded: Ws | undefined;

/**
 * The `ws` package. It is loaded where it is needed and not imported: a process that only publishes, or only speaks
 * TCP, does without it.
 *
 * Throws a `TypeError` that says what to install when it is not there, and the error of `ws` itself when it does not
 * load.
 *
 * @example
 * const { WebSocketServer } = loadWs('attach()');
 */
export function loadWs(owner: string): Ws {
  if (loaded) return loaded;
  try {
    loaded = requireWs();
  } catch (cause) {
    if ((cause as { readonly code?: string }).code !== 'MODULE_NOT_FOUND') throw cause;
    throw new TypeError(`${owner} needs the package ws, which is not installed here: npm install ws`, { cause });
  }
  return loaded;
}

/** Throws with the code `MODULE_NOT_FOUND` when the package is not installed. */
export function requireWs(): Ws {
  // A bundle in CommonJS knows no URL of this file: then the package is looked for from where the process was started.
  return createRequire(import.meta.url ?? `${process.cwd()}/`)('ws') as Ws;
}
