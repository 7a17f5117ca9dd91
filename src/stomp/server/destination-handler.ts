import type { Connection } from '../../core/subprotocol.ts';
import type { Entries } from '../protocol/forward-frame.ts';
import type { Frame, Headers } from '../protocol/frame.ts';
import type { AckMode } from '../protocol/frame-fields.ts';
import type { Version } from '../protocol/versions.ts';
import type { Application, ApplicationClient, Permission } from './application.ts';
import type { Route } from './destinations.ts';
import type { Outgoing } from './outgoing.ts';
import type { Answer, PendingReceipt } from './receipts.ts';

/** What a SUBSCRIBE says of itself. */
export interface SubscriptionPlan {
  /** The client's own id; undefined: it gave none, which 1.0 allows ([STOMP-42]). */
  readonly id: string | undefined;
  /** As the client wrote it. */
  readonly destination: string;
  /** Who acknowledges what ([STOMP-47]). */
  readonly mode: AckMode;
  /** The prefetch-count that the client asks for; undefined: as the limit says. */
  readonly prefetch?: number | undefined;
}

/** A client of a STOMP server, as the handlers of its destinations see it. */
export interface HandlerClient extends ApplicationClient {
  /** The version of STOMP that was agreed with this client. */
  readonly version: Version;
  /** The application's hooks. */
  readonly application: Application;
  /** Nothing more is delivered: the connection has ended, or it is about to. */
  readonly leaving: boolean;
  /** The server drains: what was confirmed is still delivered, and nothing is confirmed that could not be. */
  readonly draining: boolean;
  /** Send a frame in the version of this client. */
  send(command: string, headers: Entries, body?: string | Uint8Array): void;
  /** The handler is ready for this client, which hears CONNECTED once all are; `headers` may stand in it. */
  ready(headers: Entries): void;
  /** This frame was processed at once: its RECEIPT leaves, after those of the frames before it. */
  processed(frame: Frame): void;
  /**
   * This frame is processed when its outcome is there; the frames that follow are read meanwhile. `answer`: what the
   * RECEIPT says besides, of what it came to.
   */
  carryOut<T>(frame: Frame, outcome: Promise<T> | undefined, answer?: (value: T) => Answer | undefined): void;
  /** The frames that follow are not read before this outcome is there. A rejection is the fault of this frame. */
  settle<T>(frame: Frame, outcome: T | Promise<T>, then: (value: T) => void): void;
  /** The RECEIPT of a frame is for the handler to give; `receipted` gives it. */
  expectReceipt(receipt: string | undefined): PendingReceipt;
  /** The frame of this entry was processed: its RECEIPT leaves, unless one before it is awaited. */
  receipted(entry: PendingReceipt): void;
  /** Do not read what this client sends, and go on. Counted: each `hold` needs its `release`. */
  hold(): void;
  /** Read on, once this was called as often as `hold`. */
  release(): void;
  /** Hooks hear that a subscription is active, and that it has ended. */
  subscribed(destination: string): void;
  /** Hooks hear that a subscription has ended. */
  unsubscribed(destination: string): void;
  /** Send the ERROR of a broker behind this server in place of our own, and close. */
  forwardError(headers: Entries, body: string, fault: Parameters<Connection['close']>[0], detail?: string): void;
}

/**
 * What a handler does for one client. The session reads the frames, asks the application, and then hands each frame to
 * one handler, which answers by `processed`, `carryOut` or `receipted`. What a call throws is the fault of its frame.
 */
export interface ClientHandler {
  /** Open subscriptions. */
  readonly subscriptions: number;
  /** Nothing runs that a server which leaves should wait for. */
  readonly idle: boolean;
  /** When `tick` is wanted while this client leaves, in ms; Infinity: never. */
  readonly deadline: number;
  /** The deadline has come; `now` in ms. */
  tick(now: number): void;
  /** Is this id in use here? */
  has(id: string): boolean;
  /** A SEND that the application allows. */
  submit(frame: Frame, destination: string, route: Route): void;
  /** `permission`: who let the client do it. */
  subscribe(frame: Frame, plan: SubscriptionPlan, route: Route, permission: Permission): void;
  /** False: it has no such subscription. */
  unsubscribe(frame: Frame): boolean;
  /**
   * UNSUBSCRIBE of a subscription that is open nowhere: end a durable one that is remembered by its name. False: the frame
   * names none. Absent: nothing is remembered here.
   */
  endDurable?(frame: Frame): boolean;
  /** Does a delivery of this client wait for this ACK or NACK? */
  awaits(frame: Frame): boolean;
  /** ACK or NACK. Throws a `ProtocolError` if nothing waits for it. */
  acknowledge(frame: Frame): void;
  /** BEGIN. Throws a `ProtocolError` if the transaction is open already, or if there are too many ([STOMP-57]). */
  begin(frame: Frame): void;
  /** COMMIT. Throws a `ProtocolError` if the transaction is not open ([STOMP-60]). */
  commit(frame: Frame): void;
  /** ABORT. Throws a `ProtocolError` if the transaction is not open ([STOMP-60]). */
  abort(frame: Frame): void;
  /** A SEND of this client was refused and dropped: tell it, if it listens, in these words. */
  tell(frame: Frame, words: string): void;
  /** The connection takes more: go on. */
  drained(): void;
  /** DISCONNECT came, or the client closed its half (`failed`): finish what it sent, then call `done`. */
  leave(failed: boolean, done: () => void): void;
  /** The end, whatever it was: let go of everything. May be called more than once. */
  stop(): void;
}

/** Something that brings a handler of destinations along, such as a relay. */
export interface HandlesDestinations {
  /** The handler, for a server that joins several. */
  readonly handler: DestinationHandler;
}

/** Where messages of some destinations live: in this process, or in a broker behind it. */
export interface DestinationHandler {
  /** A client was let in. The handler calls `client.ready` now or later. */
  open(client: HandlerClient, headers: Headers): ClientHandler;
  /** Send for the application itself. Undefined: it is done; a promise: it is done when this resolves. */
  publish(message: Outgoing): Promise<unknown> | undefined;
  /** Let go of what outlives connections. */
  dispose?(): void;
}
