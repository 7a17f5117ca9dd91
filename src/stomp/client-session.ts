import { never } from '../core/clock.ts';
import { ProtocolError } from '../core/fault.ts';
import type { BaseConnection, BaseSession } from '../core/subprotocol.ts';
import type { StompClientOptions } from './client-options.ts';
import { Decoder, encodeFrame, encodeHead, endOfLine, type Frame, type HeaderInput, type Headers } from './codec.ts';
import { ConnectionLost, StompError } from './errors.ts';
import { entriesOf } from './headers.ts';
import { split } from './split.ts';
import { agreedInterval, versions as allVersions, parseHeartBeat, type Version } from './versions.ts';

/** Beat after this part of the agreed time, so that the beat is there when it is due. */
const early = 0.8;
/**
 * After so many intervals of silence a server is gone ([STOMP-37]). ActiveMQ looks at each interval whether it has sent
 * something in it, so that its beat may come just after two.
 */
const tolerance = 2.1;
/** A server is trusted with more than a client is, but not with all of our memory ([STOMP-23]). */
const decoderLimits = { maxHeaders: 1_000, maxHeaderLine: 262_144, maxHeaderBytes: 262_144 };

/** Told once of what came of something: an error, or nothing. */
export type Done = (error?: unknown) => void;

/** As much of the options of a client as its sessions need. */
export type ClientSessionOptions = Pick<
  StompClientOptions,
  | 'versions'
  | 'heartbeatOutgoing'
  | 'heartbeatIncoming'
  | 'connectionTimeout'
  | 'receiptTimeout'
  | 'contentLength'
  | 'maxFrameBytes'
>;

/** What a client hears from each of its sessions. */
export interface ClientSessionHost {
  connected(headers: Headers): void;
  message(frame: Frame): void;
  /** While `connected`, if it had been; the connection is closed afterwards. */
  error(error: StompError): void;
  heartbeatLost(): void;
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
  send(command: string, headers: HeaderInput, body?: string | Uint8Array, done?: Done, receipt?: boolean): boolean;
  /** Wait for the RECEIPT of a frame that was just sent with this `receipt` header. */
  expectReceipt(id: string, done: Done): void;
  /** Send DISCONNECT and nothing after it; `left` is called once its RECEIPT came, `timeout` ms passed or the link broke ([STOMP-66] [STOMP-67]). */
  leave(timeout: number, left: Done): void;
  /** Go on with what was received and held back. */
  released(): void;
}

interface Receipt {
  readonly sentAt: number;
  readonly done: Done;
}

/** connecting ──CONNECTED──▶ connected ──leave──▶ leaving */
export function openClientSession(
  connection: BaseConnection,
  options: ClientSessionOptions,
  host: ClientSessionHost,
): ClientSession {
  const { versions = allVersions, heartbeatOutgoing = 10_000, heartbeatIncoming = 10_000 } = options;
  const { connectionTimeout = 10_000, receiptTimeout = 30_000, contentLength, maxFrameBytes } = options;
  const decoder = new Decoder({ ...decoderLimits, maxBody: connection.limits.maxPayload });
  // All wait equally long, so the oldest is the first.
  const receipts = new Map<string, Receipt>();
  let count = 0;
  let version: Version | undefined;
  let leaving = false;
  // When CONNECTED, or the RECEIPT of DISCONNECT, has to be there.
  let until = connection.now + connectionTimeout;
  let sendEvery = never;
  let expectEvery = never;
  let complaint: StompError | undefined;

  const connected = (): boolean => version !== undefined && !leaving && !connection.closing;
  const sendBy = (): number => connection.sentAt + sendEvery;
  const expectBy = (): number => connection.receivedAt + expectEvery;

  function expectReceipt(id: string, done: Done): void {
    receipts.set(id, { sentAt: connection.now, done });
    connection.touch();
  }

  /** False: nobody waits for it. */
  function settle(id = '', error?: unknown): boolean {
    const receipt = receipts.get(id);
    if (!receipt) return false;
    receipts.delete(id);
    if (!error && connected()) host.measured(connection.now - receipt.sentAt);
    receipt.done(error);
    return true;
  }

  /** No RECEIPT comes any more: whoever leaves need not wait for the close handshake as well. */
  const left = (): void => void settle('disconnect');

  function write(command: string, headers: HeaderInput, body?: string | Uint8Array): void {
    const bare = contentLength === false && typeof body === 'string' && !body.includes('\0');
    const wire = bare
      ? { head: `${encodeHead(version as Version, command, headers)}\n${body}\0`, binary: false }
      : encodeFrame(version as Version, command, headers, body);
    if (maxFrameBytes === undefined) connection.send(wire);
    else for (const piece of split(wire, maxFrameBytes)) connection.send(piece);
  }

  function take(frame: Frame): void {
    const { command, headers } = frame;
    if (command === 'ERROR') {
      const error = new StompError(frame);
      // An ERROR that names no frame may be about any of those that wait.
      if (!settle(headers.get('receipt-id'), error)) complaint = error;
      host.error(error);
      // [STOMP-63] Brokers that leave the connection open after an ERROR are not listened to any longer either.
      connection.finish();
      left();
    } else if (!version && command === 'CONNECTED') welcome(headers);
    else if (version && command === 'MESSAGE') host.message(frame);
    else if (version && command === 'RECEIPT') settle(headers.get('receipt-id'));
    else throw new ProtocolError('malformed', `${command} is not expected here`);
  }

  function welcome(headers: Headers): void {
    // [STOMP-28] A 1.0 server does not say it.
    const spoken = (headers.get('version') ?? '1.0') as Version;
    if (!versions.includes(spoken)) throw new ProtocolError('unacceptable', `STOMP ${spoken} was not offered`);
    version = decoder.version = spoken;
    until = never;
    if (version !== '1.0') {
      const [canSend, wants] = parseHeartBeat(headers.get('heart-beat'));
      sendEvery = agreedInterval(heartbeatOutgoing, wants) * early;
      expectEvery = agreedInterval(canSend, heartbeatIncoming) * tolerance;
    }
    host.connected(headers);
  }

  function released(): void {
    while (!connection.closing) {
      const frame = decoder.next();
      if (frame === undefined) return;
      take(frame);
    }
  }

  return {
    get version() {
      return version;
    },
    get connected() {
      return connected();
    },
    get sendBy() {
      return sendBy();
    },
    get deadline() {
      const oldest = receipts.values().next().value;
      return Math.min(until, sendBy(), expectBy(), oldest ? oldest.sentAt + receiptTimeout : never);
    },
    expectReceipt,
    released,

    start(virtualHost, headers = []) {
      const all = new Map([
        ['accept-version', versions.join()],
        ['host', virtualHost],
        ['heart-beat', `${heartbeatOutgoing},${heartbeatIncoming}`],
        ...entriesOf(headers),
      ]);
      connection.send(encodeFrame('1.2', 'CONNECT', all));
    },

    send(command, headers, body, done = () => {}, receipt = false) {
      const able = connected();
      if (!able) done(new Error('The connection is gone'));
      else if (receipt) {
        const id = `receipt-${count++}`;
        write(command, [['receipt', id], ...entriesOf(headers)], body);
        expectReceipt(id, done);
      } else {
        write(command, headers, body);
        done();
      }
      return able;
    },

    fail: left,

    leave(timeout, done) {
      write('DISCONNECT', { receipt: 'disconnect' });
      leaving = true;
      // [STOMP-66] Not even a heart-beat follows.
      sendEvery = never;
      until = connection.now + timeout;
      expectReceipt('disconnect', done);
    },

    receive(data) {
      decoder.push(data);
      released();
    },

    tick(now) {
      if (now >= until) {
        if (!leaving) throw new ProtocolError('initTimeout');
        until = never;
        left();
      } else if (now >= expectBy()) {
        host.heartbeatLost();
        connection.close('heartbeat', 'Heartbeat timeout');
        // A peer that is gone takes part in no close handshake.
        connection.terminate();
      } else {
        if (now >= sendBy()) connection.send(endOfLine);
        for (const [id, { sentAt }] of receipts) {
          if (now < sentAt + receiptTimeout) break;
          settle(id, new Error(`No RECEIPT came within ${receiptTimeout} ms`));
        }
      }
    },

    drained() {
      host.drained();
    },

    /** Something for the link to do: one that is broken says so sooner. */
    probe() {
      if (connected()) connection.send(endOfLine);
    },

    end(code, reason) {
      for (const id of receipts.keys()) settle(id, complaint ?? new ConnectionLost(code, reason));
    },
  };
}
