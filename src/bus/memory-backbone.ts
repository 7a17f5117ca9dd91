import { systemClock, type Timers } from '../core/clock.ts';
import { randomId } from '../core/random.ts';
import { type Backbone, BackboneError, type BackboneSink, idWindow, type MessageOptions } from './backbone.ts';
import { createMessage, type Message, type Position } from './message.ts';
import { idKey, RecentIds } from './recent-ids.ts';

/** So many ids of publishers are kept at the most: a publisher that names every message costs a bounded memory. */
const maxIds = 100_000;

const embedded = 'memory';

/** Does this backbone live in this process alone, so that there are no other servers? */
export const isEmbedded = ({ name }: Pick<Backbone, 'name'>): boolean => name === embedded;

/**
 * The embedded backbone: messages live in this process and reach it in publish order. A new process is a new epoch.
 *
 * @example
 * const bus = createBus({ backbone: memoryBackbone() });
 */
export function memoryBackbone({ clock = systemClock }: { readonly clock?: Pick<Timers, 'now'> } = {}): Backbone {
  const epoch = randomId().slice(0, 8);
  const ids = new RecentIds<Position>(idWindow, maxIds);
  const waiting: Message[] = [];
  let sink: BackboneSink | undefined;
  let offset = 0;
  let delivering = false;
  let closed = false;

  function deliver(message: Message): void {
    waiting.push(message);
    // A listener that publishes gets its turn after this message has reached everybody.
    if (delivering) return;
    delivering = true;
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      // The message is here, whatever the sink makes of it: the publisher does not hear of its bugs.
      try {
        sink?.message(next);
      } catch (error) {
        console.error('subwire: the sink of the backbone threw:', error);
      }
    }
    delivering = false;
  }

  return {
    name: embedded,
    // Every message is here already, and the bus passes on those that are wanted.
    abilities: { ids: true, positions: true, patterns: 'all', queues: false, history: false, maxBody: Infinity },
    get state() {
      return closed ? 'closed' : 'up';
    },
    get position() {
      return { epoch, offset };
    },
    open(opened) {
      if (sink) throw new TypeError('This backbone has a bus already: make one backbone for each bus');
      sink = opened;
    },
    async publish(topic: string, body: Uint8Array, { contentType, headers, id }: MessageOptions): Promise<Position> {
      if (closed) throw new BackboneError('closed', `The bus is closed: nothing can be published to "${topic}"`);
      const key = id === undefined ? undefined : idKey(topic, id);
      const known = key === undefined ? undefined : ids.get(key, clock.now());
      if (known) return known;
      // One count for all topics: a count per name would let publishers of ever new names fill the memory.
      const position = { epoch, offset: ++offset };
      if (key !== undefined) ids.set(key, position, clock.now());
      deliver(createMessage({ topic, body, contentType, headers, position }));
      return position;
    },
    async subscribe() {
      return { epoch, offset };
    },
    async unsubscribe() {},
    async close() {
      if (closed) return;
      closed = true;
      sink?.state('closed');
    },
  };
}
