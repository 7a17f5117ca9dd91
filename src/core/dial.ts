import { type BackoffOptions, backoff, readRetryHint } from './backoff.ts';
import {
  type ClientConnection,
  type ClientConnectionOptions,
  type ClientEnd,
  openConnection,
} from './client-connection.ts';
import { never, type Timed, type Timers } from './clock.ts';
import { messageOf, ProtocolError } from './fault.ts';
import type { ClientLimits } from './limits.ts';
import type { Attempt, Socket, SocketReceiver, Transport } from './socket.ts';
import type { ClientProtocol } from './subprotocol.ts';

/** One address, several that are tried in turn, or a function that is asked before each attempt. */
export type Address = string | readonly string[] | (() => string | Promise<string>);

/**
 * - `idle`: nothing wanted, or given up
 * - `connecting`: an attempt is under way, up to the protocol's own acknowledgement
 * - `connected`: the protocol is ready
 * - `waiting`: lost; the next attempt comes after a back-off
 */
export type ConnectorState = 'idle' | 'connecting' | 'connected' | 'waiting';

/** How an attempt or a connection ended. */
export interface ConnectorEnd extends ClientEnd {
  /** The protocol had been ready. */
  readonly wasConnected: boolean;
}

/** What a dial asks of a protocol. */
export type ProtocolHandler = Pick<ClientProtocol, 'faults' | 'open'>;

export interface ConnectorOptions {
  readonly url: Address;
  /** Tokens of `Sec-WebSocket-Protocol`, by preference; none for byte streams. */
  readonly offered: readonly string[];
  /** Who speaks what the server chose; undefined: it was not offered. */
  choose(name: string): ProtocolHandler | undefined;
  readonly transport: Transport;
  readonly clock: Timers;
  readonly limits: ClientLimits;
  readonly backoff?: BackoffOptions | undefined;
  /** How long an attempt may take until the socket is open, in ms. */
  readonly openTimeout: number;
  /** Another kind of connection, for a client that has to hold back what it reads. */
  readonly connection?: ((socket: Socket, options: ClientConnectionOptions) => ClientConnection) | undefined;
  /**
   * Come back after this end? `attempt` counts from 0 since the protocol was last ready. A number waits so many ms
   * instead of the back-off; `false` gives up.
   */
  retry(end: ConnectorEnd, attempt: number): boolean | number;
  /** Anything changed: the state, or the connection. `end` is there on the way to `waiting` and `idle`. */
  changed(state: ConnectorState, end?: ConnectorEnd): void;
  /** Errors of hooks and listeners. Does not throw. */
  report(error: unknown): void;
  /** A connection that was stopped is closed by now. */
  left?(end: ClientEnd): void;
  /** Hear of tabs that wake up and networks that come back, while something is wanted; returns how to stop. */
  onWake?(wake: () => void): () => void;
}

/** The life of a client's connection: dial, negotiate, notice the loss, wait, dial again, give up. */
export interface Connector extends Timed {
  readonly state: ConnectorState;
  readonly connection: ClientConnection | undefined;
  /** How often the connection was lost, or could not be made, since it was last ready. `retry` may count anew: 0. */
  attempt: number;
  /** Want a connection: begins an attempt, or cuts a wait short. Nothing happens if there is one already. */
  start(): void;
  /** The protocol is ready: the next loss counts from the start. */
  connected(): void;
  /** Want none any more: give the attempt or the wait up; a live connection is flushed and closed. */
  stop(code?: number, reason?: string): void;
  /** Drop what there is at once, as if it had been lost with this end; a wait for the next attempt is cut short. */
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

  const dial = {
    keepsAlive: true,
    state: 'idle' as ConnectorState,
    connection: undefined as ClientConnection | undefined,
    deadline: never,
    attempt: 0,
    start() {
      if (dial.state === 'idle' || dial.state === 'waiting') begin();
    },
    connected() {
      if (dial.state === 'connecting') enter('connected');
    },
    stop(code?: number, reason?: string) {
      const { connection } = dial;
      // From here on its end is no loss.
      dial.connection = undefined;
      if (dial.state !== 'idle') enter('idle');
      connection?.finish(code, reason);
    },
    lose(code: number, reason: string) {
      if (dial.connection) dial.connection.terminate(code, reason);
      else if (dial.state === 'connecting') lost({ code, reason });
      else dial.wake();
    },
    wake() {
      if (dial.state === 'waiting') begin();
      else dial.connection?.probe();
    },
    tick() {
      dial.lose(1006, 'Connection timeout');
    },
  };

  function wait(ms: number): void {
    dial.deadline = clock.now() + ms;
    clock.forget(dial);
    clock.watch(dial);
  }

  /** Give up what was under way, and begin another step: its number is returned. */
  function enter(state: ConnectorState, ms = never, end?: ConnectorEnd): number {
    const own = ++step;
    abandon?.();
    abandon = undefined;
    dial.state = state;
    if (state === 'idle' || state === 'connected') dial.attempt = 0;
    if (state !== 'idle') sleep ??= onWake?.(dial.wake);
    else {
      sleep?.();
      sleep = undefined;
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
      const addresses = typeof url === 'function' ? [await url()] : [url].flat();
      const address = addresses[nextUrl++ % addresses.length] as string;
      if (step !== own) return;
      const giveUp = options.transport(address, offered, {
        opened(socket) {
          if (step === own) return opened(socket, address);
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
      failed(4005, messageOf(error), error);
    }
  }

  function opened(socket: Socket, url: string): SocketReceiver {
    const { protocol } = socket;
    const spoken = options.choose(protocol);
    const connection = connect(socket, {
      ...options,
      faults: spoken ? spoken.faults : { unacceptable: 4406 },
      ended(end) {
        if (dial.connection === connection) lost(end);
        else options.left?.(end);
      },
    });
    abandon = undefined;
    wait(never);
    // Known before the session speaks, so that it can already be asked about.
    dial.connection = connection;
    connection.start((started) => {
      if (!spoken) throw new ProtocolError('unacceptable', `Subprotocol "${protocol}" was not offered`);
      return spoken.open(started, protocol, url);
    });
    return connection;
  }

  function lost(problem: ClientEnd): void {
    const own = step;
    const end: ConnectorEnd = { ...problem, wasConnected: dial.state === 'connected' };
    dial.connection = undefined;
    let answer: boolean | number = false;
    try {
      answer = options.retry(end, dial.attempt++);
    } catch (error) {
      report(error);
    }
    if (step !== own) return; // `retry` stopped it
    if (answer === true) answer = backoff(dial.attempt - 1, options.backoff, readRetryHint(end.reason));
    if (answer === false) enter('idle', never, end);
    else enter('waiting', answer, end);
  }

  return dial;
}
