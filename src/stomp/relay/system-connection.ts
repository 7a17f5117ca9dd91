import type { Clock } from '../../core/clock.ts';
import { ProtocolError } from '../../core/fault.ts';
import type { Transport } from '../../core/socket.ts';
import { createStompClient } from '../client/client.ts';
import type { StompClient } from '../client/client-types.ts';
import { StompError } from '../client/errors.ts';
import { ownHeaders } from '../protocol/headers.ts';
import type { HeartBeat } from '../protocol/heart-beat.ts';
import type { Outgoing } from '../server/outgoing.ts';
import type { Availability } from './availability.ts';

/** Who the server is at its broker when it sends by itself. */
export interface SystemLogin {
  /** The user name; absent: the broker lets in who shows none. */
  readonly login?: string | undefined;
  /** Its password. */
  readonly passcode?: string | undefined;
}

/** What it takes to send to a broker for the application. */
export interface SystemConnectionOptions {
  /** One way to each address. */
  readonly transports: readonly Transport[];
  /** Knows which address answered last. */
  readonly availability: Availability;
  /** Who the server is; undefined: nobody said, so that nothing can be sent. */
  readonly system: SystemLogin | undefined;
  /** The virtual host. */
  readonly host: string;
  /** Towards the broker. */
  readonly heartbeat: HeartBeat;
  /** How long one address may take to say CONNECTED, in ms. */
  readonly connectTimeout: number;
  /** Its time. */
  readonly clock: Clock;
  /** Told of errors that are nobody's fault. */
  readonly report: (error: unknown) => void;
}

/**
 * The server's own connection to a broker behind it, for what the application sends: opened with the first message, by a
 * login of its own, and never used for a client ([RELAY-26]). While the broker is away a message is refused at once or as
 * soon as all addresses were tried, and the next one tries again: nothing waits here for a broker to return.
 */
export class SystemConnection {
  readonly #options: SystemConnectionOptions;
  #client: StompClient | undefined;
  #disposed = false;

  constructor(options: SystemConnectionOptions) {
    this.#options = options;
  }

  /** Send. Resolves when the broker has confirmed it; rejects with a {@link ProtocolError} if it does not. */
  async publish({ destination, body, contentType, headers = noHeaders }: Outgoing): Promise<void> {
    const { system, availability } = this.#options;
    if (!system) {
      throw new ProtocolError(
        'forbidden',
        `${destination} is at the broker, where this server has no login: stompRelay({ system: { login, passcode } })`,
      );
    }
    if (this.#disposed || availability.available === false)
      throw new ProtocolError('unavailable', 'the broker is not available');
    this.#client ??= this.#open(system);
    // One that names a transaction would end this connection, and with it what others wait for.
    const sent = [...headers].filter(([name]) => !ownHeaders.send.has(name));
    if (contentType !== undefined) sent.push(['content-type', contentType]);
    try {
      await this.#client.publish({ destination, body, headers: sent, receipt: true });
    } catch (cause) {
      const fault = cause instanceof StompError ? 'forbidden' : 'unavailable';
      const { message } = cause as Error;
      throw new ProtocolError(fault, `the broker has not confirmed a message to ${destination}: ${message}`, { cause });
    }
  }

  #open({ login, passcode }: SystemLogin): StompClient {
    const { transports, availability, host, heartbeat, connectTimeout, clock, report } = this.#options;
    const { length } = transports;
    let tried = 0;
    const client = createStompClient({
      transport: (url, protocols, attempt) =>
        (transports[(availability.preferred + tried) % length] as Transport)(url, protocols, attempt),
      connectHeaders: Object.entries({ login, passcode }).filter((entry): entry is [string, string] => !!entry[1]),
      host,
      heartbeatOutgoing: heartbeat.outgoing,
      heartbeatIncoming: heartbeat.incoming,
      openTimeout: connectTimeout,
      connectionTimeout: connectTimeout,
      // Each address once; whoever sends next tries again.
      retry({ wasConnected }) {
        tried = wasConnected ? length : tried + 1;
        if (tried < length) return 0;
        tried = 0;
        return false;
      },
      warn: false,
      onError: report,
      clock,
    });
    // What is lost is told to whoever sent it, and `dropped` would report it again.
    client.on('dropped', () => {});
    client.on('closed', ({ wasConnected }, comesBack) => {
      if (!wasConnected && !comesBack) availability.doubt();
    });
    return client;
  }

  /** Close the connection. */
  dispose(): void {
    this.#disposed = true;
    void this.#client?.dispose();
  }
}

const noHeaders: ReadonlyMap<string, string> = new Map();
