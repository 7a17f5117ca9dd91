import { checkNames, inWords } from '../../core/options.ts';
import { randomId } from '../../core/random.ts';
import type { PublishParameters, ReceivedMessage, StompClient, StompSubscription } from './client.ts';
import { StompError } from './errors.ts';
import { headersOf, type SendBody } from './outgoing.ts';

/** Options of {@link createRpc}. */
export interface RpcOptions {
  /**
   * Where replies come.
   * @defaultValue a `/temp-queue/…` of this client
   */
  readonly replyTo?: string | undefined;
  /**
   * Subscribe to it?
   * @defaultValue yes, unless RabbitMQ is the server and it is a `/temp-queue/…`: it subscribes by itself, and refuses ours
   */
  readonly subscribe?: boolean | undefined;
  /**
   * How long a reply may take, in ms.
   * @defaultValue 30,000
   */
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
  /** It was handed to the client: the loss of a connection may have lost it. */
  published: boolean;
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
  checkNames(options, { replyTo: true, subscribe: true, timeout: true }, 'createRpc()');
  const { replyTo = `/temp-queue/${randomId()}`, timeout = 30_000 } = options;
  if (!(timeout > 0)) throw new TypeError(`timeout must be a number of ms above 0; got ${inWords(timeout)}`);
  const waiting = new Map<string, Waiting>();
  // Every rpc of a client hears the messages of no subscription: ids of two must not meet.
  const own = randomId();
  let count = 0;
  let subscription: StompSubscription | undefined;
  let refused: unknown;

  const receive = (message: ReceivedMessage): void =>
    waiting.get(message.headers.get('correlation-id') ?? '')?.resolve(message);
  function rejectAll(error: unknown, unpublished = true): void {
    for (const each of [...waiting.values()]) if (each.published || unpublished) each.reject(error);
  }

  function listen(): void {
    subscription = client.subscribe(replyTo, receive);
    subscription.active.catch((error: unknown) => {
      if (error instanceof StompError && options.subscribe) refused = error;
    });
  }
  const listensByItself = (server = ''): boolean => server.startsWith('RabbitMQ') && replyTo.startsWith('/temp-queue/');

  let disposed = false;
  // Whether to subscribe depends on the server; what goes wrong on the way to it is told to the requests by `closed`.
  let listening: Promise<void> | undefined;
  function decide(): void {
    listening = undefined;
    if (!disposed && !listensByItself(client.state.getSnapshot().server)) listen();
  }
  if (options.subscribe) listen();
  else if (options.subscribe === undefined) {
    if (client.state.getSnapshot().status === 'connected') decide();
    else listening = client.connect().then(decide, () => {});
  }
  const stops = [
    client.on('closed', (error, willRetry) => rejectAll(error, !willRetry)),
    client.on('unhandled', receive),
  ];

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
          published: false,
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
        if (given?.aborted) return abort();
        async function publish(): Promise<void> {
          if (listening) await listening;
          if (!waiting.has(id)) return;
          if (refused) throw new Error(`The server refused the subscription to ${replyTo}`, { cause: refused });
          settle.published = true;
          await client.publish({
            ...parameters,
            signal: unwanted.signal,
            headers: [['reply-to', replyTo], ['correlation-id', id], ...headersOf(headers)],
          });
        }
        publish().catch(settle.reject);
      });
    },
    dispose() {
      disposed = true;
      subscription?.unsubscribe();
      for (const stop of stops) stop();
      rejectAll(new Error('The rpc was disposed'));
    },
  };
}

/** What a request is answered with. */
export type RpcReply = SendBody | Pick<PublishParameters, 'body' | 'headers'>;

/**
 * Answer the requests that come to a destination. What the handler throws goes to `onError` (else `console.error`),
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
        // What is no reply is refused as a body by `publish`, with words.
        const whole = Object(reply) === reply && ('body' in (reply as object) || 'headers' in (reply as object));
        const { body, headers = [] } = (whole ? reply : { body: reply ?? null }) as Pick<
          PublishParameters,
          'body' | 'headers'
        >;
        const own = correlation === undefined ? [] : [['correlation-id', correlation] as const];
        return client.publish({ destination: replyTo, body, headers: [...own, ...headersOf(headers)] });
      })
      .catch(onError);
  });
  return () => subscription.unsubscribe();
}
