import type { BackboneQueues, QueueDelivery } from '../../bus/backbone.ts';
import type { Clock } from '../../core/clock.ts';
import { brokerHeader } from '../protocol/headers.ts';
import { literalTopic } from '../server/destinations.ts';
import type { BrokerLimits } from './limits.ts';
import type { CreateMessage, QueueStats } from './queues.ts';
import type { Storable } from './quota.ts';
import { RemoteQueue } from './remote-queue.ts';

/** What the queues of the backbone are made of. */
export interface RemoteQueuesParts {
  /** The queues of all servers. */
  readonly queues: BackboneQueues;
  /** What a consumer may have. */
  readonly limits: BrokerLimits;
  /** The destination of messages that were handed out too often. */
  readonly deadLetter: string;
  /** Makes what consumers get. */
  readonly message: CreateMessage;
  /** Its time, for what expires. */
  readonly clock: Clock;
}

/** The queues of the backbone, which all servers share, as this server uses them ([CLUSTER-5]). */
export class RemoteQueues {
  /** Messages that this server put to the dead letters. */
  deadLettered = 0;
  /** Messages whose time was over when they came. */
  expired = 0;
  readonly #parts: RemoteQueuesParts;
  readonly #consumed = new Map<string, Set<RemoteQueue>>();

  constructor(parts: RemoteQueuesParts) {
    this.#parts = parts;
  }

  /** Put a message into a queue. Resolves when the broker has it; rejects with a `BackboneError`. */
  put(name: string, body: Uint8Array, message: Omit<Storable, 'body'>): Promise<void> {
    return this.#parts.queues.put(name, body, message);
  }

  /** The queue of this name for one subscription, which asks for so many deliveries at a time. */
  of(name: string, prefetch: number | undefined): RemoteQueue {
    const { queues, limits, deadLetter, message, clock } = this.#parts;
    const all = this.#consumed.get(name) ?? new Set<RemoteQueue>();
    this.#consumed.set(name, all);
    const topic = literalTopic(name);
    const queue: RemoteQueue = new RemoteQueue({
      ...{ queues, name, credit: Math.max(1, Math.min(prefetch ?? limits.prefetch, limits.prefetch)) },
      // What is dead stays dead, however often somebody looks at it.
      maxDeliveries: name === deadLetter ? Number.POSITIVE_INFINITY : limits.maxDeliveries,
      message: ({ body, contentType, headers }) => message(topic, body, contentType, headers),
      isOver: (time) => time <= clock.wall(),
      expired: () => {
        this.expired++;
      },
      dead: (delivery) => this.#bury(name, delivery),
      ended: () => {
        all.delete(queue);
        if (all.size === 0 && this.#consumed.get(name) === all) this.#consumed.delete(name);
      },
    });
    all.add(queue);
    return queue;
  }

  /** Each queue that is consumed here, as far as this server knows. */
  each(): ReadonlyMap<string, QueueStats> {
    const stats = new Map<string, QueueStats>();
    for (const [name, queues] of this.#consumed) {
      let [waiting, delivered] = [0, 0];
      for (const queue of queues) {
        waiting += queue.held;
        delivered += queue.delivered;
      }
      stats.set(name, { waiting, delivered, consumers: queues.size });
    }
    return stats;
  }

  async #bury(name: string, { body, contentType, headers, deliveries }: QueueDelivery): Promise<void> {
    const said = new Map(headers);
    said.set(brokerHeader.originalDestination, name);
    said.set(brokerHeader.deliveryCount, String(deliveries));
    said.delete('expires');
    await this.put(this.#parts.deadLetter, body, { contentType, headers: said });
    this.deadLettered++;
  }
}
