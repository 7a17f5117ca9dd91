import { never } from '../../core/clock.ts';
import { ConnectionLost } from '../../core/connection-lost.ts';
import { CloseCode, ProtocolError } from '../../core/fault.ts';
import { isPromise } from '../../core/promise-or.ts';
import type { BaseConnection, BaseSession } from '../../core/subprotocol.ts';
import { Decoder } from '../protocol/decoder.ts';
import { encodeFrame, endOfLine } from '../protocol/encoder.ts';
import type { Frame, Headers } from '../protocol/frame.ts';
import type { HeaderInput } from '../protocol/headers.ts';
import { isSecret, joined } from '../protocol/headers.ts';
import { agreedInterval, beatFactors, parseHeartBeat } from '../protocol/heart-beat.ts';
import { splitFrame } from '../protocol/split-frame.ts';
import type { Version } from '../protocol/versions.ts';
import { StompError } from './errors.ts';

const { early, tolerance } = beatFactors.client;
/** A server is trusted with more than a client is, but not with all of our memory ([STOMP-23]). */
const decoderLimits = { maxHeaders: 1_000, maxHeaderLine: 262_144, maxHeaderBytes: 262_144 };
/** What a frame with a `receipt` waits for. */
const receiptOf = 'RECEIPT';

/**
 * Told once of what came of something: an error, or nothing. `blamed`: the ERROR names no frame, and this one is the first
 * that was not answered, so that it is most likely about it. `receipt`: the headers of its RECEIPT.
 */
export type Done = (error?: unknown, blamed?: boolean, receipt?: Headers) => void;

/** A frame that was sent or received, for `onFrame`. */
export interface SeenFrame {
  /** Which way it went. */
  readonly direction: 'sent' | 'received';
  /** Such as SEND or MESSAGE. */
  readonly command: string;
  /** Its headers; the values of those that may hold a secret, such as `passcode`, are left out. */
  readonly headers: Headers;
  /** Its body, '' if it has none. */
  readonly body: string | Uint8Array;
}

/** As much of the options of a client as its sessions need; times in ms. */
export interface ClientSessionOptions {
  /** Versions to offer. */
  readonly versions: readonly Version[];
  /** How often we can send; 0: not at all. */
  readonly heartbeatOutgoing: number;
  /** How often the server shall send; 0: no matter. */
  readonly heartbeatIncoming: number;
  /** How long CONNECTED may take. */
  readonly connectionTimeout: number;
  /** How long the RECEIPT of a frame may take. */
  readonly receiptTimeout: number;
  /** Give text its length? */
  readonly contentLength?: boolean | undefined;
  /** Split larger frames into WebSocket messages of so many bytes. */
  readonly maxFrameBytes: number;
  /** Send every frame as a binary message. */
  readonly forceBinary?: boolean | undefined;
  /** Text messages come without the NUL at their end. */
  readonly appendMissingNul?: boolean | undefined;
  /** Sees each frame. */
  readonly onFrame?: ((frame: SeenFrame) => void) | undefined;
}

/** What a client hears from each of its sessions. */
export interface ClientSessionHandler {
  /** CONNECTED came, with these headers. */
  connected(headers: Headers): void;
  /** A MESSAGE came. */
  message(frame: Frame): void;
  /** While `connected`, if it had been; the connection is closed afterwards. */
  error(error: StompError): void;
  /** The transport takes more. */
  drained(): void;
  /** A RECEIPT came, so many ms after its frame was sent. */
  measured(latency: number): void;
}

/** The client's side of one STOMP connection. */
export interface ClientSession extends BaseSession {
  /** What CONNECTED said; undefined before. */
  readonly version: Version | undefined;
  /** Frames can be sent: after CONNECTED, before DISCONNECT. */
  readonly connected: boolean;
  /** When the next heart-beat is due, unless something else is sent. */
  readonly sendBy: number;
  /** Send CONNECT. `headers` win over those that are made here. Throws a `TypeError` on a header that it cannot carry. */
  start(host: string, headers?: HeaderInput): void;
  /**
   * Send a frame. `done` is told when it was written, with `receipt` when its RECEIPT came ([STOMP-61]). False: nothing
   * was sent, since it is not `connected`. Throws a `TypeError` on a header that the version cannot carry.
   */
  send(
    command: string,
    headers: HeaderInput,
    body?: string | Uint8Array,
    done?: Done,
    receipt?: boolean,
    contentLength?: boolean,
  ): boolean;
  /**
   * `done` is told an error if nothing came within so many ms or the connection ended, and nothing if a RECEIPT came
   * whose id is `key`. Whoever waits for something else takes any object as the key, and ignores `done` once it came.
   */
  expect(key: unknown, what: string, ms: number, done: Done, measured?: boolean): void;
  /** Send DISCONNECT and nothing after it; `left` is called once its RECEIPT came, `timeout` ms passed or the link broke ([STOMP-66] [STOMP-67]). */
  leave(timeout: number, left: Done): void;
  /** Go on with what was received and held back. */
  released(): void;
}

/** Somebody waits for what has to come within `ms`. */
interface Pending {
  readonly what: string;
  readonly since: number;
  readonly ms: number;
  readonly done: Done;
  readonly measured: boolean;
}

/** connecting ──CONNECTED──▶ connected ──leave──▶ leaving */
export function openClientSession(
  connection: BaseConnection,
  options: ClientSessionOptions,
  host: ClientSessionHandler,
): ClientSession {
  const { versions, heartbeatOutgoing, heartbeatIncoming, onFrame, forceBinary } = options;
  const decoder = new Decoder({ ...decoderLimits, maxBody: connection.limits.maxPayload });
  // By the id of their RECEIPT, if that is what they wait for.
  const pending = new Map<unknown, Pending>();
  // When CONNECTED, or later one of them, may be late.
  let lateAt = connection.now + options.connectionTimeout;
  let count = 0;
  // Between CONNECTED and DISCONNECT.
  let ready = false;
  let sendEvery = never;
  let expectEvery = never;

  const expectBy = (): number => connection.receivedAt + expectEvery;

  /** False: nobody waits for it. */
  function settle(key: unknown, error?: unknown, blamed = false, receipt?: Headers): boolean {
    const waiting = pending.get(key);
    if (!waiting) return false;
    pending.delete(key);
    if (!error && session.connected && waiting.measured) host.measured(connection.now - waiting.since);
    waiting.done(error, blamed, receipt);
    return true;
  }

  /** Nothing comes any more. */
  function settleAll(error: unknown): void {
    let first = true;
    for (const [key, { what }] of pending) {
      const frame = what === receiptOf;
      settle(key, error, frame && first);
      first &&= !frame;
    }
  }

  function see(
    direction: SeenFrame['direction'],
    command: string,
    headers: HeaderInput,
    body: string | Uint8Array,
  ): void {
    const shown = joined(headers).map(([name, value]) => [name, isSecret(name) ? '…' : value] as const);
    // Of a header that is repeated the first one counts.
    const report = (error: unknown): void => connection.report(error);
    try {
      const told: unknown = onFrame?.({ direction, command, headers: new Map(shown.reverse()), body });
      if (isPromise(told)) Promise.resolve(told).catch(report);
    } catch (error) {
      // [STOMP-76]
      report(error);
    }
  }

  function transmit(
    command: string,
    version: Version,
    headers: HeaderInput,
    body?: string | Uint8Array,
    contentLength?: boolean,
  ): void {
    const wire = encodeFrame(version, command, headers, body, contentLength);
    if (onFrame) see('sent', command, headers, body ?? '');
    for (const piece of splitFrame(wire, options.maxFrameBytes)) {
      connection.send(forceBinary ? { ...piece, binary: true } : piece);
    }
  }

  /** Whoever leaves need not wait for the close handshake as well. */
  const left = (): void => void settle('disconnect');

  function take(frame: Frame): void {
    const { command, headers } = frame;
    if (onFrame) see('received', command, headers, frame.text);
    if (command === 'ERROR') {
      const error = new StompError(frame);
      const named = settle(headers.get('receipt-id'), error);
      host.error(error);
      // One that names no frame may be about any of those that wait.
      if (!named) settleAll(error);
      // [STOMP-63] Brokers that leave the connection open after an ERROR are not listened to any longer either.
      connection.finish();
      left();
    } else if (!session.version && command === 'CONNECTED') welcome(headers);
    else if (session.version && command === 'MESSAGE') host.message(frame);
    else if (session.version && command === 'RECEIPT') settle(headers.get('receipt-id'), undefined, false, headers);
    else throw new ProtocolError('malformed', `${command} is not expected here`);
  }

  function welcome(headers: Headers): void {
    // [STOMP-28] A 1.0 server does not say it.
    const version = (headers.get('version') ?? '1.0') as Version;
    if (!versions.includes(version)) throw new ProtocolError('unacceptable', `STOMP ${version} was not offered`);
    session.version = decoder.version = version;
    ready = true;
    if (version !== '1.0') {
      const [canSend, wants] = parseHeartBeat(headers.get('heart-beat'));
      sendEvery = agreedInterval(heartbeatOutgoing, wants) * early;
      expectEvery = agreedInterval(canSend, heartbeatIncoming) * tolerance;
    }
    host.connected(headers);
  }

  const session = {
    version: undefined as Version | undefined,
    get connected() {
      return ready && !connection.closing;
    },
    get sendBy() {
      return connection.sentAt + sendEvery;
    },
    get deadline() {
      return Math.min(lateAt, session.sendBy, expectBy());
    },

    start(virtualHost: string, headers: HeaderInput = []) {
      const own = {
        'accept-version': versions.join(),
        host: virtualHost,
        'heart-beat': `${heartbeatOutgoing},${heartbeatIncoming}`,
      };
      transmit('CONNECT', '1.2', new Map(joined(own, headers)));
    },

    send(
      command: string,
      headers: HeaderInput,
      body?: string | Uint8Array,
      done?: Done,
      receipt?: boolean,
      contentLength = options.contentLength,
    ) {
      if (!session.connected) {
        done?.(new ConnectionLost(CloseCode.abnormal, 'The connection is gone', { wasConnected: true }));
        return false;
      }
      const id = receipt && `receipt-${count++}`;
      const all = id ? joined({ receipt: id }, headers) : headers;
      transmit(command, session.version as Version, all, body, contentLength);
      // Many subscriptions come back at once: their round trips say no more than one does.
      const measured = !command.endsWith('SUBSCRIBE');
      if (id && done) session.expect(id, receiptOf, options.receiptTimeout, done, measured);
      else done?.();
      return true;
    },

    expect(key: unknown, what: string, ms: number, done: Done, measured = true) {
      const since = connection.now;
      pending.set(key, { what, since, ms, done, measured });
      lateAt = Math.min(lateAt, since + ms);
      connection.touch();
    },

    leave(timeout: number, done: Done) {
      session.send('DISCONNECT', { receipt: 'disconnect' });
      ready = false;
      // [STOMP-66] Not even a heart-beat follows.
      sendEvery = never;
      session.expect('disconnect', 'answer to DISCONNECT', timeout, done);
    },

    fail: left,

    receive(data: string | Uint8Array) {
      // [STOMP-119] What React Native cut off; heart-beats have none.
      const cut = options.appendMissingNul && typeof data === 'string' && /[^\n\r\0][\n\r]*$/.test(data);
      decoder.push(cut ? `${data}\0` : data);
      session.released();
    },

    released() {
      while (!connection.closing) {
        const frame = decoder.next();
        if (!frame) return;
        take(frame);
      }
    },

    tick(now: number) {
      if (now >= expectBy()) {
        connection.close('heartbeat', 'Heartbeat timeout');
        // A peer that is gone takes part in no close handshake.
        return connection.terminate();
      }
      if (now >= session.sendBy) session.probe();
      if (now < lateAt) return;
      if (!session.version) throw new ProtocolError('initTimeout');
      lateAt = never;
      for (const [key, { what, since, ms }] of pending) {
        if (now >= since + ms) settle(key, new Error(`No ${what} came within ${ms} ms`));
        else lateAt = Math.min(lateAt, since + ms);
      }
    },

    drained: () => host.drained(),

    /** Something for the link to do: one that is broken says so sooner. */
    probe() {
      if (session.connected) connection.send(endOfLine);
    },

    end(code: number, reason: string) {
      settleAll(new ConnectionLost(code, reason));
    },
  };
  return session;
}
