import { type BackoffOptions, backoff, readRetryHint } from './backoff.ts';
import { never, type Timed, type Timers } from './clock.ts';
import { type ConnectionEnd, type ConnectionOptions, LiveConnection } from './connection.ts';
import type { ClientLimits } from './limits.ts';
import { chosen, offer } from './offer.ts';
import type { Socket, SocketReceiver, Transport } from './socket.ts';
import type { ClientProtocol } from './subprotocol.ts';

/** One address, several that are tried in turn, or a function that is asked before each attempt. */
export type Address = string | readonly string[] | (() => string | Promise<string>);

/**
 * - `idle`: nothing wanted, or given up
 * - `connecting`: an attempt is under way, up to the protocol's own acknowledgement
 * - `connected`: the protocol is ready
 * - `waiting`: lost; the next attempt comes after a back-off
 */
export type DialState = 'idle' | 'connecting' | 'connected' | 'waiting';

/** How an attempt or a connection ended. `error` is there when it never opened. */
export interface DialEnd extends ConnectionEnd {
  readonly error?: unknown;
  /** The protocol had been ready. */
  readonly wasConnected: boolean;
}

export interface DialOptions {
  readonly url: Address;
  readonly protocols: readonly ClientProtocol[];
  readonly transport: Transport;
  readonly clock: Timers;
  readonly limits: ClientLimits;
  readonly backoff?: BackoffOptions | undefined;
  /** How long an attempt may take until the socket is open, in ms. */
  readonly openTimeout: number;
  /** Another kind of connection, for a client that has to hold back what it reads. */
  readonly connection?: ((socket: Socket, options: ConnectionOptions) => LiveConnection) | undefined;
  /**
   * Come back after this end? `attempt` counts from 0 since the protocol was last ready. A number waits so many ms
   * instead of the back-off; `false` gives up.
   */
  retry(end: DialEnd, attempt: number): boolean | number;
  /** Anything changed: the state, or the connection. `end` is there on the way to `waiting` and `idle`. */
  changed(state: DialState, end?: DialEnd): void;
  report(error: unknown): void;
}

/** Hears a socket that nobody wants. */
export const nobody: SocketReceiver = { received() {}, flush() {}, drained() {}, closed() {} };

/** The life of a client's connection: dial, negotiate, notice the loss, wait, dial again, give up. */
export class Dial implements Timed {
  readonly keepsAlive = true;
  state: DialState = 'idle';
  connection: LiveConnection | undefined;
  deadline: number = never;
  /** How often the connection was lost, or could not be made, since it was last ready. */
  attempt = 0;

  readonly #options: DialOptions;
  #next = 0;
  // An attempt that was given up must not come back: its outcome is compared with this.
  #current: object | undefined;
  #abandon: (() => void) | undefined;
  #wasConnected = false;

  constructor(options: DialOptions) {
    this.#options = options;
  }

  /** Want a connection: begins an attempt, or cuts a wait short. Nothing happens if there is one already. */
  start(): void {
    if (this.state === 'idle' || this.state === 'waiting') this.#begin();
  }

  /** The protocol is ready: the next loss counts from the start. */
  connected(): void {
    if (this.state !== 'connecting') return;
    this.attempt = 0;
    this.#wasConnected = true;
    this.#change('connected');
  }

  /** Want none any more: give the attempt or the wait up; a live connection is flushed and closed. */
  stop(code?: number, reason?: string): void {
    const { connection } = this;
    this.#giveUp();
    this.attempt = 0;
    this.connection = undefined;
    if (this.state !== 'idle') this.#change('idle');
    connection?.finish(code, reason);
  }

  /** Drop what there is at once, as if it had been lost with this end; a wait for the next attempt is cut short. */
  lose(code: number, reason: string): void {
    const { connection, state } = this;
    if (state === 'waiting') this.#begin();
    if (state !== 'connecting' && state !== 'connected') return;
    this.connection = undefined;
    connection?.terminate();
    this.#lost({ code, reason, wasConnected: this.#wasConnected });
  }

  /** A tab woke up or a network came back: do not wait any longer; is the peer still there? */
  wake(): void {
    if (this.state === 'waiting') this.#begin();
    else this.connection?.probe();
  }

  tick(): void {
    if (this.state === 'waiting') this.#begin();
    else if (this.state === 'connecting' && !this.connection) this.#failed(1006, 'Connection timeout');
  }

  #begin(): void {
    const { url, clock, openTimeout } = this.#options;
    const attempt = {};
    this.#current = attempt;
    this.#wasConnected = false;
    this.#wait(clock.now() + openTimeout);
    this.#change('connecting');
    if (this.#current !== attempt) return; // a listener stopped it
    if (typeof url === 'string') return this.#open(url, attempt);
    if (typeof url !== 'function') return this.#open(url[this.#next++ % url.length] as string, attempt);
    // In a promise, so that a function that throws at once is treated as one that rejects.
    new Promise<string>((resolve) => resolve(url())).then(
      (address) => this.#current === attempt && this.#open(address, attempt),
      (error) => this.#current === attempt && this.#failed(4005, messageOf(error), error),
    );
  }

  #open(url: string, attempt: object): void {
    const { transport, protocols } = this.#options;
    try {
      const abandon = transport(url, offer(protocols), {
        opened: (socket) => {
          if (this.#current === attempt) return this.#opened(socket, url);
          // It was given up and opened nevertheless.
          socket.terminate();
          return nobody;
        },
        failed: (code, reason, error) => {
          if (this.#current === attempt) this.#failed(code, reason, error);
        },
      });
      // Some transports are open, or have failed, before they return: then there is nothing to abandon.
      if (this.#current === attempt && !this.connection) this.#abandon = abandon;
    } catch (error) {
      // No URL of this transport: another attempt would fail alike, unless the next address is a better one.
      if (this.#current === attempt) this.#failed(4005, messageOf(error), error);
    }
  }

  #failed(code: number, reason: string, error?: unknown): void {
    this.#lost({ code, reason, error, wasConnected: false });
  }

  #opened(socket: Socket, url: string): SocketReceiver {
    const { protocols, clock, limits, report, connection: make } = this.#options;
    const { protocol } = socket;
    const spoken = chosen(protocol, protocols);
    this.#wait(never);
    this.#abandon = undefined;
    if (!spoken) {
      const reason = `Server chose ${protocol ? `"${protocol}"` : 'none'} of the offered subprotocols`;
      socket.close(4406, reason);
      this.#lost({ code: 4406, reason, fault: 'unacceptable', wasConnected: false });
      return nobody;
    }
    const options: ConnectionOptions = {
      clock,
      limits,
      report,
      faults: spoken.faults,
      ended: (ended, end) => {
        if (this.connection !== ended) return;
        this.connection = undefined;
        this.#lost({ ...end, wasConnected: this.#wasConnected });
      },
    };
    const connection = make ? make(socket, options) : new LiveConnection(socket, options);
    // Known before the session speaks, so that it can already be asked about.
    this.connection = connection;
    connection.start((opened) => spoken.open(opened, protocol, url));
    return connection;
  }

  #lost(end: DialEnd): void {
    this.#giveUp();
    const lost = {};
    this.#current = lost;
    const wait = this.#waitAfter(end, this.attempt++);
    if (this.#current !== lost) return; // `retry` stopped it
    if (wait === false) {
      this.attempt = 0;
      return this.#change('idle', end);
    }
    this.#wait(this.#options.clock.now() + wait);
    this.#change('waiting', end);
  }

  #waitAfter(end: DialEnd, attempt: number): number | false {
    const { retry, report } = this.#options;
    try {
      const decision = retry(end, attempt);
      if (decision === true) return backoff(attempt, this.#options.backoff, readRetryHint(end.reason));
      if (decision === false || decision >= 0) return decision;
      throw new TypeError(`retry must return true, false, or a number of ms from 0 up; got ${decision}`);
    } catch (error) {
      report(error);
      return false;
    }
  }

  #giveUp(): void {
    this.#current = undefined;
    this.#abandon?.();
    this.#abandon = undefined;
    this.#wait(never);
  }

  #wait(deadline: number): void {
    this.deadline = deadline;
    if (deadline === never) this.#options.clock.forget(this);
    else this.#options.clock.watch(this);
  }

  #change(state: DialState, end?: DialEnd): void {
    this.state = state;
    try {
      this.#options.changed(state, end);
    } catch (error) {
      this.#options.report(error);
    }
  }
}

/** What an error says, whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
