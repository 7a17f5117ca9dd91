import type { Message, MessageHeaders, Position } from './message.ts';

export interface PublishOptions {
  readonly contentType?: string | undefined;
  readonly headers?: MessageHeaders | undefined;
}

/**
 * What carries messages between servers. The embedded one carries them within this process; others stand on Redis,
 * NATS or a STOMP broker.
 */
export interface Backbone {
  readonly state: 'up' | 'down' | 'closed';
  /** Resolves when the backbone HAS the message: a receipt means that. Rejects when it has not, or cannot know. */
  publish(topic: string, body: Uint8Array, options: PublishOptions): Promise<Position>;
  /** Messages of this topic, or of all that match a pattern, are wanted here, from when it resolves. */
  subscribe(topic: string): Promise<void>;
  unsubscribe(topic: string): Promise<void>;
  on(event: 'message', listener: (message: Message) => void): () => void;
  /** Messages may have been lost: said aloud, never hidden. */
  on(event: 'gap', listener: (topic: string) => void): () => void;
  on(event: 'state', listener: (state: Backbone['state']) => void): () => void;
  close(): Promise<void>;
}
