import { type BackoffOptions, backoff, readRetryHint } from './backoff.ts';
import {
  type ClientConnection,
  type ClientConnectionOptions,
  type ClientEnd,
  openConnection,
} from './client-connection.ts';
import { never, type Timed, type Timers } from './clock.ts';
import { ConnectionLost } from './connection-lost.ts';
import { CloseCode, messageOf, ProtocolError } from './fault.ts';
import type { ClientLimits } from './limits.ts';
import type { Attempt, Socket, SocketReceiver, Transport } from './socket.ts';
import type { ClientProtocol } from './subprotocol.ts';

/** A connection that was ready for so many ms was in good order: the next loss is the first of its row ([CONN-33]). */
const steadyAfter = 10_000;
/** After so many failures in a row the developer is told once ([CONN-44]). */
const failuresBeforeWarning = 3;

/** One address, several that are tried in turn, or a function that is asked before each attempt. */
export type Address = string | readonly string[] | (() => string | Promise<string>);

/**
 * - `idle`: nothing wanted, or given up
 * - `connecting`: an attempt is under way, up to the protocol's own acknowledgement
 * - `connected`: the protocol is ready
 * - `waiting`: lost; the next attempt comes after a back-off
 */
export type ConnectorState = 'idle' | 'connecting' | 'connected' | 'waiting';

/** What a connector asks of a protocol. */
export type ProtocolHandler = Pick<ClientProtocol, 'faults' | 'open'>;

/** What a {@link Connector} is made of. */
export interface ConnectorOptions {
  /** Where the server is. */
  readonly url: Address;
  /** Tokens of `Sec-WebSocket-Protocol`, by preference; none for byte streams. */
  readonly offered: readonly string[];
  /** Who speaks what the server chose; undefined: it was not offered. */
  choose(name: string): ProtocolHandler | undefined;
  /** How to reach the server. */
  readonly transport: Transport;
  /** Where time comes from. */
  readonly clock: Timers;
  /** Limits of its connections. */
  readonly limits: ClientLimits;
  /** Waits between attempts. */
  readonly backoff?: BackoffOptions | undefined;
  /** What has to be known before an attempt, such as a token; awaited within `openTimeout`. What it throws is an end by 4005. */
  readonly prepare?: (() => Promise<void>) | undefined;
  /** How long an attempt may take until the socket is open, in ms. */
  readonly openTimeout: number;
  /** Another kind of connection, for a client that has to hold back what it reads. */
  readonly connection?: ((socket: Socket, options: ClientConnectionOptions) => ClientConnection) | undefined;
  /**
   * Come back after this end? `attempt` counts from 0 since a connection was last in good order. A number waits so many
   * ms instead of the back-off; `false` gives up.
   */
  retry(end: ConnectionLost, attempt: number): boolean | number;
  /** Anything changed: the state, or the connection. `end` is there on the way to `waiting` and `idle`. */
  changed(state: ConnectorState, end?: ConnectionLost): void;
  /** Errors of hooks and listeners. Does not throw. */
  report(error: unknown): void;
  /** Told once, after three failures in a row, what is being tried and why it fails. Absent: nobody is. */
  readonly warn?: ((text: string) => void) | undefined;
  /** A connection that was stopped is closed by now. */
  left?(end: ConnectionLost): void;
  /** Hear of tabs that wake up and networks that come back, while something is wanted; returns how to stop. */
  onWake?(wake: () => void): () => void;
}

/** The life of a client's connection: dial, negotiate, notice the loss, wait, dial again, give up. */
export interface Connector extends Timed {
  /** How it stands. */
  readonly state: ConnectorState;
  /** What there is, from the moment the socket is open. */
  readonly connection: ClientConnection | undefined;
  /**
   * How often the connection was lost, or could not be made, since one was last in good order: ready for 10 s. So a
   * server that lets in and cuts at once meets growing waits. `retry` may count anew: 0.
   */
  attempt: number;
  /** A connection was lost, and is wanted still. */
  readonly wasLost: boolean;
  /** How the last attempt or connection ended; undefined: nothing failed since the protocol was last ready. */
  readonly error: ConnectionLost | undefined;
  /** When the next attempt begins, in ms since 1970; undefined: it does not wait for one. */
  readonly retryAt: number | undefined;
  /** Want a connection: begins an attempt, or cuts a wait short. Nothing happens if there is one already. */
  start(): void;
  /** The protocol is ready. */
  connected(): void;
  /** Want none any more: give the attempt or the wait up; a live connection is flushed and closed. */
  stop(code?: number, reason?: string): void;
  /** Drop what there is, as if it had been lost with this end, and begin anew at once: it is no failure. */
  lose(code: number, reason: string): void;
  /** A tab woke up or a network came back: do not wait any longer; is the peer still there? */
  wake(): void;
}

/** Hears a socket that nobody wants. */
export const ignoringReceiver: SocketReceiver = { received() {}, drained() {}, closed() {} };

/** Idle until `start()` is called. */
export function createDial(options: ConnectorOptions): Connector {
  const { url, offered, clock, report, onWake, connection: connect = openConnection } = options;
  let nextUrl = 0;
  // Which step this is: what an attempt of an earlier one still tells is not heard.
  let step = 0;
  let abandon: (() => void) | undefined;
  let sleep: (() => void) | undefined;
  // Where the attempt under way, or the last one, went.
  let address = 'url';
  let awaited = '';
  let connectedAt = 0;
  // The application itself drops the connection.
  let restarting = false;
  let warned = false;

  const dial = {
    keepsAlive: true,
    state: 'idle' as ConnectorState,
    connection: undefined as ClientConnection | undefined,
    deadline: never,
    attempt: 0,
    wasLost: false,
    error: undefined as ConnectionLost | undefined,
    retryAt: undefined as number | undefined,
    start() {
      if (dial.state === 'idle' || dial.state === 'waiting') begin();
    },
    connected() {
      if (dial.state !== 'connecting') return;
      connectedAt = clock.now();
      enter('connected');
    },
    stop(code?: number, reason?: string) {
      const { connection } = dial;
      // From here on its end is no loss.
      dial.connection = undefined;
      if (dial.state !== 'idle') enter('idle');
      connection?.finish(code, reason);
    },
    lose(code: number, reason: string) {
      if (dial.state === 'waiting') return void begin();
      restarting = true;
      if (dial.connection) dial.connection.terminate(code, reason);
      else if (dial.state === 'connecting') lost({ code, reason });
      restarting = false;
    },
    wake() {
      if (dial.state === 'waiting') begin();
      else dial.connection?.probe();
    },
    tick() {
      if (dial.state === 'waiting') begin();
      else lost({ code: CloseCode.abnormal, reason: `${awaited} within ${options.openTimeout} ms` });
    },
  };

  function wait(ms: number): void {
    dial.deadline = clock.now() + ms;
    clock.forget(dial);
    clock.watch(dial);
  }

  /** Give up what was under way, and begin another step: its number is returned. */
  function enter(state: ConnectorState, ms = never, end?: ConnectionLost): number {
    const own = ++step;
    abandon?.();
    abandon = undefined;
    dial.state = state;
    if (state !== 'connecting') dial.error = end;
    dial.retryAt = state === 'waiting' && ms < never ? clock.wall() + ms : undefined;
    if (state !== 'idle') sleep ??= onWake?.(dial.wake);
    else {
      sleep?.();
      sleep = undefined;
      dial.attempt = 0;
      dial.wasLost = false;
    }
    wait(ms);
    try {
      options.changed(state, end);
    } catch (error) {
      report(error);
    }
    return own;
  }

  async function begin(): Promise<void> {
    const own = enter('connecting', options.openTimeout);
    if (step !== own) return; // a listener stopped it
    const failed: Attempt['failed'] = (code, reason, error) => {
      if (step === own) lost({ code, reason, error });
    };
    try {
      awaited = 'url or connectionParams did not come';
      if (options.prepare) await options.prepare();
      const addresses = typeof url === 'function' ? [await url()] : [url].flat();
      const next = addresses[nextUrl++ % addresses.length] as string;
      if (step !== own) return;
      address = next;
      awaited = 'the socket did not open';
      if (options.prepare) wait(options.openTimeout);
      const giveUp = options.transport(address, offered, {
        opened(socket) {
          if (step === own) return opened(socket, next);
          // It was given up and opened nevertheless.
          socket.terminate();
          return ignoringReceiver;
        },
        failed,
      });
      // Some transports are open, or have failed, before they return: then there is nothing to give up.
      if (step === own && !dial.connection) abandon = giveUp;
    } catch (error) {
      // No URL of this transport: another attempt would fail alike, unless the next address is a better one.
      failed(CloseCode.clientError, messageOf(error), error);
    }
  }

  function opened(socket: Socket, url: string): SocketReceiver {
    const { protocol } = socket;
    const spoken = options.choose(protocol);
    const connection = connect(socket, {
      ...options,
      faults: spoken ? spoken.faults : { unacceptable: CloseCode.subprotocolNotAcceptable },
      ended(end) {
        if (dial.connection === connection) lost(end);
        else options.left?.(lossOf(end));
      },
    });
    abandon = undefined;
    wait(never);
    // Known before the session speaks, so that it can already be asked about.
    dial.connection = connection;
    connection.start((started) => {
      if (!spoken)
        throw new ProtocolError(
          'unacceptable',
          `The server chose ${protocol ? `"${protocol}"` : 'none'} of ${offered.join(', ')}`,
        );
      return spoken.open(started, protocol, url);
    });
    return connection;
  }

  const lossOf = ({ code, reason, fault, error }: ClientEnd, wasConnected = false): ConnectionLost =>
    new ConnectionLost(code, reason, { cause: error, fault, wasConnected });

  function lost(problem: ClientEnd): void {
    const own = step;
    const asked = restarting;
    restarting = false;
    const end = lossOf(problem, dial.state === 'connected');
    dial.connection = undefined;
    if (end.wasConnected && clock.now() - connectedAt >= steadyAfter) dial.attempt = 0;
    const attempt = asked ? dial.attempt : dial.attempt++;
    let answer: boolean | number = false;
    try {
      answer = options.retry(end, attempt);
    } catch (error) {
      report(error);
    }
    if (step !== own) return; // `retry` stopped it
    if (answer === false) return void enter('idle', never, end);
    dial.wasLost = true;
    if (asked) answer = 0;
    else if (answer === true) answer = backoff(attempt, options.backoff, readRetryHint(end.reason));
    warnOf(end);
    enter('waiting', answer, end);
  }

  /** [CONN-44] Trying for ever must not be silence. A device that knows that it is offline needs no words. */
  function warnOf({ message }: ConnectionLost): void {
    if (warned || dial.attempt < failuresBeforeWarning || globalThis.navigator?.onLine === false) return;
    warned = true;
    // What stands in a query may be a token.
    const [place] = address.split('?');
    options.warn?.(`subwire: ${place}: ${message}. Still trying; listen to "closed", or set warn: false`);
  }

  return dial;
}
