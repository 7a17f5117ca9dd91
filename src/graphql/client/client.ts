import { clock as hostClock, textWebSocket } from '#socket';
import { asyncDispose, createSubscription } from '../../bus/subscription.ts';
import { dialServer } from '../../connect/connect.ts';
import { never } from '../../core/clock.ts';
import type { Connector } from '../../core/dial.ts';
import { createListeners } from '../../core/listeners.ts';
import { numberOptions } from '../../core/options.ts';
import { randomId } from '../../core/random.ts';
import type { BaseConnection } from '../../core/subprotocol.ts';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL, type SubscribePayload } from '../protocol/messages.ts';
import { type ClientOperation, type ClientSession, openClientSession } from './client-session.ts';
import type { Client, ClientEvents, ClientOptions, ClientState, OperationSink } from './client-types.ts';
import { graphqlClientFaults } from './close-codes.ts';
import { ConnectionClosed, isFatalCode } from './connection-closed.ts';

export type {
  FormattedError,
  FormattedExecutionResult,
  ProtocolMessage,
  SubscribePayload,
} from '../protocol/messages.ts';
export type * from './client-types.ts';
export { ConnectionClosed } from './connection-closed.ts';

const defaults = { keepAlive: 0, connectionAckWaitTimeout: 0, lazyCloseTimeout: 0, retryAttempts: never };

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
  const { lazy = true, retryWait } = options;
  const { shouldRetry = (problem: unknown) => problem instanceof ConnectionClosed, clock = hostClock } = options;
  const { onNonLazyError = console.error, onError = console.error, generateID = randomId } = options;
  const { lazyCloseTimeout, retryAttempts } = numberOptions(options, defaults, 0);

  const operations = new Map<string, ClientOperation>();
  let session: ClientSession | undefined;
  let disposed = false;
  // How the last connection ended: the event, and what those get whose operation fails.
  let closed: ConnectionClosed;
  let problem: unknown;
  let snapshot: ClientState;

  const { guard, report, on, emit } = createListeners<ClientEvents & { state: () => void }>(onError, options.on);

  function update(latency?: number): void {
    const { state: status, attempt } = dial;
    const subprotocol = status === 'connected' ? GRAPHQL_TRANSPORT_WS_PROTOCOL : undefined;
    snapshot = { status, attempt, subprotocol, latency };
    emit('state');
  }

  const dial: Connector = dialServer({
    ...options,
    clock,
    transport: options.connect ?? textWebSocket(options.webSocketImpl),
    openTimeout: 10_000,
    report,
    offered: [GRAPHQL_TRANSPORT_WS_PROTOCOL],
    choose: (name) => (name === GRAPHQL_TRANSPORT_WS_PROTOCOL ? { faults: graphqlClientFaults, open } : undefined),

    retry(end, attempt) {
      const { code, reason, error, wasConnected } = end;
      closed = new ConnectionClosed(code, reason, error);
      // What our own hook threw says more than that we closed because of it; and `shouldRetry` may know better.
      problem = code === 4005 && error ? error : closed;
      if (lazy && operations.size === 0) return false;
      // [GQL-73] The server was done, we are not.
      if (code === 1000 && wasConnected) {
        dial.attempt = 0;
        return 0;
      }
      if ((problem === closed && isFatalCode(code)) || attempt >= retryAttempts || !shouldRetry(problem)) return false;
      if (!retryWait) return true;
      const loss = closed;
      const waits = (): boolean => closed === loss && dial.state === 'waiting';
      (async () => retryWait(attempt))().then(
        () => waits() && dial.start(),
        (error) => {
          if (!waits()) return;
          stop();
          fail(error);
        },
      );
      return never;
    },

    left({ code, reason }) {
      emit('closed', new ConnectionClosed(code, reason));
    },

    changed(state, end) {
      if (state !== 'connected') session = undefined;
      update();
      if (state === 'connecting') emit('connecting', dial.attempt > 0);
      if (!end) return;
      const running = state === 'idle' ? takeAll() : undefined;
      // What was a fault has been told.
      if (!end.fault && end.error !== undefined) emit('error', end.error);
      emit('closed', closed);
      if (running) fail(problem, running);
    },
  });
  update();

  function open(connection: BaseConnection): ClientSession {
    session = openClientSession(connection, {
      ...options,
      operations,
      emit,
      latency: update,
      connected() {
        const wasRetry = dial.attempt > 0;
        dial.connected();
        return wasRetry;
      },
    });
    return session;
  }

  /** Everything that runs; from now on nothing does. */
  function takeAll(): ClientOperation[] {
    const running = [...operations.values()];
    operations.clear();
    return running;
  }

  function fail(error: unknown, running = takeAll()): void {
    for (const operation of running) operation.error(error);
    if (!lazy) guard(() => onNonLazyError(error));
  }

  const stop = (): void => dial.stop(1000, 'Normal Closure');

  const lazyClose = {
    deadline: never,
    tick() {
      lazyClose.deadline = never;
      if (operations.size === 0) stop();
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
    function end(tell: () => void): void {
      if (operations.get(id) === operation) operations.delete(id);
      guard(tell);
      // Whoever goes on to the next operation in this turn finds the connection open.
      Promise.resolve().then(settle);
    }
    const operation: ClientOperation = {
      id,
      message: '',
      next: (result) => guard(() => sink.next(result as Result)),
      error: (error) => end(() => sink.error(error)),
      complete: () => end(() => sink.complete()),
      live: () => guard(() => sink.onLive?.()),
    };
    try {
      if (disposed) throw new Error('The client is disposed');
      if (!id || typeof payload.query !== 'string') throw new TypeError('An operation needs an id and a query');
      if (operations.has(id)) throw new Error(`Operation "${id}" is running already`);
      const wanted = sink.onLive ? confirmed(payload) : payload;
      operation.message = JSON.stringify({ id, type: 'subscribe', payload: wanted }, options.jsonMessageReplacer);
    } catch (error) {
      operation.error(error);
      return () => {};
    }
    operations.set(id, operation);
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
        signal?.addEventListener('abort', abort);
        const cancel = signal?.aborted ? abort() : subscribe(payload, sink);
        return () => {
          signal?.removeEventListener('abort', abort);
          cancel?.();
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
      for (const operation of takeAll()) operation.complete();
      stop();
    },
    terminate() {
      dial.lose(4499, 'Terminated');
    },
    [asyncDispose]: async () => client.dispose(),
  };

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
