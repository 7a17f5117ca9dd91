import type { Queue, QueueItem } from './queue.ts';

/** What goes back to its queues. All items of a queue go back at once: one by one, the last would be handed out first. */
export class Returned {
  #items: Map<Queue, QueueItem[]> | undefined;

  /** This item goes back. */
  add(queue: Queue, item: QueueItem): void {
    this.#items ??= new Map();
    const items = this.#items.get(queue);
    if (items) items.push(item);
    else this.#items.set(queue, [item]);
  }

  /** This queue lost a consumer, though nothing goes back. */
  touch(queue: Queue): void {
    this.#items ??= new Map();
    if (!this.#items.has(queue)) this.#items.set(queue, []);
  }

  /** `failed`: those that were handed out too often are dead. */
  putBack(failed: boolean): void {
    if (this.#items) for (const [queue, items] of this.#items) queue.putBack(items, failed);
  }
}
