import { webSocket } from '#socket';
import { asyncDispose } from '../../bus/subscription.ts';
import { dialServer } from '../../connect/connect.ts';
import { checkRetry } from '../../core/backoff.ts';
import { ConnectionLost } from '../../core/connection-lost.ts';
import type { Connector } from '../../core/dial.ts';
import { CloseCode, type Fault } from '../../core/fault.ts';
import { createListeners } from '../../core/listeners.ts';
import type { BaseConnection } from '../../core/subprotocol.ts';
import { joined } from '../protocol/headers.ts';
import { subprotocolOf } from '../protocol/versions.ts';
import { type ClientSession, type Done, openClientSession } from './client-session.ts';
import { checkDestination, createClientSubscriptions } from './client-subscriptions.ts';
import type {
  PublishParameters,
  StompClient,
  StompClientEvents,
  StompClientOptions,
  StompClientState,
} from './client-types.ts';
import { stompClientFaults } from './close-codes.ts';
import { ask, resolveOptions } from './options.ts';
import type { AckHeaders } from './received-message.ts';

export { ConnectionLost } from '../../core/connection-lost.ts';
export type { Headers } from '../protocol/frame.ts';
export type { HeaderInput } from '../protocol/headers.ts';
export type { Version } from '../protocol/versions.ts';
export type * from './client-types.ts';
export { StompError } from './errors.ts';
export { type AckHeaders, ReceivedMessage } from './received-message.ts';

/** What passes, by our own server's codes and ours (1013): such an end is not final even in answer to CONNECT. */
const transientCodes: readonly number[] = [1001, 1012, 1013, 4403, 4408];

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
  // Publishes that wait: how to send one, and whom to tell.
  const queue = new Map<(to: ClientSession) => void, Done>();
  let session: ClientSession | undefined;
  let transactions = 0;
  let leaving: Promise<void> | undefined;
  let disposal: Promise<void> | undefined;
  // A connection that was ready was lost: what was sent to its subscriptions meanwhile is missing.
  let missed: ConnectionLost | undefined;
  // What the server, or the application, said about the end that follows.
  let complaint: Error | undefined;
  let latency: number | undefined;
  let snapshot: StompClientState;

  const listeners = createListeners<StompClientEvents>(onError, settings.on);
  const { on, emit, report } = listeners;

  function update(): void {
    const { state: status, connection, error, retryAt } = dial;
    const attempt = status === 'connected' ? 0 : dial.attempt;
    const version = session?.version;
    snapshot = { status, attempt, subprotocol: version && connection?.name, version, latency, error, retryAt };
    emit('state', snapshot);
  }

  // ── publishing ─────────────────────────────────────────────────────────────────────────────────────────────────

  function publish(parameters: PublishParameters, within?: ClientSession, more: AckHeaders = {}): Promise<void> {
    const { destination, headers = [], body, receipt, signal: aborted } = parameters;
    checkDestination(destination);
    return promise((settle) => {
      const done = (error?: unknown): void => {
        aborted?.removeEventListener('abort', abort);
        settle(error);
        if (error === undefined || aborted?.aborted) return;
        // Whoever asked for a receipt awaits the promise.
        if (!emit('dropped', parameters, error) && !receipt) report(error);
      };
      const write = (to: ClientSession): void => {
        try {
          to.send('SEND', joined({ destination }, more, headers), body, done, receipt);
        } catch (error) {
          done(error);
        }
      };
      const abort = (): void => {
        queue.delete(write);
        done(aborted?.reason);
      };
      if (aborted?.aborted) return abort();
      aborted?.addEventListener('abort', abort);
      // In a transaction it does not go behind what waits: COMMIT would overtake it.
      if (within) write(within);
      else if (disposal) done(endOfAll());
      else if (leaving) done(new Error('The client is disconnecting'));
      else if (queue.size >= maxQueued) done(new Error(`More than maxQueued (${maxQueued}) messages wait`));
      else {
        queue.set(write, done);
        flush();
        want();
      }
    });
  }

  /** Something needs a connection. It does not cut a back-off short: only `connect()` does. False: there will be none. */
  function want(): boolean {
    const may = !leaving && !disposal;
    if (may && dial.state === 'idle') dial.start();
    return may;
  }

  function flush(): void {
    for (const write of queue.keys()) {
      if (!session?.connected || !subscriptions.restored || dial.connection?.saturated) return;
      queue.delete(write);
      write(session);
    }
  }

  // ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────

  const subscriptions = createClientSubscriptions(listeners, { timeout: connectionTimeout, flush, want });

  /** What is told of what was asked of a client that is no more. */
  const endOfAll = (): unknown => (signal?.aborted ? signal.reason : new Error('The client is disposed'));

  /** [STOMP-76] An error that nobody listens to has a last resort. */
  function tell(error: unknown): void {
    if (!emit('error', error)) report(error);
  }

  function complain(error: unknown): void {
    complaint = error instanceof Error ? error : new Error(String(error));
    tell(error);
  }

  const offered = url ? [...settings.versions.map(subprotocolOf), 'stomp'] : [];

  function open(connection: BaseConnection, _: string, address: string): ClientSession {
    const own = openClientSession(connection, settings, {
      connected(headers) {
        // Before anybody hears of it and publishes.
        subscriptions.restore(own);
        dial.connected();
        emit('connected', headers);
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
      ask(connectHeaders).then((headers) => {
        // Headers that cannot be carried will not be next time either.
        fault = 'internal';
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
      // [STOMP-73] A complaint in answer to CONNECT, or headers that it cannot carry: another attempt would end alike.
      const refused = complaint && !wasConnected && !transientCodes.includes(code);
      if (leaving || refused || fault === 'unacceptable' || code === 4406 || code === 1008) return false;
      return checkRetry(settings.retry?.(end, attempt) ?? true);
    },

    changed(state, end) {
      if (state !== 'connected') {
        session = undefined;
        latency = undefined;
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
    begin() {
      const own = session;
      const id = `transaction-${transactions++}`;
      const header: AckHeaders = { transaction: id };
      if (!own?.send('BEGIN', header)) throw new Error('await connect() before begin()');
      return {
        id,
        publish: (parameters) => publish(parameters, own, header),
        ack: (message) => message.ack(header),
        nack: (message) => message.nack(header),
        async commit() {
          await promise((done) => own.send('COMMIT', header, undefined, done, true));
        },
        abort() {
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
