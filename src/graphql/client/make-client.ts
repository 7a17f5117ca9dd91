import { clock as hostClock, textWebSocket } from '#socket';
import { asyncDispose, createSubscription } from '../../bus/subscription.ts';
import { dialServer } from '../../connect/connect.ts';
import { checkRetry } from '../../core/backoff.ts';
import { never } from '../../core/clock.ts';
import { ConnectionLost } from '../../core/connection-lost.ts';
import type { Connector } from '../../core/dial.ts';
import { CloseCode, messageOf, ProtocolError } from '../../core/fault.ts';
import { createListeners } from '../../core/listeners.ts';
import { inWords, mustBeFunctions } from '../../core/options.ts';
import { randomId } from '../../core/random.ts';
import type { BaseConnection } from '../../core/subprotocol.ts';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL, type SubscribePayload } from '../protocol/messages.ts';
import { type ClientOperation, type ClientSession, openClientSession, type Payload } from './client-session.ts';
import type { Client, ClientEvents, ClientOptions, ClientState, OperationSink } from './client-types.ts';
import { graphqlClientFaults, isFatalCode, isRefusal } from './close-codes.ts';
import { checkListener, resolveNumbers } from './options.ts';
import { Recovery } from './recovery.ts';

/** The same credentials are shown so many times in a row to a server that refuses them ([GQL-88]). */
const maxRefusals = 5;

/** The longest message that stands as it is in a close reason. */
const maxReason = 123;

/** How graphql-ws tells of ends, for a client with its habits. */
export interface Habits {
  /** What `closed` listeners get of this end. */
  closed(end: ConnectionLost): ConnectionLost;
  /** What `error` listeners and sinks get of this end, or of what a hook threw. */
  problem(problem: unknown): unknown;
}

/** The client, perhaps with the habits of graphql-ws; see `createClient()`. */
export function makeClient(options: ClientOptions, habits?: Habits): Client {
  const numbers = resolveNumbers(options);
  const { lazyCloseTimeout, retryAttempts, openTimeout } = numbers;
  const { connectionParams, lazy = true, retry, retryWait, shouldRetry, signal, clock = hostClock } = options;
  const { onNonLazyError = console.error, onError = console.error, generateID = randomId } = options;

  const operations = new Map<string, ClientOperation>();
  let session: ClientSession | undefined;
  let disposal: Promise<void> | undefined;
  let gone: (() => void) | undefined;
  // How the last connection ended: the event, and what those get whose operation fails.
  let closed: ConnectionLost | undefined;
  let problem: unknown;
  // A connection that was acknowledged was lost: what ran on it may have missed something.
  let missed: ConnectionLost | undefined;
  let wasAcknowledged = false;
  // Attempts that failed since the last acknowledgement.
  let failures = 0;
  // What the server refused last, and how often in a row.
  let shown = '';
  let refused = '';
  let refusals = 0;
  let params: Payload;
  // What a server found too large.
  let oversized: ClientOperation | undefined;
  let snapshot: ClientState;

  const { guard, report, on, emit } = createListeners<ClientEvents>(
    onError,
    options.on,
    habits && ['opened', 'connected', 'message', 'ping', 'pong'],
  );

  function update(latency?: number): void {
    const { state: status, attempt, error, retryAt } = dial;
    const connected = status === 'connected';
    snapshot = {
      status,
      attempt: connected ? 0 : attempt,
      subprotocol: connected ? GRAPHQL_TRANSPORT_WS_PROTOCOL : undefined,
      latency,
      error,
      retryAt,
    };
    emit('state', snapshot);
  }

  /** [GQL-88] The server refused the same credentials so often that it will go on to. */
  function isHopeless({ code, fault, wasConnected }: ConnectionLost): boolean {
    if (wasConnected || fault || !isRefusal(code)) return false;
    refusals = shown === refused ? refusals + 1 : 1;
    refused = shown;
    return refusals >= maxRefusals;
  }

  /** [GQL-89] The server closed since a message was too large: the largest one that it has not answered ends. */
  function takeLargest(): ClientOperation | undefined {
    let largest: ClientOperation | undefined;
    for (const each of session?.unanswered ?? []) {
      if (each.message.length > (largest?.message.length ?? 0)) largest = each;
    }
    if (largest) operations.delete(largest.id);
    return largest;
  }

  const dial: Connector = dialServer({
    ...options,
    clock,
    transport: options.transport ?? textWebSocket(options.webSocketImpl),
    openTimeout,
    report,
    offered: [GRAPHQL_TRANSPORT_WS_PROTOCOL],
    choose: (name) => (name === GRAPHQL_TRANSPORT_WS_PROTOCOL ? { faults: graphqlClientFaults, open } : undefined),
    prepare:
      typeof connectionParams === 'function' && !habits
        ? async () => {
            params = await connectionParams();
          }
        : undefined,

    retry(end, attempt) {
      const { code, fault, cause, wasConnected } = end;
      closed = end;
      if (wasConnected) missed = end;
      // What our own hook threw says more than that we closed because of it; and `shouldRetry` may know better.
      const ours = code === CloseCode.clientError || (habits && fault === 'malformed');
      const thrown = ours && cause !== undefined && !(cause instanceof ProtocolError);
      problem = thrown ? cause : end;
      if (code === CloseCode.tooLarge && !fault) oversized = takeLargest();
      if (lazy && operations.size === 0) return false;
      // [GQL-73] The server was done, we are not. One that is done at once, again and again, meets the back-off.
      if (code === CloseCode.normal && wasConnected) return attempt > 0 || 0;
      const hopeless = isHopeless(end);
      if (failures++ >= retryAttempts) return false;
      if (code === CloseCode.terminated && !end.wasClean) return true;
      const asks = code === CloseCode.unauthorized && (retry ?? shouldRetry);
      if (hopeless || ((!thrown || fault === 'malformed') && !oversized && !asks && isFatalCode(code))) return false;
      // [GQL-74] Before the first connection what a hook throws is a mistake, later it may be the network's.
      if (!retry && !shouldRetry && thrown && !wasAcknowledged) return false;
      if (retry) return checkRetry(retry(end, attempt));
      if (shouldRetry && !shouldRetry(problem)) return false;
      if (!retryWait) return true;
      const waits = (): boolean => closed === end && dial.state === 'waiting';
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

    left(end) {
      emit('closed', end, false);
      gone?.();
    },

    changed(state, end) {
      if (state !== 'connected') session = undefined;
      update();
      if (state === 'connecting') emit('connecting', dial.wasLost);
      if (!end) return;
      const running = state === 'idle' ? takeAll() : undefined;
      // What was a fault has been told.
      const told = habits?.problem(problem) ?? problem;
      if (!end.fault && end.cause !== undefined) emit('error', told === problem ? end.cause : told);
      emit('closed', habits?.closed(end) ?? end, state === 'waiting');
      oversized?.error(end);
      oversized = undefined;
      if (running) fail(told, running);
    },
  });
  update();

  function init(payload: Payload): string {
    shown = JSON.stringify({ type: 'connection_init', payload: payload || undefined }, options.jsonMessageReplacer);
    return shown;
  }

  /** In graphql-ws a listener of the socket's events that throws ends the connection, and all operations with what it threw. */
  const strictly: typeof emit = (event, ...details) => {
    const [first] = details as readonly unknown[];
    try {
      // What a listener threw is told as it is.
      if (event === 'error' && first instanceof ProtocolError && first.cause) return emit('error', first.cause);
      return emit(event, ...details);
    } catch (cause) {
      if (event === 'opened') throw cause;
      const words = messageOf(cause);
      throw new ProtocolError('malformed', words.length > maxReason ? 'Bad response' : words, { cause });
    }
  };

  function open(connection: BaseConnection): ClientSession {
    session = openClientSession(connection, {
      ...options,
      ...numbers,
      operations,
      emit: habits ? strictly : emit,
      latency: update,
      init() {
        if (habits && typeof connectionParams === 'function') return (async () => init(await connectionParams()))();
        return init(typeof connectionParams === 'function' ? params : connectionParams);
      },
      connected(socket, payload) {
        const { wasLost } = dial;
        wasAcknowledged = true;
        failures = refusals = 0;
        dial.connected();
        (habits ? strictly : emit)('connected', socket, payload, wasLost);
        const event = missed;
        missed = undefined;
        if (event && operations.size > 0) emit('gap', event);
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

  function stop(): void {
    missed = undefined;
    const dialling = dial.state === 'connecting' && !dial.connection;
    dial.stop(CloseCode.normal, 'Normal Closure');
    if (dialling) emit('closed', new ConnectionLost(CloseCode.normal, 'The attempt was given up'), false);
  }

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
    const given: unknown = sink;
    if (typeof given !== 'object' || !given)
      throw new TypeError(
        `subscribe() needs a sink { next, error, complete } as its second argument; got ${typeof given}`,
      );
    const id = generateID(payload);
    function end(tell: () => unknown): void {
      if (operations.get(id) === operation) operations.delete(id);
      guard(tell);
      // Whoever goes on to the next operation in this turn finds the connection open.
      Promise.resolve().then(settle);
    }
    const { onRecovery } = sink;
    const recovery = onRecovery && new Recovery((recovered) => guard(() => onRecovery(recovered)), sink.since);
    const encode = (): string => {
      const wanted = extended(payload, { confirm: sink.onLive && true, resume: recovery?.wish() });
      return JSON.stringify({ id, type: 'subscribe', payload: wanted }, options.jsonMessageReplacer);
    };
    const operation: ClientOperation = {
      id,
      message: '',
      renew:
        recovery &&
        (() => {
          recovery.sends();
          operation.message = encode();
        }),
      next(result, at) {
        if (recovery?.isNew(at) ?? true) guard(() => sink.next(result as Result));
      },
      error: (error) => end(() => sink.error(error)),
      complete: () => end(() => sink.complete()),
      live(told) {
        recovery?.live(told);
        if (told.at === undefined && told.recovered === undefined) guard(() => sink.onLive?.());
      },
    };
    try {
      if (disposal) throw new Error('The client is disposed');
      checkOperation(id, payload);
      if (operations.has(id)) throw new Error(`Operation "${id}" is running already`);
      checkRecovery(sink);
      operation.message = encode();
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

  function dispose(): Promise<void> {
    disposal ??= new Promise((resolve) => {
      signal?.removeEventListener('abort', dispose);
      gone = resolve;
      if (!dial.connection) resolve();
      for (const operation of takeAll()) operation.complete();
      stop();
    });
    return disposal;
  }

  const listen: typeof on = (event, listener) => {
    checkListener(event, listener);
    return on(event, listener);
  };

  const client: Client = {
    state: { getSnapshot: () => snapshot, subscribe: (listener) => on('state', () => listener()) },
    on: listen,
    subscribe,
    iterate(payload, { signal, buffer, ...recovery } = {}) {
      return createSubscription((sink) => {
        const abort = (): void => sink.error(signal?.reason);
        signal?.addEventListener('abort', abort);
        const { next, error, complete } = sink;
        const wanted = { next: next.bind(sink), error: error.bind(sink), complete: complete.bind(sink), ...recovery };
        const cancel = signal?.aborted ? abort() : subscribe(payload as SubscribePayload, wanted);
        return () => {
          signal?.removeEventListener('abort', abort);
          cancel?.();
        };
      }, buffer);
    },
    refresh: (credentials) =>
      new Promise((resolve) => {
        if (dial.state === 'connected' && session) session.refresh(credentials, resolve);
        else resolve(false);
      }),
    dispose,
    terminate: () => dial.lose(CloseCode.terminated, 'Terminated'),
    [asyncDispose]: dispose,
  } as Client;

  signal?.addEventListener('abort', dispose);
  if (signal?.aborted) void dispose();
  else if (!lazy) dial.start();
  return client;
}

/** Throws a `TypeError` that says what an operation needs. */
function checkOperation(id: unknown, payload: SubscribePayload): void {
  if (!id || typeof id !== 'string') throw new TypeError(`generateID must return a text; got ${inWords(id)}`);
  if (Object(payload) !== payload)
    throw new TypeError(`An operation is an object: { query: '{ hello }' }; got ${inWords(payload)}`);
  const { query } = payload;
  if (typeof query === 'string') return;
  const hint = Object(query) === query ? ' (a document object: print(document))' : '';
  throw new TypeError(`An operation needs { query }, the text of a document; got ${typeof query}${hint}`);
}

/** Throws a `TypeError` that says what the sink needs to come back. */
function checkRecovery({ onRecovery, since }: OperationSink<never>): void {
  mustBeFunctions({ onRecovery });
  if (since !== undefined && (typeof since !== 'string' || !onRecovery))
    throw new TypeError('since must be the text of a position, beside onRecovery');
}

/** The payload with what is wished of a subwire server. */
function extended(payload: SubscribePayload, wishes: { confirm: true | undefined; resume: unknown }): SubscribePayload {
  if (!wishes.confirm && !wishes.resume) return payload;
  const { extensions } = payload;
  return { ...payload, extensions: { ...extensions, subwire: { ...(extensions?.['subwire'] as object), ...wishes } } };
}
