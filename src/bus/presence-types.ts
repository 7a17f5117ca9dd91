import type { Clock } from '../core/clock.ts';
import type { OpenConnection } from '../core/open-connection.ts';
import type { OnError } from '../core/reports.ts';
import type { Handshake, Principal } from '../core/subprotocol.ts';
import type { ClientAccess } from './access.ts';
import type { Subscription } from './subscription.ts';

/** Somebody who is in a topic, by however many connections, to whichever servers. */
export interface Present {
  /** The name. */
  readonly user: string;
  /** What the application said of them last: JSON. */
  readonly info: unknown;
}

/** What is told of a topic. */
export type PresenceChange =
  /** Who is there, at the beginning of a subscription. */
  | { readonly type: 'state'; readonly topic: string; readonly present: readonly Present[] }
  /** Somebody came, left for longer than `window`, or has other info. */
  | ({ readonly type: 'join' | 'leave' | 'update'; readonly topic: string } & Present);

/** One tracked presence: a connection in a topic, say. */
export interface Tracked {
  /** Say something else of them. Throws as `track` does. */
  update(info: unknown): void;
  /** They are gone. May be called again. */
  leave(): void;
}

/** Whom an application may say something of. */
export interface PresentClient {
  /** Whom `authenticate` named. */
  readonly principal: Principal | undefined;
  /** The request that opened the connection. */
  readonly handshake: Handshake;
}

/** What `presence()` takes beside the bus. */
export interface PresenceOptions {
  /**
   * The name of this presence: it is told on the topics `<group>/<topic>`, and servers speak about it among themselves.
   *
   * @defaultValue `'presence'`
   */
  readonly group?: string | undefined;
  /**
   * What clients of protocols that name topics may do with `<group>/…`: nothing, or read who is there. STOMP subscribes to
   * `/topic/presence/room.1`. Resolvers are the application and are not asked.
   *
   * @defaultValue `'none'`
   */
  readonly clients?: ClientAccess | undefined;
  /**
   * Who comes back within so many ms has not left: a page that is loaded again does not flicker.
   *
   * @defaultValue 10_000
   */
  readonly window?: number | undefined;
  /**
   * How often a server says that it lives, in ms, where it has nothing else to say. Those of a server that was silent for
   * three times as long leave.
   *
   * @defaultValue 5_000
   */
  readonly interval?: number | undefined;
  /**
   * How many presences are kept, those of other servers included.
   *
   * @defaultValue 100_000
   */
  readonly maxEntries?: number | undefined;
  /**
   * What they may cost in memory, in bytes.
   *
   * @defaultValue 67_108_864
   */
  readonly maxBytes?: number | undefined;
  /**
   * How many of them one user may have on this server.
   *
   * @defaultValue 1_000
   */
  readonly maxUserEntries?: number | undefined;
  /**
   * What is said of a client that the hooks track: JSON of at most 4,096 bytes.
   *
   * @defaultValue nothing
   */
  readonly info?: ((client: PresentClient) => unknown) | undefined;
  /**
   * Told of what nobody waits for: a client that could not be tracked, an `info` that threw.
   *
   * @defaultValue `console.error`
   */
  readonly onError?: OnError | undefined;
  /** @internal */
  readonly clock?: Clock | undefined;
}

/** How a presence stands. */
export interface PresenceStats {
  /** Presences that are kept, those of other servers included. */
  readonly entries: number;
  /** What they cost in memory, in bytes. */
  readonly bytes: number;
  /** Topics with somebody in them. */
  readonly topics: number;
  /** Other servers that are known. */
  readonly servers: number;
  /** Presences that were not kept, since there was no room. */
  readonly dropped: number;
}

/** What is told, by event: on every server of the bus, once per user and topic. */
export interface PresenceEvents {
  /** Somebody is there who was not. */
  join(topic: string, present: Present): void;
  /** Somebody has left, and did not come back within the window. */
  leave(topic: string, present: Present): void;
  /** Something else is said of somebody. */
  update(topic: string, present: Present): void;
}

/** Hooks of `attach()` and `listenTcp()` that track who is connected, in the topic `connected`. */
export interface EndpointPresenceHooks {
  /** Those whom `authenticate` named are tracked. */
  onConnect(connection: OpenConnection): void;
  /** They are gone. */
  onDisconnect(connection: OpenConnection): void;
}

/** A subscription of a STOMP client, as the broker's hooks tell it. */
export interface StompSubscriptionEvent extends PresentClient {
  /** The `session` of CONNECTED. */
  readonly session: string;
  /** As the client wrote it. */
  readonly destination: string;
}

/** Hooks of `stompBroker()` that track who subscribes to which `/topic/…`, and tell readers of a presence who is there. */
export interface StompPresenceHooks {
  /** Those whom `authenticate` named are tracked; wildcards are not. */
  onSubscribed(event: StompSubscriptionEvent): void;
  /** They are gone. */
  onUnsubscribed(event: StompSubscriptionEvent): void;
  /** The first message of a subscription to `/topic/<group>/…`: who is there now. */
  onSubscribe(request: { readonly destination: string }): { body: string; contentType: string } | undefined;
}

/** Who is where, on all servers of a bus: made by `presence()`. */
export interface Presence {
  /**
   * Somebody is in a topic now, until `leave()`. Throws a `TypeError` that names what is wrong, and a `ProtocolError`
   * `tooMany` if there is no room.
   */
  track(topic: string, user: string, info?: unknown): Tracked;
  /** Who is in a topic, on all servers, in the order in which they came to be known here. */
  list(topic: string): readonly Present[];
  /** Who is there, then each change: for a resolver to return. */
  subscribe(topic: string): Subscription<PresenceChange>;
  /** Hear of everybody. Returns how to stop. What a listener throws is reported. */
  on<Event extends keyof PresenceEvents>(event: Event, listener: PresenceEvents[Event]): () => void;
  /** For an endpoint: `attach(http, { ...present.endpoint, protocols })`. */
  readonly endpoint: EndpointPresenceHooks;
  /** For a STOMP broker: `stompBroker({ bus, ...present.stomp })`. */
  readonly stomp: StompPresenceHooks;
  /** How it stands. */
  stats(): PresenceStats;
  /**
   * This server leaves: those who are here leave on the others, unless they come back elsewhere within the window. Call it
   * before `bus.close()`, or the others learn of it when this server is silent.
   */
  close(): void;
}

/** What a presence keeps, and its times, unless said otherwise: see {@link PresenceOptions}. */
export const presenceDefaults = {
  /** In ms. */
  window: 10_000,
  /** In ms. */
  interval: 5_000,
  /** Over all servers. */
  maxEntries: 100_000,
  /** In bytes. */
  maxBytes: 67_108_864,
  /** On this server. */
  maxUserEntries: 1_000,
} as const;
