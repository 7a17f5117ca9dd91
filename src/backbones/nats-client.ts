/** Headers of a message of NATS. */
export interface NatsHeaders {
  /** The status of an answer that is no message; 0 or absent: it is one. */
  readonly code?: number | undefined;
  /** The last value of a header, which is the server's own; empty text if there is none. */
  last(name: string): string;
  /** Set a header. */
  set(name: string, value: string): void;
}

/** A message of NATS. */
export interface NatsMessage {
  /** Where it was published to. */
  readonly subject: string;
  /** The body. */
  readonly data: Uint8Array;
  /** Where an answer goes to. */
  readonly reply?: string | undefined;
  /** Absent: it has none. */
  readonly headers?: NatsHeaders | undefined;
}

/** Something that was subscribed to. */
export interface NatsSubscription {
  /** No more of it. */
  unsubscribe(): void;
}

/** As much of a connection of `@nats-io/transport-node` as is used. */
export interface NatsConnection {
  /** What the server said of itself. */
  readonly info?: { readonly max_payload: number } | undefined;
  /** Send a message, which nobody confirms. */
  publish(subject: string, payload?: Uint8Array, options?: { readonly reply?: string }): void;
  /** Hear messages. */
  subscribe(subject: string, options: { callback(error: Error | null, message: NatsMessage): void }): NatsSubscription;
  /** Send a message, and resolve with the answer. */
  request(subject: string, payload?: Uint8Array, options?: { timeout: number; headers?: never }): Promise<NatsMessage>;
  /** Resolves when the server has seen everything that was sent before. */
  flush(): Promise<void>;
  /** What happens to the connection. */
  status(): AsyncIterable<{ readonly type: string }>;
  /** Drop the connection and make it again. */
  reconnect?(): Promise<void>;
  /** Is it closed for good? */
  isClosed(): boolean;
}
