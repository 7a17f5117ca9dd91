import { webSocket } from '#socket';
import { asyncDispose } from '../../bus/subscription.ts';
import { dialServer } from '../../connect/connect.ts';
import { checkRetry } from '../../core/backoff.ts';
import { ConnectionLost } from '../../core/connection-lost.ts';
import type { Connector } from '../../core/dial.ts';
import { CloseCode, type Fault } from '../../core/fault.ts';
import { createListeners } from '../../core/listeners.ts';
import type { BaseConnection } from '../../core/subprotocol.ts';
import { credentialsDestination } from '../protocol/credentials.ts';
import { type HeaderInput, joined } from '../protocol/headers.ts';
import { subprotocolOf } from '../protocol/versions.ts';
import type { Claim } from './acknowledgements.ts';
import { type ClientSession, type Done, openClientSession } from './client-session.ts';
import { createClientSubscriptions } from './client-subscriptions.ts';
import type {
  PublishParameters,
  StompClient,
  StompClientEvents,
  StompClientOptions,
  StompClientState,
} from './client-types.ts';
import { stompClientFaults } from './close-codes.ts';
import { ask, resolveOptions } from './options.ts';
import { bodyOf, checkDestination, headersOf } from './outgoing.ts';

export { ConnectionLost } from '../../core/connection-lost.ts';
export type { Headers } from '../protocol/frame.ts';
export type { HeaderInput } from '../protocol/headers.ts';
export type { Version } from '../protocol/versions.ts';
export type * from './client-types.ts';
export { StompError } from './errors.ts';
export { ReceivedMessage } from './received-message.ts';

/**
 * Trouble that passes, by our own server's codes and ours: such an end is not final even in answer to CONNECT. 1011 is a
 * hook that threw, 1013 one that is late, 4403 credentials that are over ([STOMP-73]).
 */
const transientCodes: readonly number[] = [
  CloseCode.goingAway,
  CloseCode.internalError,
  CloseCode.serviceRestart,
  CloseCode.tryAgainLater,
  CloseCode.forbidden,
  CloseCode.initTimeout,
];
/** The same CONNECT is shown so many times in a row to a server that refuses it by such a code ([STOMP-112]). */
const maxRefusals = 5;

/**
 * A STOMP client over WebSocket, or any other transport. It connects when it is first used, reconnects with full-jitter
 * back-off and brings its subscriptions back before anything that waited is sent.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const client = createStompClient({ url: 'wss://host/ws', connectHeaders: { login, passcode } });
 * client.subscribe('/topic/prices', (message) => show(message.json()));
 * await client.publish({ destination: '/topic/prices', body: '{}', receipt: true });
 */
export function createStompClient(options: StompClientOptions): StompClient {
  const settings = resolveOptions(options);
  const { url, connectHeaders = [], connectionTimeout, maxQueued, onError = console.error, signal } = settings;

  const waiters: Done[] = [];
  // What waits for a connection: how to send it, and whom to tell.
  const queue = new Map<(to: ClientSession) => void, Done>();
  const transactions = new Map<string, Claim>();
  let session: ClientSession | undefined;
  let transactionCount = 0;
  let leaving: Promise<void> | undefined;
  let disposal: Promise<void> | undefined;
  // A connection that was ready was lost: what was sent to its subscriptions meanwhile is missing.
  let missed: ConnectionLost | undefined;
  // What the server, or the application, said about the end that follows.
  let complaint: Error | undefined;
  // The headers of CONNECT; those that were refused last, and how often in a row.
  let shown = '';
  let refused = '';
  let refusals = 0;
  // Listeners of `connected` are being called, after a loss.
  let reconnecting = false;
  let server: string | undefined;
  let latency: number | undefined;
  let snapshot: StompClientState;

  const listeners = createListeners<StompClientEvents>(onError, settings.on);
  const { on, emit, report } = listeners;

  function update(): void {
    const { state: status, connection, error, retryAt } = dial;
    const attempt = status === 'connected' ? 0 : dial.attempt;
    const version = session?.version;
    const subprotocol = version && connection?.name;
    snapshot = { status, attempt, subprotocol, version, server, latency, error, retryAt };
    emit('state', snapshot);
  }

  // ── publishing ─────────────────────────────────────────────────────────────────────────────────────────────────

  function publish(parameters: PublishParameters, within?: ClientSession, more: HeaderInput = []): Promise<void> {
    return promise((settle) => {
      if (typeof parameters !== 'object' || !parameters)
        throw new TypeError(`publish() takes one object { destination, body, headers }; got ${typeof parameters}`);
      const { destination, receipt, signal: aborted, contentLength } = parameters;
      const done = (error?: unknown): void => {
        aborted?.removeEventListener('abort', abort);
        settle(error);
        if (error === undefined || aborted?.aborted) return;
        // Whoever asked for a receipt awaits the promise.
        if (!emit('dropped', parameters, error) && !receipt) report(error);
      };
      const attempt = (write: () => void): void => {
        try {
          write();
        } catch (error) {
          done(error);
        }
      };
      const abort = (): void => {
        if (write) queue.delete(write);
        done(aborted?.reason);
      };
      let write: ((to: ClientSession) => void) | undefined;
      attempt(() => {
        // [STOMP-118] At the call: what is wrong must not wait for a connection to be noticed.
        checkDestination(destination);
        const body = bodyOf(parameters.body);
        const headers = joined({ destination }, more, headersOf(parameters.headers ?? []));
        const send = (to: ClientSession): void =>
          attempt(() => void to.send('SEND', headers, body, done, receipt, contentLength));
        write = send;
        if (aborted?.aborted) return abort();
        aborted?.addEventListener('abort', abort);
        // In a transaction it does not go behind what waits: COMMIT would overtake it.
        if (within) send(within);
        else enqueue(send, done);
      });
    });
  }

  /** Send it as soon as there is a connection, behind what waits already; or tell why not. */
  function enqueue(write: (to: ClientSession) => void, done: Done): void {
    if (disposal) done(endOfAll());
    else if (leaving) done(new Error('The client is disconnecting'));
    else if (queue.size >= maxQueued) done(new Error(`More than maxQueued (${maxQueued}) messages wait`));
    else {
      queue.set(write, done);
      flush();
      want();
    }
  }

  /** Something needs a connection. It does not cut a back-off short: only `connect()` does. False: there will be none. */
  function want(): boolean {
    const may = !leaving && !disposal;
    if (may && dial.state === 'idle') dial.start();
    return may;
  }

  function flush(): void {
    for (const write of queue.keys()) {
      if (!session?.connected || !subscriptions.restored || dial.connection?.mustWait()) return;
      queue.delete(write);
      write(session);
    }
  }

  // ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────

  /** [STOMP-76] An error that nobody listens to has a last resort. */
  function tell(error: unknown): void {
    if (!emit('error', error)) report(error);
  }

  const subscriptions = createClientSubscriptions(listeners, {
    timeout: connectionTimeout,
    transactions,
    get reconnecting() {
      return reconnecting;
    },
    flush,
    want,
    whenConnected: (write) => enqueue(write, () => {}),
    tell,
    warn: (text) => settings.warn !== false && console.warn(text),
  });

  /** What is told of what was asked of a client that is no more. */
  const endOfAll = (): unknown => (signal?.aborted ? signal.reason : new Error('The client is disposed'));

  function complain(error: unknown): void {
    complaint = error instanceof Error ? error : new Error(String(error));
    dial.connection?.explain?.(complaint);
    tell(error);
  }

  /** [STOMP-112] The server refused the same CONNECT so often that it will go on to. */
  function isHopeless({ code, fault, wasConnected }: ConnectionLost): boolean {
    if (wasConnected || fault || !complaint || code !== CloseCode.forbidden) return false;
    refusals = shown === refused ? refusals + 1 : 1;
    refused = shown;
    return refusals >= maxRefusals;
  }

  const offered = url ? [...settings.versions.map(subprotocolOf), 'stomp'] : [];

  function open(connection: BaseConnection, _: string, address: string): ClientSession {
    const own = openClientSession(connection, settings, {
      connected(headers) {
        // Before anybody hears of it and publishes.
        subscriptions.restore(own);
        refusals = 0;
        server = headers.get('server');
        reconnecting = dial.wasLost;
        dial.connected();
        emit('connected', headers);
        reconnecting = false;
        for (const done of waiters.splice(0)) done();
        const event = missed;
        missed = undefined;
        if (event && subscriptions.count > 0) emit('gap', event);
      },
      message: subscriptions.deliver,
      error: complain,
      drained: flush,
      measured(ms) {
        latency = ms;
        update();
      },
    });
    session = own;
    let fault: Fault = 'unavailable';
    connection.resume(
      ask(connectHeaders).then((given) => {
        // Headers that cannot be carried will not be next time either.
        fault = 'internal';
        const headers = headersOf(given);
        shown = JSON.stringify(headers);
        own.start(settings.host ?? (new URL(address).hostname || '/'), headers);
      }),
      () => {},
      (error) => {
        complain(error);
        connection.close(fault, 'connectHeaders');
      },
    );
    return own;
  }

  const dial: Connector = dialServer({
    ...settings,
    url: url ?? 'stomp:',
    transport: settings.transport ?? webSocket(settings.webSocketImpl),
    report,
    offered,
    // A byte stream has no names.
    choose: (name) => ((url ? offered.includes(name) : !name) ? { faults: stompClientFaults, open } : undefined),

    retry(end, attempt) {
      const { code, fault, wasConnected } = end;
      if (wasConnected) missed = end;
      if (fault === 'heartbeat') emit('heartbeatLost');
      // [STOMP-73] An answer to CONNECT, or headers that it cannot carry: another attempt would end alike. What was refused
      // later ends by itself, and the connection comes back.
      const judged = fault
        ? fault === 'internal'
        : code === CloseCode.policyViolation || (complaint && !transientCodes.includes(code));
      const hopeless = isHopeless(end);
      if (leaving || (judged && !wasConnected) || hopeless) return false;
      if (fault === 'unacceptable' || code === CloseCode.subprotocolNotAcceptable) return false;
      return checkRetry(settings.retry?.(end, attempt) ?? true);
    },

    changed(state, end) {
      if (state !== 'connected') {
        session = server = latency = undefined;
      }
      if (state === 'connecting') complaint = undefined;
      update();
      if (state === 'connecting') emit('connecting', dial.wasLost);
      if (!end) return;
      emit('closed', end, state === 'waiting');
      if (state === 'idle') giveUp(complaint ?? end);
    },
  });

  /** Nothing that waits will happen any more. */
  function giveUp(error: unknown): void {
    const dropped = [...waiters.splice(0), ...queue.values()];
    queue.clear();
    for (const done of dropped) done(error);
    subscriptions.end(leaving ? undefined : error);
  }

  function disconnect({ timeout = 5_000 }: { readonly timeout?: number | undefined } = {}): Promise<void> {
    leaving ??= leave(timeout).finally(() => {
      leaving = undefined;
    });
    return leaving;
  }

  async function leave(timeout: number): Promise<void> {
    const own = session;
    // After this line `leaving` is set: whatever ends now is not retried.
    await undefined;
    if (own?.connected) await new Promise((resolve) => own.leave(timeout, resolve));
    const wasConnected = dial.state === 'connected';
    missed = undefined;
    dial.stop();
    if (wasConnected) emit('closed', new ConnectionLost(CloseCode.normal, '', { wasConnected }), false);
    giveUp(disposal ? endOfAll() : new Error('The client was disconnected'));
  }

  function dispose(): Promise<void> {
    signal?.removeEventListener('abort', dispose);
    disposal ??= disconnect();
    return disposal;
  }

  signal?.addEventListener('abort', dispose);
  update();
  if (signal?.aborted) void dispose();

  return {
    state: { getSnapshot: () => snapshot, subscribe: (listener) => on('state', () => listener()) },
    on,
    connect: () =>
      promise(async (done) => {
        await leaving;
        if (disposal) done(endOfAll());
        else if (dial.state === 'connected') done();
        else {
          waiters.push(done);
          dial.start();
        }
      }),
    disconnect,
    dispose,
    terminate: () => dial.lose(CloseCode.terminated, 'Terminated'),
    publish: (parameters) => publish(parameters),
    subscribe: subscriptions.open,
    async refresh(given) {
      if (dial.state !== 'connected' || !session?.connected) return false;
      const to = session;
      const headers = joined({ destination: credentialsDestination }, headersOf(given ?? (await ask(connectHeaders))));
      await promise((done) => to.send('SEND', headers, undefined, done, true));
      return true;
    },
    begin() {
      const own = session;
      const id = `transaction-${transactionCount++}`;
      const header = { transaction: id };
      if (!own?.send('BEGIN', header)) throw new Error('await connect() before begin()');
      const claim: Claim = { undone: false, done: false };
      transactions.set(id, claim);
      return {
        id,
        publish: (parameters) => publish(parameters, own, header),
        ack: (message) => message.ack(header),
        nack: (message) => message.nack(header),
        async commit() {
          transactions.delete(id);
          claim.done = true;
          await promise((done) => own.send('COMMIT', header, undefined, done, true));
        },
        abort() {
          transactions.delete(id);
          claim.undone = true;
          own.send('ABORT', header);
        },
      };
    },
    [asyncDispose]: dispose,
  } as StompClient;
}

/** A promise that `done` settles. A rejection that nobody awaits is no unhandled one: an event tells of it. */
function promise(start: (done: Done) => unknown): Promise<void> {
  const outcome = new Promise<void>((resolve, reject) => {
    start((error) => (error === undefined ? resolve() : reject(error)));
  });
  outcome.catch(() => {});
  return outcome;
}
