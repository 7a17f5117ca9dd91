import { never, type Timed, type Timers } from './clock.ts';
import { CloseCode, closeReason, type Fault, type FaultCodes, ProtocolError } from './fault.ts';
import type { ClientLimits } from './limits.ts';
import type { Socket, SocketReceiver } from './socket.ts';
import type { BaseConnection, BaseSession } from './subprotocol.ts';

/** How often a transport is asked whether it takes more, in ms: not every one tells. */
export const drainPoll = 50;

/** How a client's connection ended. */
export interface ClientEnd {
  /** The close code; 1006 where the transport broke (RFC 6455 7.1.5). */
  readonly code: number;
  /** The close reason; '' where there was none. */
  readonly reason: string;
  /** What we closed for; then `code` and `reason` are our own, whatever the peer answered. */
  readonly fault?: Fault | undefined;
  /** What went wrong, where that is known. */
  readonly error?: unknown;
}

/** What {@link openConnection} needs beside a socket. */
export interface ClientConnectionOptions {
  /** Where time comes from. */
  readonly clock: Timers;
  /** The limits of the connection. */
  readonly limits: ClientLimits;
  /** Close codes of faults; 1011 for those that are not there. */
  readonly faults: FaultCodes;
  /** Errors that are not the peer's fault. Does not throw. */
  readonly report: (error: unknown) => void;
  /** Called exactly once, after the session was told. */
  ended(end: ClientEnd): void;
}

/** One socket and one session of a client. */
export interface ClientConnection extends BaseConnection, SocketReceiver {
  /** Open the session. It may send or close while it is made. */
  start(open: (connection: ClientConnection) => BaseSession): void;
  /** What the end that follows is about, such as the peer's last words: it becomes its `error`. */
  explain?(error: unknown): void;
  /** Is the peer still there? */
  probe(): void;
  /** Drop the transport at once. It has ended then, like this, whatever the transport says. */
  terminate(code?: number, reason?: string): void;
}

/**
 * A connection for clients alone: what a server does to hold out against strangers costs every page that loads it.
 *
 * open ──fault, finish──▶ closing (last words are out, close frame sent) ──closed, timeout──▶ ended
 */
export function openConnection(
  socket: Socket,
  { clock, limits, faults, report, ended }: ClientConnectionOptions,
): ClientConnection {
  const openedAt = clock.now();
  let session: BaseSession | undefined;
  let closing = false;
  let over = false;
  // Why we close: that counts, whether or not the peer answers, and with whatever code.
  let ending: ClientEnd | undefined;
  let explanation: unknown;
  // When to look whether the transport takes more; once closing, when to drop it.
  let wakeAt = never;

  /** Every call into the session passes here: nothing that it throws goes further. */
  function enter(run: (now: number) => void): void {
    if (closing) return;
    try {
      run(clock.now());
    } catch (error) {
      if (error instanceof ProtocolError) fail(error);
      else {
        report(error);
        fail(new ProtocolError('internal', undefined, { cause: error }));
      }
    }
    connection.touch();
  }

  function fail(error: ProtocolError): void {
    if (closing || ending) return;
    const { fault, message, cause = error } = error;
    ending = { code: faults[fault] ?? CloseCode.internalError, reason: closeReason(message), fault, error: cause };
    enter(() => session?.fail?.(error));
    shut(ending);
  }

  /** From here on nothing is sent and nothing is read; the peer has so long to agree. */
  function shut({ code, reason }: ClientEnd): void {
    if (closing) return;
    closing = true;
    wakeAt = clock.now() + limits.closeTimeout;
    connection.touch();
    socket.close(code, reason);
  }

  const connection: ClientConnection & Timed & { sentAt: number; receivedAt: number } = {
    limits,
    name: socket.protocol,
    raw: socket.raw,
    sentAt: openedAt,
    receivedAt: openedAt,
    get now() {
      return clock.now();
    },
    get closing() {
      return closing;
    },
    mustWait() {
      const full = socket.bufferedAmount > limits.highWaterMark / 2;
      if (full && !closing) {
        // Whoever is told so waits for `drained`.
        wakeAt = Math.min(wakeAt, clock.now() + drainPoll);
        connection.touch();
      }
      return full;
    },
    get deadline() {
      return closing ? wakeAt : Math.min(wakeAt, session?.deadline ?? never);
    },
    report,

    start: (open) =>
      enter(() => {
        session = open(connection);
      }),

    send(wire) {
      if (closing) return;
      socket.write([wire]);
      connection.sentAt = clock.now();
    },

    received: (data) =>
      enter((now) => {
        connection.receivedAt = now;
        session?.receive(data, now);
      }),

    drained: () => enter((now) => session?.drained(now)),

    probe: () => enter((now) => session?.probe?.(now)),

    explain(error) {
      explanation ??= error;
    },

    resume(outcome, then, otherwise) {
      Promise.resolve(outcome).then(
        (value) => enter((now) => then(value, now)),
        (error: unknown) =>
          enter((now) => {
            if (!otherwise) throw error;
            otherwise(error, now);
          }),
      );
    },

    touch: () => clock.watch(connection),

    tick(now) {
      if (now >= wakeAt) {
        wakeAt = never;
        if (closing) return connection.terminate();
        if (!connection.mustWait()) connection.drained();
      }
      if (now >= connection.deadline) enter(() => session?.tick(now));
    },

    close: (fault, detail) => fail(new ProtocolError(fault, detail)),

    finish(code: number = CloseCode.normal, reason = '') {
      if (!ending) shut({ code, reason: closeReason(reason) });
    },

    terminate(code: number = CloseCode.abnormal, reason = '') {
      if (over) return;
      ending ??= { code, reason };
      socket.terminate();
      connection.closed(code, reason);
    },

    closed(code, reason) {
      if (over) return;
      const end = ending ?? { code, reason };
      over = closing = true;
      wakeAt = never;
      clock.forget(connection);
      try {
        session?.end(end.code, end.reason);
      } catch (error) {
        report(error);
      }
      ended({ ...end, error: explanation ?? end.error });
    },
  };
  return connection;
}
