import type { Clock } from '../../core/clock.ts';
import { type Connector, createDial } from '../../core/dial.ts';
import type { ConnectionLimits } from '../../core/limits.ts';
import { silentSession } from '../../core/negotiate.ts';
import type { ServerConnection } from '../../core/server-connection.ts';
import type { Transport } from '../../core/socket.ts';
import { brokerConnections, overStreams } from './upstream-connection.ts';

/** Full jitter up to these many ms between two looks at a broker that is away. */
const backoff = { base: 500, cap: 5_000 };

/**
 * `reason` says why it is away, in words of the network; '' when it is there. `address` is the one that answers, or that
 * was tried last: as the option `broker` has it, or its place there where that is a transport, such as `broker[1]`.
 */
export type AvailabilityListener = (available: boolean, reason: string, address: string) => void;

/** What it takes to reach the broker. */
export interface BrokerAddresses {
  /** One way to each address. */
  readonly transports: readonly Transport[];
  /** What each is called, for who wants to know. */
  readonly names: readonly string[];
  /** Its time. */
  readonly clock: Clock;
  /** Limits of each connection to the broker. */
  readonly limits: ConnectionLimits;
  /** How long one address may take, in ms: to open, and then to say CONNECTED. */
  readonly connectTimeout: number;
  /** Told of errors that are no client's fault. */
  readonly report: (error: unknown) => void;
}

/**
 * Is the broker there? The connections of clients tell; only while they give reason to doubt is it looked at on its
 * own account, by a connection that is opened and closed. A relay that nobody uses leaves its broker alone.
 */
export class Availability {
  /** Undefined: nobody has tried yet. */
  available: boolean | undefined;
  /** The address that answered last: the next client begins there. */
  preferred = 0;

  readonly #addresses: BrokerAddresses;
  readonly #listeners = new Set<AvailabilityListener>();
  #probe: Connector | undefined;

  constructor(addresses: BrokerAddresses) {
    this.#addresses = addresses;
  }

  /** Hear of every change. Whoever listens wants to know, so that a first look is taken. Returns how to stop. */
  on(listener: AvailabilityListener): () => void {
    // One that listens twice hears twice, and stops once.
    const own: AvailabilityListener = (available, reason, address) => listener(available, reason, address);
    this.#listeners.add(own);
    if (this.available === undefined) this.doubt();
    return () => void this.#listeners.delete(own);
  }

  /** The broker said CONNECTED. */
  reached(address: number): void {
    this.preferred = address;
    this.#stop();
    this.#change(true, '', address);
  }

  /** A connection failed or was lost: it may be gone. */
  doubt(): void {
    if (this.#probe) return;
    const { transports, clock, limits, connectTimeout, report } = this.#addresses;
    const { length } = transports;
    let address = 0;
    const probe: Connector = createDial({
      url: transports.map((_, index) => String(index)),
      transport(url, protocols, attempt) {
        address = Number(url);
        return (transports[address] as Transport)(url, protocols, attempt);
      },
      ...overStreams((connection) => {
        (connection as ServerConnection).afterTurn(() => {
          if (this.#probe !== probe) return;
          this.#stop();
          this.#change(true, '', address);
        });
        return silentSession;
      }),
      connection: brokerConnections(clock, limits),
      clock,
      limits,
      openTimeout: connectTimeout,
      backoff,
      report,
      // All addresses in turn, then a pause.
      retry: (_end, attempt) => ((attempt + 1) % length === 0 ? true : 0),
      changed: (state, end) => {
        if (state === 'waiting' && end && probe.attempt % length === 0) this.#change(false, end.reason, address);
      },
    });
    this.#probe = probe;
    probe.start();
  }

  /** Look no more. */
  dispose(): void {
    this.#stop();
    this.#listeners.clear();
  }

  #stop(): void {
    const probe = this.#probe;
    this.#probe = undefined;
    probe?.stop();
  }

  #change(available: boolean, reason: string, address: number): void {
    if (this.available === available) return;
    this.available = available;
    for (const listener of this.#listeners) {
      try {
        listener(available, reason, this.#addresses.names[address] ?? '');
      } catch (error) {
        this.#addresses.report(error);
      }
    }
  }
}
