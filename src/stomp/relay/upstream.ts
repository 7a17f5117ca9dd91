import { never } from '../../core/clock.ts';
import type { ConnectionLost } from '../../core/connection-lost.ts';
import { type Connector, createDial } from '../../core/dial.ts';
import { CloseCode, type Fault, ProtocolError } from '../../core/fault.ts';
import type { ServerConnection } from '../../core/server-connection.ts';
import type { Transport } from '../../core/socket.ts';
import type { Connection, Session } from '../../core/subprotocol.ts';
import {
  type ClientSession,
  type ClientSessionHandler,
  type ClientSessionOptions,
  openClientSession,
} from '../client/client-session.ts';
import type { StompError } from '../client/errors.ts';
import { encodeFrame } from '../protocol/encoder.ts';
import { type Entries, expressibleHeaders, forwardFrame } from '../protocol/forward-frame.ts';
import type { Frame, Headers } from '../protocol/frame.ts';
import { shorten } from '../protocol/frame-fields.ts';
import type { HeartBeat } from '../protocol/heart-beat.ts';
import type { Version } from '../protocol/versions.ts';
import type { PendingReceipt } from '../server/receipts.ts';
import type { Availability, BrokerAddresses } from './availability.ts';
import type { ChooseConnectHeaders } from './connect-headers.ts';
import type { BrokerLink, RelayClient } from './relay-client.ts';
import { brokerConnections, overStreams } from './upstream-connection.ts';

/** All that the relay needs, such as acknowledging each message by itself, is in these. */
const brokerVersions: readonly Version[] = ['1.2', '1.1'];
/** What connections to the broker have in common. */
export interface UpstreamOptions extends BrokerAddresses {
  /** Who wants to know whether the broker is there. */
  readonly availability: Availability;
  /** What this side offers to the broker. */
  readonly heartbeat: HeartBeat;
  /** The virtual host at the broker. */
  readonly host: string;
  /** Log in as this, whoever the client is; undefined: with what the client showed. */
  readonly login: string | undefined;
  /** The passcode of `login`. */
  readonly passcode: string | undefined;
  /** What of a client's CONNECT goes on beside login and passcode. */
  readonly connectHeaders: ChooseConnectHeaders;
  /** What clients hear when there is no broker. */
  readonly unavailable: () => string;
}

/** Sends heart-beats while it does not read, and waits for nobody once it failed. */
function openUpstreamSession(
  connection: Connection,
  options: ClientSessionOptions,
  host: ClientSessionHandler,
  failed: (error: ProtocolError) => void,
): ClientSession & Session {
  return Object.assign(openClientSession(connection, options, host), {
    idle: true,
    drain() {},
    fail(error: ProtocolError) {
      failed(error);
      connection.afterTurn(() => connection.terminate());
    },
  });
}

/** The connection to the broker that belongs to one client. It is never used for another one. */
export class Upstream implements BrokerLink, ClientSessionHandler {
  readonly #client: RelayClient;
  readonly #headers: Headers;
  readonly #chosen: ReadonlyMap<string, string>;
  readonly #options: UpstreamOptions;
  readonly #dial: Connector;
  #connection: Connection | undefined;
  #session: ClientSession | undefined;
  #address = 0;
  #receipts = 0;
  // The receipt of the frame that the broker's ERROR is about.
  #failedReceipt: string | undefined;
  #disconnected: ((processed: boolean) => void) | undefined;

  constructor(client: RelayClient, headers: Headers, options: UpstreamOptions) {
    const { transports, availability, clock, limits, connectTimeout, report } = options;
    const { length } = transports;
    this.#client = client;
    this.#headers = headers;
    this.#chosen = options.connectHeaders(client.client, headers);
    this.#options = options;
    this.#dial = createDial({
      url: transports.map((_, index) => String((index + availability.preferred) % length)),
      transport: (url, protocols, attempt) => {
        this.#address = Number(url);
        return (transports[this.#address] as Transport)(url, protocols, attempt);
      },
      ...overStreams((connection) => this.#open(connection as ServerConnection)),
      connection: brokerConnections(clock, limits),
      clock,
      limits,
      openTimeout: connectTimeout,
      report,
      retry: (end, attempt) => (!end.wasConnected && attempt + 1 < length ? 0 : false),
      changed: (state, end) => {
        if (state === 'idle' && end) this.#lost(end);
      },
    });
  }

  /** Dial the broker. */
  start(): void {
    this.#dial.start();
  }

  #open(connection: Connection): ClientSession & Session {
    const { host, login, passcode, heartbeat, connectTimeout } = this.#options;
    const own = login === undefined ? this.#headers : new Map(Object.entries({ login, passcode: passcode ?? '' }));
    const headers = new Map<string, string>();
    for (const name of ['login', 'passcode']) {
      const value = own.get(name);
      if (value !== undefined) headers.set(name, value);
    }
    for (const [name, value] of this.#chosen) headers.set(name, value);
    const options: ClientSessionOptions = {
      versions: brokerVersions,
      heartbeatOutgoing: heartbeat.outgoing,
      heartbeatIncoming: heartbeat.incoming,
      connectionTimeout: connectTimeout,
      receiptTimeout: never,
      maxFrameBytes: never,
    };
    const session = openUpstreamSession(connection, options, this, (error) => this.#failed(error));
    this.#connection = connection;
    this.#session = session;
    session.start(host, expressibleHeaders('raw', headers));
    return session;
  }

  // ── to the broker ──────────────────────────────────────────────────────────────────────────────────────────────

  /** See {@link BrokerLink.saturated}. */
  get saturated(): boolean {
    return this.#connection?.mustWait() === true;
  }

  /** See {@link BrokerLink.acksById}. */
  get acksById(): boolean {
    return this.#session?.version === '1.2';
  }

  /** See {@link BrokerLink.pass}. */
  pass(headers: Entries, frame: Frame, receipt: PendingReceipt | undefined): void {
    const { version } = this.#session as ClientSession;
    this.#connection?.send(
      forwardFrame(
        version as Version,
        receipt === undefined ? headers : [...headers, ['receipt', this.#expect(receipt)]],
        frame,
      ),
    );
  }

  /** Receipts have names of our own on the broker's side: a client may use one twice. */
  #expect(receipt: PendingReceipt): string {
    const name = String(++this.#receipts);
    this.#session?.expect(name, 'RECEIPT', never, (error, _, headers) => {
      if (error) this.#failedReceipt = receipt.receipt;
      else this.#client.receipt(receipt, headers);
    });
    return name;
  }

  /** See {@link BrokerLink.hold}. */
  hold(): void {
    this.#connection?.hold();
  }

  /** See {@link BrokerLink.release}. */
  release(): void {
    this.#connection?.release();
  }

  /** See {@link BrokerLink.disconnect}. */
  disconnect(done: (processed: boolean) => void): void {
    const receipt = String(++this.#receipts);
    this.#disconnected = done;
    this.#session?.expect(receipt, 'RECEIPT', never, (error) => {
      if (!error) done(true);
    });
    this.#connection?.send(encodeFrame('1.2', 'DISCONNECT', { receipt }));
  }

  /** See {@link BrokerLink.leave}. */
  leave(): void {
    if (this.#session?.connected && !this.#disconnected) this.#connection?.send(encodeFrame('1.2', 'DISCONNECT'));
    this.#dial.stop();
  }

  // ── from the broker ────────────────────────────────────────────────────────────────────────────────────────────

  /** The broker said CONNECTED. */
  connected(headers: Headers): void {
    this.#dial.connected();
    this.#options.availability.reached(this.#address);
    this.#client.client.connection.resume(undefined, () => this.#client.brokerConnected(headers));
  }

  /** A MESSAGE of the broker. */
  message(frame: Frame): void {
    this.#client.message(frame);
  }

  /** The broker takes more. */
  drained(): void {
    this.#client.client.connection.resume(undefined, () => this.#client.brokerDrained());
  }

  /** The broker said ERROR. */
  error(error: StompError): void {
    const wasConnected = this.#session?.connected;
    const { login, report, availability } = this.#options;
    if (!wasConnected && login !== undefined) {
      // The client's own login was good: this is between the relay and its broker.
      report(new Error(`The broker refused the login of the relay: ${error.message} ${error.body}`.trim()));
      return this.#client.brokerLost(this.#options.unavailable());
    }
    const headers = new Map(error.headers);
    headers.delete('receipt-id');
    if (this.#failedReceipt !== undefined) headers.set('receipt-id', this.#failedReceipt);
    const fault = wasConnected ? faultOf(error) : 'unauthorized';
    if (fault === 'unavailable') availability.doubt();
    this.#client.brokerError(headers, error.body, new ProtocolError(fault, shorten(error.message)));
  }

  /** Nobody measures here. */
  measured(): void {}

  /** The broker is silent, or what it says is not STOMP: the latter is for somebody to look at. */
  #failed({ fault, message }: ProtocolError): void {
    if (fault === 'heartbeat' || fault === 'initTimeout') return;
    this.#options.report(new Error(`The connection to the broker was given up: ${message}`));
    this.#client.brokerLost(this.#options.unavailable());
  }

  #lost({ code }: ConnectionLost): void {
    const disconnected = this.#disconnected;
    this.#disconnected = undefined;
    // It read everything up to DISCONNECT and closed, as it should, though it did not say so.
    if (disconnected) return disconnected(code === CloseCode.normal);
    this.#options.availability.doubt();
    this.#client.brokerLost(this.#options.unavailable());
  }
}

/** What an ERROR of a broker is about; all that brokers give is words. */
function faultOf({ message, body }: StompError): Fault {
  const words = `${message} ${body}`;
  if (/access[ _]refused|access denied|not (?:authori[sz]ed|allowed|permitted)|SecurityException/i.test(words)) {
    return 'forbidden';
  }
  if (/connection_forced|shut(?:ting)?[ _-]?down|stopping|stopped|resource[_-]?(?:alarm|limit)/i.test(words)) {
    return 'unavailable';
  }
  return 'unacceptable';
}
