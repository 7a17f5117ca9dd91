import { never } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import { isPromise } from '../../core/promise-or.ts';
import type { Connection, Session, ShownCredentials } from '../../core/subprotocol.ts';
import { encodeUtf8 } from '../../core/wire.ts';
import { credentialsDestination } from '../protocol/credentials.ts';
import { Decoder, type DecoderLimits } from '../protocol/decoder.ts';
import { encodeFrame, endOfLine } from '../protocol/encoder.ts';
import { type Frame, type Headers, malformed } from '../protocol/frame.ts';
import { agreedVersion, isConnect, shorten } from '../protocol/frame-fields.ts';
import { type HeaderInput, ownHeaders } from '../protocol/headers.ts';
import { agreedInterval, beatFactors, type HeartBeat, parseHeartBeat } from '../protocol/heart-beat.ts';
import type { Version } from '../protocol/versions.ts';
import { errorFrame } from './error-frame.ts';
import type { StompLimits } from './limits.ts';

const noHeartBeat = parseHeartBeat();
const { early, tolerance } = beatFactors.server;
/** The body of a frame before CONNECTED, where none has one: nobody makes us keep more before it said who it is. */
const maxBodyBeforeConnected = 1_024;
/** Messages that come as text, and are longer, are taken as octets. */
const longText = 1_024;

/** What `authenticate` gets to see of a client. */
const shownBy = (headers: Headers): ShownCredentials => ({
  login: headers.get('login'),
  passcode: headers.get('passcode'),
  host: headers.get('host'),
  headers,
});

const showsCredentials = ({ command, headers }: Frame): boolean =>
  command === 'SEND' && headers.get('destination') === credentialsDestination;

/**
 * The side of a STOMP server that faces its client, whoever is behind it: pulls frames, negotiates, admits, beats, and
 * says last words. What frames mean is for the class that stands on it.
 *
 * opened ──CONNECT──▶ connecting ──connected()──▶ connected ──leave()──▶ leaving
 */
export abstract class ServerSession implements Session {
  /** What it speaks over. */
  readonly connection: Connection;
  /** What CONNECTED says; 1.0 before, which every client can read. */
  version: Version = '1.0';
  /** Nothing runs that a server which leaves should wait for. */
  abstract readonly idle: boolean;

  readonly #limits: StompLimits;
  readonly #heartBeat: HeartBeat;
  readonly #decoder: Decoder;
  readonly #decoderLimits: { -readonly [Name in keyof DecoderLimits]: number };
  #state: 'opened' | 'connecting' | 'connected' | 'leaving' = 'opened';
  #theirs = noHeartBeat;
  #agreed: Version = '1.0';
  #holds = 0;
  // Read and not processed: this connection has had its share of the turn.
  #read: Frame | undefined;
  // The frame that is being processed: ERROR names its receipt ([STOMP-63]).
  #frame: Frame | undefined;
  // The frame that the application is asked about.
  #awaited: Frame | undefined;
  #connectBy: number;
  #outcomeBy: number;
  #frameBy: number;
  #sendEvery: number;
  #expectWithin: number;

  constructor(connection: Connection, limits: StompLimits, heartBeat: HeartBeat) {
    this.connection = connection;
    this.#limits = limits;
    this.#heartBeat = heartBeat;
    const { maxHeaders, maxHeaderLine, maxHeaderBytes, maxBody } = limits;
    this.#decoderLimits = {
      maxHeaders,
      maxHeaderLine,
      maxHeaderBytes,
      maxBody: Math.min(maxBody, maxBodyBeforeConnected),
    };
    this.#decoder = new Decoder(this.#decoderLimits);
    this.#connectBy = connection.now + limits.connectTimeout;
    // Here, not where they are declared: there each would take memory of its own, in thousands of connections.
    this.#outcomeBy = this.#frameBy = this.#sendEvery = this.#expectWithin = never;
  }

  /** The client is let in; its input stays on hold until {@link connected} is called. */
  protected abstract admitted(headers: Headers): void;
  /** A frame of a connected client. What it throws is its last. */
  protected abstract process(frame: Frame): void;
  /** This frame was processed: its RECEIPT leaves, after those of the frames before it. */
  abstract processed(frame: Frame): void;
  /** A connected client closed its half without a DISCONNECT. */
  protected abstract peerLeft(): void;
  /** A peer that answers WebSocket pings lives, whether or not it beats. */
  protected get pongsSuffice(): boolean {
    return false;
  }
  /** A frame came; it is not looked at yet. */
  protected sees(_frame: Frame): void {}
  /** See {@link Session.drained}. */
  abstract drained(now: number): void;
  /** See {@link Session.end}. */
  abstract end(code: number, reason: string): void;

  /** [STOMP-14] A frame is octets, whatever message it comes in. */
  get takesBytes(): boolean {
    return true;
  }

  /** What is due while input is held back as well: a beat, and the outcome that it is held back for. */
  get sendBy(): number {
    return Math.min(this.#beatBy, this.#outcomeBy);
  }

  /** See {@link Session.deadline}. */
  get deadline(): number {
    return Math.min(this.#connectBy, this.#frameBy, this.sendBy, this.connection.receivedAt + this.#expectWithin);
  }

  /** See {@link Session.awaiting}. */
  get awaiting(): boolean {
    return this.#outcomeBy !== never;
  }

  get #beatBy(): number {
    return this.connection.sentAt + this.#sendEvery;
  }

  /** DISCONNECT came. */
  protected get disconnected(): boolean {
    return this.#state === 'leaving';
  }

  // ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** See {@link Session.receive}. */
  receive(data: string | Uint8Array, now: number): void {
    // [STOMP-66] Nothing may follow DISCONNECT: what does is not looked at.
    if (this.#state === 'leaving') return;
    // A header that is kept keeps all of the text in memory that it was cut from: of octets that is the head alone.
    this.#decoder.push(typeof data === 'string' && data.length > longText ? encodeUtf8(data) : data);
    this.#pull(now);
  }

  /** See {@link Session.released}. */
  released(now: number): void {
    this.#pull(now);
  }

  #pull(now: number): void {
    let pulled = false;
    while (this.#holds === 0 && this.#state !== 'leaving' && !this.connection.closing) {
      const frame = this.#read ?? this.#decoder.next();
      if (!frame) {
        if (!this.#decoder.partial) this.#frameBy = never;
        else if (pulled || this.#frameBy === never) this.#frameBy = now + this.#limits.frameTimeout;
        return;
      }
      pulled = true;
      // [STOMP-88] `released` is called when the others have had their turn.
      this.#read = this.connection.takeFrame() ? undefined : frame;
      if (this.#read) break;
      this.#frame = frame;
      this.sees(frame);
      this.#dispatch(frame);
      this.#frame = undefined;
    }
    this.#frameBy = never;
  }

  #dispatch(frame: Frame): void {
    const connects = isConnect(frame);
    if (this.#state === 'connected') {
      if (connects) throw malformed('a second CONNECT');
      if (showsCredentials(frame)) this.#refresh(frame);
      else this.process(frame);
    } else if (connects) this.#connect(frame);
    else throw malformed(`${shorten(frame.command)} before CONNECT`);
  }

  #connect(frame: Frame): void {
    const { headers } = frame;
    const { connection } = this;
    this.#connectBy = never;
    this.#agreed = agreedVersion(frame, connection.name);
    if (this.#agreed !== '1.0') this.#theirs = parseHeartBeat(headers.get('heart-beat'));
    this.#state = 'connecting';
    this.hold();
    this.expectOutcome();
    connection.authenticate(shownBy(headers), (admitted) => {
      // Input stays on hold: nothing that follows a refused CONNECT is looked at.
      if (!admitted) throw new ProtocolError('unauthorized', 'login or passcode was not accepted');
      this.outcomeCame();
      this.admitted(headers);
    });
  }

  /**
   * New credentials for a live connection: whoever it belongs to stays the same, since subscriptions are that user's. The
   * frames that follow wait; none of what was shown goes to hooks or to a broker ([STOMP-123]).
   */
  #refresh(frame: Frame): void {
    const { connection } = this;
    if (frame.headers.has('transaction')) throw malformed('new credentials in a transaction');
    const user = connection.principal?.name;
    const headers = new Map([...frame.headers].filter(([name]) => !ownHeaders.send.has(name)));
    this.hold();
    this.expectOutcome(frame);
    connection.authenticate(shownBy(headers), (admitted) => {
      this.outcomeCame();
      const isTheirs = connection.principal?.name === user;
      if (!admitted || !isTheirs) {
        const words = admitted ? 'the new credentials are of another user' : 'the new credentials were not accepted';
        return this.failed(frame, new ProtocolError('unauthorized', words));
      }
      this.processed(frame);
      this.release();
    });
  }

  /** Send CONNECTED with these headers and our own, and go on with the input. */
  protected connected(headers: Iterable<readonly [string, string]>): void {
    const { outgoing, incoming } = this.#heartBeat;
    const [canSend, wants] = this.#theirs;
    this.#sendEvery = Math.max(1, Math.floor(agreedInterval(outgoing, wants) * early));
    this.#expectWithin = this.pongsSuffice ? never : agreedInterval(canSend, incoming) * tolerance;
    // Thousands of connections need not remember it.
    this.#theirs = noHeartBeat;
    this.#state = 'connected';
    this.version = this.#decoder.version = this.#agreed;
    this.#decoderLimits.maxBody = this.#limits.maxBody;
    const own: [string, string][] = [['version', this.version]];
    if (this.version !== '1.0') own.push(['heart-beat', `${outgoing},${incoming}`]);
    this.send('CONNECTED', [...own, ...headers]);
    this.release();
  }

  /** The application is asked, and has `hookTimeout` to answer: else it would hold this connection for ever. */
  protected expectOutcome(frame?: Frame): void {
    this.#awaited = frame;
    this.#outcomeBy = this.connection.now + this.#limits.hookTimeout;
  }

  protected outcomeCame(): void {
    this.#awaited = undefined;
    this.#outcomeBy = never;
  }

  /** See {@link Session.hold}. */
  hold(): void {
    this.#holds++;
    this.connection.hold();
  }

  /** See {@link Session.release}. */
  release(): void {
    this.#holds--;
    this.connection.release();
  }

  /** Go on with an outcome; the frames that follow wait for it, and what fails is the fault of this frame. */
  settle<T>(frame: Frame, outcome: T | Promise<T>, then: (value: T) => void): void {
    if (!isPromise(outcome)) return then(outcome);
    this.hold();
    this.expectOutcome(frame);
    this.connection.resume(
      outcome,
      (value) => {
        this.outcomeCame();
        this.#frame = frame;
        try {
          then(value);
        } catch (error) {
          this.failed(frame, error);
        }
        this.#frame = undefined;
        this.release();
      },
      (error) => {
        this.outcomeCame();
        this.failed(frame, error);
        this.release();
      },
    );
  }

  /** This frame is at fault, though others were read meanwhile. Throws, unless it is only dropped. */
  protected failed(frame: Frame, error: unknown): void {
    this.#frame = frame;
    throw error;
  }

  // ── out ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Send a frame in the agreed version. Throws a `TypeError` if a header cannot be expressed in it ([STOMP-20]). */
  send(command: string, headers: HeaderInput, body: string | Uint8Array = ''): void {
    this.connection.send(encodeFrame(this.version, command, headers, body));
  }

  /** DISCONNECT came: nothing more is read, and nothing is expected. */
  protected leave(): void {
    this.#state = 'leaving';
    this.#frameBy = this.#expectWithin = never;
  }

  /** See {@link Session.tick}. */
  tick(now: number): void {
    const { connectTimeout, frameTimeout, hookTimeout } = this.#limits;
    if (now >= this.#connectBy) throw new ProtocolError('initTimeout', `no CONNECT within ${connectTimeout} ms`);
    if (now >= this.#frameBy) throw malformed(`a frame that did not end within ${frameTimeout} ms`);
    if (now >= this.connection.receivedAt + this.#expectWithin) {
      this.connection.close('heartbeat');
      // It could not take part in a close handshake.
      return this.connection.terminate();
    }
    if (now >= this.#outcomeBy) {
      this.#frame = this.#awaited;
      throw new ProtocolError('unavailable', `the application has not answered within ${hookTimeout} ms`);
    }
    if (now < this.#beatBy) return;
    this.connection.send(endOfLine);
    this.connection.flush();
  }

  /** See {@link Session.drain}. */
  drain(_now: number): void {}

  /** See {@link Session.peerEnded}. */
  peerEnded(): void {
    if (this.#state === 'connected') this.peerLeft();
    else if (this.#state !== 'leaving') this.connection.finish();
  }

  /** See {@link Session.fail}. */
  fail(error: ProtocolError): void {
    this.connection.send(errorFrame(error, this.#frame, this.version));
  }
}
