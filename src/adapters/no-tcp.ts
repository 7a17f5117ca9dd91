import type { Transport } from '../core/socket.ts';

/**
 * Stands in for the transport over TCP where there is none, as in browsers: whoever imports the codec of STOMP from
 * `subwire/stomp` need not be on a server.
 *
 * Always throws a `TypeError` that says where there is TCP.
 */
export function tcp(_options: object): Transport {
  throw new TypeError('tcp() needs Node, Bun or Deno: there is no TCP in browsers, workers and React Native');
}
