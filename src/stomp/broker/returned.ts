import type { QueueItem, WorkQueue } from './queue.ts';

/** What goes back to one queue. */
interface Items {
  readonly kept: QueueItem[];
  /** Those whose consumer failed, which counts as a delivery. */
  readonly failed: QueueItem[];
}

/** What goes back to its queues. All items of a queue go back at once: one by one, the last would be handed out first. */
export class Returned {
  #items: Map<WorkQueue, Items> | undefined;

  /** This item goes back. `failed`: that it was handed out counts. */
  add(queue: WorkQueue, item: QueueItem, failed: boolean): void {
    const { kept, failed: counted } = this.touch(queue);
    (failed ? counted : kept).push(item);
  }

  /** This queue lost a consumer, though nothing may go back. */
  touch(queue: WorkQueue): Items {
    this.#items ??= new Map();
    const items = this.#items.get(queue) ?? { kept: [], failed: [] };
    this.#items.set(queue, items);
    return items;
  }

  /** Now. */
  putBack(): void {
    if (this.#items) for (const [queue, { kept, failed }] of this.#items) queue.putBack(kept, failed);
  }
}
