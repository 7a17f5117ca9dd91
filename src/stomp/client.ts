import { webSocket } from '#socket';
import { dialServer } from '../adapters/connect.ts';
import type { Fault } from '../core/fault.ts';
import { createListeners } from '../core/listeners.ts';
import type {
  PublishParameters,
  StompClient,
  StompClientEvents,
  StompClientState,
  StompSubscription,
  Transaction,
} from './client-api.ts';
import { stompClientFaults } from './client-faults.ts';
import { ask, checkOptions, type PerConnection, type StompClientOptions } from './client-options.ts';
import { ClientSession, heartBeatTolerance } from './client-session.ts';
import { ClientSubscriptions, checkDestination } from './client-subscriptions.ts';
import type { HeaderInput } from './codec.ts';
import { ConnectionLost } from './errors.ts';
import { entriesOf } from './headers.ts';
import type { AckHeaders, ReceivedMessage } from './received.ts';
import { versions as allVersions, subprotocolOf } from './versions.ts';

export type {
  PublishParameters,
  StompClient,
  StompClientEvents,
  StompClientState,
  StompClientStore,
  StompSubscription,
  Transaction,
} from './client-api.ts';
export type { PerConnection, StompClientOptions } from './client-options.ts';
export type { HeaderInput, Headers } from './codec.ts';
export { ConnectionLost, StompError } from './errors.ts';
export { type AckHeaders, ReceivedMessage } from './received.ts';
export type { Version } from './versions.ts';

interface Publish extends PublishParameters {
  done(error?: unknown): void;
}

/** Our own server's codes for what passes: such an end is not final even in answer to CONNECT. */
const passing: readonly number[] = [1001, 1012, 1013, 4403, 4408];
const transactionLost = 'The connection of this transaction is gone: nothing of it has happened';
/**
 * A STOMP client over WebSocket, or any other transport. It connects when it is first used, reconnects with full-jitter
 * back-off and brings its subscriptions back before anything that waited is sent.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const client = createStompClient({ brokerURL: 'wss://host/ws', connectHeaders: { login, passcode } });
 * client.subscribe('/topic/prices', (message) => show(message.json()));
 * await client.publish({ destination: '/topic/prices', body: '{}', receipt: true });
 */
export function createStompClient(options: StompClientOptions): StompClient {
  const { brokerURL, connectHeaders = [], versions = allVersions, maxQueued = 1_000, maxFrameBytes, signal } = options;
  const { heartbeatOutgoing = 10_000, heartbeatIncoming = 10_000, connectionTimeout = 10_000 } = options;
  const { onError = console.error } = options;
  checkOptions(options);

  let waiters: { resolve(): void; reject(error: unknown): void }[] = [];
  let queue: Publish[] = [];
  let session: ClientSession | undefined;
  let count = 0;
  let leaving: Promise<void> | undefined;
  // What the server said about the end that follows, and whether that was its answer to CONNECT.
  let complaint: Error | undefined;
  let refused = false;
  let snapshot: StompClientState = {
    status: 'idle',
    attempt: 0,
    subprotocol: undefined,
    version: undefined,
    latency: undefined,
  };

  const { on, emit, report } = createListeners<StompClientEvents>(onError);

  function update(latency = snapshot.latency): void {
    const live = session?.connected ? session : undefined;
    const { state: status, attempt } = dial;
    snapshot = { status, attempt, subprotocol: live?.subprotocol, version: live?.version, latency };
    emit('state', snapshot);
  }

  // ── publishing ─────────────────────────────────────────────────────────────────────────────────────────────────

  function publish(parameters: PublishParameters, within?: ClientSession, transaction?: string): Promise<void> {
    const { destination, signal: aborted, receipt } = parameters;
    checkDestination(destination);
    const outcome = new Promise<void>((resolve, reject) => {
      const entry: Publish = {
        ...parameters,
        ...(transaction !== undefined && {
          headers: [['transaction', transaction], ...entriesOf(parameters.headers ?? [])],
        }),
        done(error) {
          aborted?.removeEventListener('abort', abort);
          if (error === undefined) return resolve();
          reject(error);
          if (aborted?.aborted) return;
          // Whoever asked for a receipt awaits the promise.
          if (!emit('dropped', parameters, error) && !receipt) report(error);
        },
      };
      const abort = (): void => {
        queue = queue.filter((each) => each !== entry);
        entry.done(aborted?.reason);
      };
      if (aborted?.aborted) return abort();
      aborted?.addEventListener('abort', abort);
      if (within) {
        // Not behind what waits: COMMIT would overtake it.
        if (within.connected) write(entry, within);
        else entry.done(new Error(transactionLost));
      } else if (leaving) entry.done(new Error('The client is disconnecting'));
      else if (queue.length === 0 && ready()) write(entry, session as ClientSession);
      else if (queue.length >= maxQueued)
        entry.done(new Error(`More than ${maxQueued} messages wait to be sent (maxQueued)`));
      else {
        queue.push(entry);
        want();
      }
    });
    outcome.catch(() => {});
    return outcome;
  }

  /** Something needs a connection. It does not cut a back-off short: only `connect()` does. */
  const want = (): void => {
    if (dial.state === 'idle') dial.start();
  };

  const ready = (): boolean => session?.connected === true && subscriptions.restored && !session.saturated;

  function write({ destination, headers = [], body, receipt, done }: Publish, to: ClientSession): void {
    try {
      const all = [['destination', destination], ...entriesOf(headers)] as const;
      if (receipt) return request(to, 'SEND', all, done, body);
      to.send('SEND', all, body, maxFrameBytes);
      done();
    } catch (error) {
      done(error);
    }
  }

  /** Send a frame and ask for its RECEIPT. */
  function request(
    to: ClientSession,
    command: string,
    headers: readonly (readonly [string, string])[],
    done: (error?: unknown) => void,
    body?: string | Uint8Array,
  ): void {
    const id = `receipt-${count++}`;
    to.send(command, [['receipt', id], ...headers], body, maxFrameBytes);
    to.expectReceipt(id, {
      received(latency) {
        update(latency);
        done();
      },
      failed: done,
    });
  }

  function flush(): void {
    while (queue.length > 0 && ready()) write(queue.shift() as Publish, session as ClientSession);
  }

  // ── subscriptions ──────────────────────────────────────────────────────────────────────────────────────────────

  const subscriptions = new ClientSubscriptions({
    timeout: connectionTimeout,
    restored: flush,
    unhandled: (message) => emit('unhandled', message),
    failed: (error) => emit('error', error),
    report,
  });

  function subscribe(
    destination: string,
    callback?: (message: ReceivedMessage) => void,
    headers?: PerConnection<HeaderInput>,
  ): StompSubscription {
    const subscription = subscriptions.open(destination, callback, headers);
    if (leaving) subscription.unsubscribe();
    else want();
    return subscription;
  }

  // ── the connection ─────────────────────────────────────────────────────────────────────────────────────────────

  const dial = dialServer({
    ...options,
    url: brokerURL ?? 'stomp:',
    transport: options.connect ?? webSocket(options.webSocketImpl),
    openTimeout: connectionTimeout,
    report,
    protocols: [
      {
        names: brokerURL === undefined ? [] : [...versions.map(subprotocolOf), 'stomp'],
        faults: stompClientFaults,
        open(connection, _, url) {
          const own = new ClientSession(connection, {
            versions,
            heartBeat: { outgoing: heartbeatOutgoing, incoming: heartbeatIncoming },
            tolerance: heartBeatTolerance,
            connectTimeout: connectionTimeout,
            receiptTimeout: options.receiptTimeout ?? 30_000,
            contentLength: options.contentLength,
            connected(headers) {
              dial.connected();
              subscriptions.restore(own);
              emit('connected', headers);
              for (const waiter of takeWaiters()) waiter.resolve();
              flush();
            },
            message: (frame) => subscriptions.deliver(frame, own),
            error(error, wasConnected) {
              complaint = error;
              refused = !wasConnected;
              emit('error', error);
            },
            heartbeatLost: () => emit('heartbeatLost'),
            drained: flush,
          });
          const failed = (error: unknown, fault: Fault): void => {
            complaint = error instanceof Error ? error : new Error(String(error));
            emit('error', error);
            connection.close(fault, 'connectHeaders');
          };
          session = own;
          connection.resume(
            Promise.resolve(ask(connectHeaders)),
            (headers) => {
              try {
                own.start(options.host ?? (brokerURL === undefined ? '/' : new URL(url).hostname), headers);
              } catch (error) {
                // Another attempt would fail alike.
                refused = true;
                failed(error, 'internal');
              }
            },
            (error) => failed(error, 'unavailable'),
          );
          return own;
        },
      },
    ],

    retry(end, attempt) {
      const { code, fault } = end;
      if (leaving || fault === 'unacceptable' || code === 4406) return false;
      if (code === 1008 || (refused && !passing.includes(code))) return false;
      return options.retry?.(end, attempt) ?? true;
    },

    changed(state, end) {
      if (state === 'connecting') {
        complaint = undefined;
        refused = false;
      }
      if (end) session = undefined;
      update();
      if (!end) return;
      const error = complaint ?? new ConnectionLost(end.code, end.reason, { cause: end.error });
      emit('disconnected', error, state === 'waiting');
      if (state === 'idle') giveUp(error);
    },
  });

  function takeWaiters(): typeof waiters {
    const taken = waiters;
    waiters = [];
    return taken;
  }

  /** Nothing that waits will happen any more. */
  function giveUp(error: unknown): void {
    const dropped = queue;
    queue = [];
    for (const waiter of takeWaiters()) waiter.reject(error);
    for (const entry of dropped) entry.done(error);
    subscriptions.end(leaving ? undefined : { error });
  }

  function open(): Promise<void> {
    const opened = (async () => {
      await leaving;
      signal?.throwIfAborted();
      if (dial.state === 'connected') return;
      await new Promise<void>((resolve, reject) => {
        waiters.push({ resolve, reject });
        dial.start();
      });
    })();
    // Whoever does not await it hears of it by `disconnected`.
    opened.catch(() => {});
    return opened;
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
    if (own?.connected) await new Promise<void>((resolve) => own.leave(timeout, resolve));
    const wasConnected = dial.state === 'connected';
    dial.stop();
    session = undefined;
    update();
    if (wasConnected) emit('disconnected', new ConnectionLost(1000, ''), false);
    giveUp(signal?.aborted ? signal.reason : new Error('The client was disconnected'));
  }

  // ── transactions ───────────────────────────────────────────────────────────────────────────────────────────────

  function begin(): Transaction {
    const own = session;
    if (!own?.connected) throw new Error('A transaction needs a connection: await connect() first');
    const id = `transaction-${count++}`;
    const header: AckHeaders = { transaction: id };
    own.send('BEGIN', header);
    return {
      id,
      publish: (parameters) => publish(parameters, own, id),
      ack: (message) => message.ack(header),
      nack: (message) => message.nack(header),
      async commit() {
        if (!own.connected) throw new Error(transactionLost);
        await new Promise<void>((resolve, reject) => {
          request(own, 'COMMIT', [['transaction', id]], (error) => (error === undefined ? resolve() : reject(error)));
        });
      },
      abort() {
        if (own.connected) own.send('ABORT', header);
      },
    };
  }

  const dispose = (): Promise<void> => disconnect();
  if (signal?.aborted) void disconnect();
  else signal?.addEventListener('abort', dispose, { once: true });

  return {
    state: { getSnapshot: () => snapshot, subscribe: (listener) => on('state', listener) },
    on,
    connect: open,
    disconnect,
    dispose,
    terminate() {
      dial.lose(4499, 'Terminated');
    },
    publish: (parameters) => publish(parameters),
    subscribe,
    begin,
    [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]: dispose,
  } as StompClient;
}
