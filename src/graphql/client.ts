import { clock as hostClock } from '#socket';
import { connect } from '../adapters/connect.ts';
import { createSubscription } from '../bus/subscription.ts';
import { never } from '../core/clock.ts';
import { closeReason, type ProtocolError } from '../core/fault.ts';
import { createListeners } from '../core/listeners.ts';
import { mustBeNumbers } from '../core/options.ts';
import { graphqlClientFaults } from './client-faults.ts';
import {
  type ClientOperation,
  type ClientSession,
  type ClientSessionHost,
  openClientSession,
} from './client-session.ts';
import type { Client, ClientEvents, ClientOptions, ClientSocket, ClientState, OperationSink } from './client-types.ts';
import { ConnectionClosed, isFinal } from './closed.ts';
import { encodeHead, encodePayload, GRAPHQL_TRANSPORT_WS_PROTOCOL, type SubscribePayload } from './codec.ts';

export type * from './client-types.ts';
export { ConnectionClosed } from './closed.ts';
export type { FormattedError, FormattedExecutionResult, Message, SubscribePayload } from './codec.ts';

const randomId = (): string => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(9))));

/**
 * A client of graphql-transport-ws, in the shape of graphql-ws's: Apollo's `GraphQLWsLink`, urql and Relay take it.
 * It reconnects with full-jitter back-off until a close code is final, and sends again what runs.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const client = createClient({ url: 'wss://host/graphql', connectionParams: async () => ({ token: await token() }) });
 */
export function createClient(options: ClientOptions): Client {
  const { connectionParams, lazy = true, lazyCloseTimeout = 0, retryAttempts = never } = options;
  const { retryWait, shouldRetry = (problem: unknown) => problem instanceof ConnectionClosed } = options;
  const { onNonLazyError = console.error, onError = console.error, generateID = randomId } = options;
  const { clock = hostClock } = options;
  mustBeNumbers(options, ['lazyCloseTimeout', 'keepAlive', 'connectionAckWaitTimeout', 'retryAttempts'], 0);

  const operations = new Map<string, ClientOperation>();
  /** Sessions that were stopped on purpose: their socket closes later. */
  const stopping = new Set<ClientSession>();
  let session: ClientSession | undefined;
  let socket: ClientSocket | undefined;
  let retries = 0;
  let retrying = false;
  let disposed = false;
  // How the last connection ended: the fault, what was behind it, the event, and what those get whose operation fails.
  let failure: ProtocolError | undefined;
  let cause: unknown;
  let closed: ConnectionClosed;
  let problem: unknown;
  let snapshot: ClientState = { status: 'idle', attempt: 0, subprotocol: undefined, latency: undefined };

  const { guard, report, on, emit } = createListeners<ClientEvents & { state: () => void }>(onError);

  function update(latency?: number): void {
    const { state: status, attempt } = dial;
    const subprotocol = status === 'connected' ? GRAPHQL_TRANSPORT_WS_PROTOCOL : undefined;
    snapshot = { status, attempt, subprotocol, latency };
    emit('state');
  }

  const host: ClientSessionHost = {
    operations,
    options,
    emit,
    connected(payload) {
      const wasRetry = retrying;
      retrying = false;
      retries = 0;
      dial.connected();
      emit('connected', socket as ClientSocket, payload, wasRetry);
    },
    latency: update,
    failed(error) {
      failure = error;
      if (error.fault === 'malformed') fault(error);
    },
    ended(own, code, reason) {
      if (stopping.delete(own)) emit('closed', new ConnectionClosed(code, reason));
    },
  };

  /** Something is wrong that a close code alone does not explain. */
  function fault(error: unknown): void {
    cause = error;
    emit('error', error);
  }

  const dial = connect(options.url, {
    ...options,
    onError: report,
    protocols: [
      {
        names: [GRAPHQL_TRANSPORT_WS_PROTOCOL],
        faults: graphqlClientFaults,
        open(connection) {
          const own = openClientSession(connection, host);
          const facade = {
            protocol: connection.name,
            get readyState() {
              return connection.closing ? 2 : 1;
            },
            send: (data: string) => connection.send({ head: data, binary: false }),
            close: (code?: number, reason?: string) => connection.finish(code, reason),
          };
          session = own;
          socket = facade;
          connection.resume(
            Promise.resolve()
              .then(() => {
                emit('opened', facade);
                return typeof connectionParams === 'function' ? connectionParams() : connectionParams;
              })
              .then((params) => own.start(params, connection.now)),
            () => {},
            (error) => {
              fault(error);
              connection.close('internal', error instanceof Error ? error.message : String(error));
            },
          );
          return own;
        },
      },
    ],

    retry(end) {
      // What we closed for counts, whether or not the peer answered.
      closed = new ConnectionClosed(
        (end.fault && graphqlClientFaults[end.fault]) ?? end.code,
        end.fault && failure ? closeReason(failure.message) : end.reason,
        end.error ?? cause,
      );
      // What our own hook threw says more than that we closed because of it; and `shouldRetry` may know better.
      problem = closed.code === 4005 && closed.cause ? closed.cause : closed;
      if (lazy && operations.size === 0) return false;
      // [GQL-73] The server was done, we are not.
      if (closed.code === 1000 && end.wasConnected) return 0;
      let again = false;
      if (!(problem === closed && isFinal(closed.code)) && retries < retryAttempts) {
        guard(() => {
          again = shouldRetry(problem);
        });
      }
      if (!again) return false;
      retrying = true;
      const attempt = retries++;
      if (!retryWait) return true;
      const loss = closed;
      new Promise<void>((resolve) => resolve(retryWait(attempt))).then(
        () => {
          if (closed === loss && dial.state === 'waiting') dial.start();
        },
        (error) => {
          if (closed !== loss || dial.state !== 'waiting') return;
          stop();
          fail(error);
        },
      );
      return never;
    },

    changed(state, end) {
      if (state === 'connecting') failure = cause = undefined;
      if (end) session = socket = undefined;
      update();
      if (state === 'connecting') emit('connecting', retrying);
      if (!end) return;
      const running = state === 'idle' ? takeAll() : [];
      if (end.error !== undefined) emit('error', end.error);
      emit('closed', closed);
      if (state === 'idle') fail(problem, running);
    },
  });

  /** Everything that runs; from now on nothing does. */
  function takeAll(): ClientOperation[] {
    const running = [...operations.values()];
    operations.clear();
    return running;
  }

  function fail(error: unknown, running = takeAll()): void {
    retrying = false;
    retries = 0;
    for (const operation of running) operation.error(error);
    if (!lazy) guard(() => onNonLazyError(error));
  }

  function stop(): void {
    if (session) stopping.add(session);
    session = socket = undefined;
    retrying = false;
    retries = 0;
    dial.stop(1000, 'Normal Closure');
  }

  const lazyClose = {
    deadline: never,
    tick() {
      lazyClose.deadline = never;
      stop();
    },
  };

  function settle(): void {
    if (!lazy || operations.size > 0) return;
    if (lazyCloseTimeout === 0 || dial.state === 'waiting') return stop();
    lazyClose.deadline = clock.now() + lazyCloseTimeout;
    clock.watch(lazyClose);
  }

  function subscribe<Result>(payload: SubscribePayload, sink: OperationSink<Result>): () => void {
    const id = generateID(payload);
    let head: string;
    try {
      if (disposed) throw new Error('The client is disposed: create another one');
      if (!id || typeof payload.query !== 'string') throw new TypeError('An operation needs an id and a query');
      if (operations.has(id)) throw new Error(`An operation with the id "${id}" is running already`);
      head = `${encodeHead(id, 'subscribe')}${encodePayload(sink.onLive ? confirmed(payload) : payload, options.jsonMessageReplacer)}}`;
    } catch (error) {
      guard(() => sink.error(error));
      return () => {};
    }

    function end(tell: () => void): void {
      if (operations.get(id) === operation) operations.delete(id);
      guard(tell);
      // Whoever goes on to the next operation in this turn finds the connection open.
      Promise.resolve().then(settle);
    }
    const operation: ClientOperation = {
      id,
      wire: { head, binary: false },
      next(result) {
        try {
          sink.next(result as Result);
        } catch (error) {
          report(error);
        }
      },
      error: (error) => end(() => sink.error(error)),
      complete: () => end(() => sink.complete()),
      live: () => guard(() => sink.onLive?.()),
    };
    operations.set(id, operation);
    lazyClose.deadline = never;
    if (session) session.subscribe(operation);
    else dial.start();

    return () => {
      if (operations.get(id) !== operation) return;
      session?.cancel(operation);
      operation.complete();
    };
  }

  const client: Client = {
    state: { getSnapshot: () => snapshot, subscribe: (listener) => on('state', listener) },
    on,
    subscribe,
    iterate(payload, { signal, buffer } = {}) {
      return createSubscription((sink) => {
        const abort = (): void => sink.error(signal?.reason);
        if (signal?.aborted) {
          abort();
          return () => {};
        }
        signal?.addEventListener('abort', abort);
        const stopOperation = subscribe(payload, sink);
        return () => {
          signal?.removeEventListener('abort', abort);
          stopOperation();
        };
      }, buffer);
    },
    refresh(credentials) {
      if (dial.state !== 'connected') return false;
      session?.ping({ subwire: { credentials } }, clock.now());
      return true;
    },
    dispose() {
      disposed = true;
      const running = takeAll();
      stop();
      for (const operation of running) operation.complete();
    },
    terminate() {
      dial.lose(4499, 'Terminated');
    },
    // Runtimes before Node 20.5 and some browsers do not have the symbol yet.
    [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]: async () => client.dispose(),
  } as Client;

  for (const event of Object.keys(options.on ?? {}) as (keyof ClientEvents)[]) {
    const listener = options.on?.[event];
    if (listener) on(event, listener);
  }
  if (!lazy) dial.start();
  return client;
}

/** The payload with the wish for a confirmation. */
function confirmed(payload: SubscribePayload): SubscribePayload {
  const { extensions } = payload;
  return {
    ...payload,
    extensions: { ...extensions, subwire: { ...(extensions?.['subwire'] as object), confirm: true } },
  };
}
