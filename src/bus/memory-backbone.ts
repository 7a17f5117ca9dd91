import { createListeners } from '../core/listeners.ts';
import { randomId } from '../core/random.ts';
import type { Backbone, BackboneState, MessageOptions } from './backbone.ts';
import { createMessage, type Message, type Position } from './message.ts';

/**
 * The embedded backbone: messages live in this process and reach it in publish order. A new process is a new epoch.
 *
 * @example
 * const bus = createBus({ backbone: memoryBackbone() });
 */
export function memoryBackbone(): Backbone {
  const epoch = randomId().slice(0, 8);
  const listeners = new Set<(message: Message) => void>();
  const waiting: Message[] = [];
  let offset = 0;
  let delivering = false;
  let closed = false;
  const states = createListeners<{ state: (state: BackboneState) => void }>((error) => said(error));

  function deliver(message: Message): void {
    waiting.push(message);
    // A listener that publishes gets its turn after this message has reached everybody.
    if (delivering) return;
    delivering = true;
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      for (const listener of listeners) call(listener, next);
    }
    delivering = false;
  }

  /** The message is here, whatever a listener makes of it: neither the publisher nor the others hear of its bugs. */
  function call(listener: (message: Message) => void, message: Message): void {
    try {
      listener(message);
    } catch (error) {
      said(error);
    }
  }

  function said(error: unknown): void {
    console.error('subwire: a listener of the backbone threw:', error);
  }

  return {
    get state() {
      return closed ? 'closed' : 'up';
    },
    async publish(topic: string, body: Uint8Array, { contentType, headers }: MessageOptions): Promise<Position> {
      if (closed) throw new Error(`The bus is closed: nothing can be published to "${topic}"`);
      // One count for all topics: a count per name would let publishers of ever new names fill the memory.
      const position = { epoch, offset: ++offset };
      deliver(createMessage({ topic, body, contentType, headers, position }));
      return position;
    },
    // Every message is here already: the bus passes on those that are wanted.
    async subscribe() {},
    async unsubscribe() {},
    on(event, listener) {
      if (event === 'state') return states.on('state', listener as (state: BackboneState) => void);
      // Nothing is ever lost between publisher and listener here: there are no gaps.
      if (event !== 'message') return () => {};
      const onMessage = listener as (message: Message) => void;
      listeners.add(onMessage);
      return () => listeners.delete(onMessage);
    },
    async close() {
      if (closed) return;
      closed = true;
      states.emit('state', 'closed');
      listeners.clear();
    },
  };
}
