import { systemClock } from '../core/clock.ts';
import type { Transport } from '../core/socket.ts';
import {
  onWake,
  textWebSocket as textWebSocketOver,
  type WebSocketConstructor,
  webSocket as webSocketOver,
} from './browser.ts';
import { requireWs } from './load-ws.ts';

export { onWake, systemClock as clock };

const inNode =
  (over: (constructor?: unknown) => Transport) =>
  (constructor?: unknown): Transport => {
    const given = constructor ? over(constructor) : undefined;
    return (url, protocols, attempt) => (given ?? over(installed()))(url, protocols, attempt);
  };

/**
 * The client transport in Node: over the installed `ws`, else over Node's own WebSocket (Node 22 has one).
 *
 * Throws a `TypeError` when it is used and there is neither.
 */
export const webSocket = inNode(webSocketOver);

/** The same for protocols whose messages are text, each a head without a tail. */
export const textWebSocket = inNode(textWebSocketOver);

let found: WebSocketConstructor | undefined;

function installed(): WebSocketConstructor {
  try {
    found ??= requireWs().WebSocket as unknown as WebSocketConstructor;
  } catch {
    found = globalThis.WebSocket as WebSocketConstructor | undefined;
    if (!found) throw new TypeError('There is no WebSocket in this Node. Install one: npm install ws');
  }
  return found;
}
