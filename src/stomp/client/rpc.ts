import { randomId } from '../../core/random.ts';
import { joined } from '../protocol/headers.ts';
import type { PublishParameters, ReceivedMessage, StompClient } from './client.ts';

export interface RpcOptions {
  /** Where replies come. Default: a `/temp-queue/…` of this client. */
  readonly replyTo?: string | undefined;
  /** Subscribe to it? Default true. RabbitMQ does it by itself for `/temp-queue/…` and wants `false`. */
  readonly subscribe?: boolean | undefined;
  /** How long a reply may take, in ms. Default 30,000. */
  readonly timeout?: number | undefined;
}

/** Requests over one reply destination; see {@link createRpc}. */
export interface Rpc {
  /**
   * Send a request and wait for the reply with its correlation-id. Rejects as `publish` does, when the connection is
   * lost, and with a `TimeoutError`.
   *
   * @example
   * const reply = await rpc.request({ destination: '/queue/time', body: 'UTC' });
   */
  request(parameters: PublishParameters): Promise<ReceivedMessage>;
  /** Stop listening for replies; what waits for one is rejected. */
  dispose(): void;
}

/** The longest that a timer waits, in ms. */
const longest = 0x7fffffff;

interface Waiting {
  resolve(message: ReceivedMessage): void;
  reject(error: unknown): void;
}

/**
 * Requests and replies over the headers `reply-to` and `correlation-id`. Throws a `TypeError` that names a wrong option.
 *
 * @example
 * const rpc = createRpc(client);
 * const reply = await rpc.request({ destination: '/queue/time', body: 'UTC' });
 */
export function createRpc(client: StompClient, options: RpcOptions = {}): Rpc {
  const { replyTo = `/temp-queue/${randomId()}`, subscribe = true, timeout = 30_000 } = options;
  if (!(timeout > 0)) throw new TypeError(`timeout must be a number of ms above 0; got ${String(timeout)}`);
  const waiting = new Map<string, Waiting>();
  const receive = (message: ReceivedMessage): void =>
    waiting.get(message.headers.get('correlation-id') ?? '')?.resolve(message);
  const rejectAll = (error: unknown): void => {
    for (const each of [...waiting.values()]) each.reject(error);
  };
  const subscription = subscribe ? client.subscribe(replyTo, receive) : undefined;
  const stops = [client.on('closed', rejectAll), client.on('unhandled', receive)];
  // Every rpc of a client hears the messages of no subscription: ids of two must not meet.
  const own = randomId();
  let count = 0;

  return {
    request(parameters) {
      const { signal: given, headers = [] } = parameters;
      const limit = AbortSignal.timeout(Math.ceil(Math.min(timeout, longest)));
      const signals = given ? [given, limit] : [limit];
      // What was rejected must not be sent later.
      const unwanted = new AbortController();
      const id = `${own}-${count++}`;
      return new Promise<ReceivedMessage>((resolve, reject) => {
        const end = (): void => {
          waiting.delete(id);
          for (const signal of signals) signal.removeEventListener('abort', abort);
        };
        const settle: Waiting = {
          resolve(message) {
            end();
            resolve(message);
          },
          reject(error) {
            end();
            reject(error);
            unwanted.abort(error);
          },
        };
        const abort = (): void => settle.reject(signals.find(({ aborted }) => aborted)?.reason);
        for (const signal of signals) signal.addEventListener('abort', abort);
        waiting.set(id, settle);
        if (given?.aborted) abort();
        client
          .publish({
            ...parameters,
            signal: unwanted.signal,
            headers: joined({ 'reply-to': replyTo, 'correlation-id': id }, headers),
          })
          .catch(settle.reject);
      });
    },
    dispose() {
      subscription?.unsubscribe();
      for (const stop of stops) stop();
      rejectAll(new Error('The rpc was disposed'));
    },
  };
}

/** What a request is answered with. */
export type RpcReply = string | Uint8Array | Pick<PublishParameters, 'body' | 'headers'>;

/**
 * Answer the requests that come to a destination. What the handler throws goes to `onError` (default `console.error`),
 * and the request stays without a reply. Returns how to stop.
 *
 * @example
 * const stop = serveRpc(client, '/queue/time', () => new Date().toISOString());
 */
export function serveRpc(
  client: StompClient,
  destination: string,
  handler: (request: ReceivedMessage) => RpcReply | Promise<RpcReply>,
  onError: (error: unknown) => void = console.error,
): () => void {
  const subscription = client.subscribe(destination, (request) => {
    const replyTo = request.headers.get('reply-to');
    const correlation = request.headers.get('correlation-id');
    if (replyTo === undefined) return;
    new Promise<RpcReply>((resolve) => resolve(handler(request)))
      .then((reply) => {
        const { body, headers = [] } =
          typeof reply === 'string' || reply instanceof Uint8Array ? { body: reply } : reply;
        return client.publish({
          destination: replyTo,
          body,
          headers: joined(correlation === undefined ? [] : { 'correlation-id': correlation }, headers),
        });
      })
      .catch(onError);
  });
  return () => subscription.unsubscribe();
}
