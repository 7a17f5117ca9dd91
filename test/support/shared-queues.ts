import { BackboneError, type BackboneQueues, type QueueDelivery } from '../../src/bus/backbone.ts';

interface Item {
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
  readonly headers: QueueDelivery['headers'];
  deliveries: number;
}

interface Taker {
  readonly take: (delivery: QueueDelivery) => void;
  readonly credit: number;
  readonly unsettled: Set<Item>;
}

/** Work queues that several servers of one process share. */
export interface SharedQueues extends BackboneQueues {
  /** Puts and consumers fail while it is true. */
  down: boolean;
  /** Messages that wait. */
  waiting(queue: string): string[];
  /** How many each consumer may have. */
  credits(queue: string): number[];
}

/** @example const queues = sharedQueues(); */
export function sharedQueues(): SharedQueues {
  const items = new Map<string, Item[]>();
  const takers = new Map<string, Taker[]>();
  const of = <T>(all: Map<string, T[]>, name: string): T[] => {
    const known = all.get(name) ?? [];
    all.set(name, known);
    return known;
  };

  function dispatch(queue: string): void {
    const waiting = of(items, queue);
    const list = of(takers, queue);
    for (let index = 0; index < list.length && waiting.length > 0; index++) {
      const taker = list[index] as Taker;
      if (taker.unsettled.size >= taker.credit) continue;
      const item = waiting.shift() as Item;
      item.deliveries++;
      taker.unsettled.add(item);
      list.splice(index, 1);
      list.push(taker);
      index = -1;
      taker.take({
        ...item,
        lost: false,
        settle(outcome) {
          if (!taker.unsettled.delete(item)) return;
          if (outcome === 'returned') item.deliveries--;
          if (outcome === 'failed') waiting.push(item);
          if (outcome === 'returned') waiting.unshift(item);
          queueMicrotask(() => dispatch(queue));
        },
      });
    }
  }

  const shared: SharedQueues = {
    down: false,
    waiting: (queue) => of(items, queue).map(({ body }) => Buffer.from(body).toString()),
    credits: (queue) => of(takers, queue).map(({ credit }) => credit),
    async put(queue, body, { contentType, headers = new Map() }) {
      if (shared.down) throw new BackboneError('unavailable', 'shared: no broker');
      of(items, queue).push({ body, contentType, headers, deliveries: 0 });
      queueMicrotask(() => dispatch(queue));
    },
    consume(queue, credit, take) {
      if (shared.down) {
        const active = Promise.reject(new BackboneError('timeout', 'shared: no broker'));
        active.catch(() => {});
        return { active, stop() {} };
      }
      const taker: Taker = { take, credit, unsettled: new Set() };
      of(takers, queue).push(taker);
      queueMicrotask(() => dispatch(queue));
      return {
        active: Promise.resolve(),
        stop() {
          const list = of(takers, queue);
          if (!list.includes(taker)) return;
          list.splice(list.indexOf(taker), 1);
          for (const item of taker.unsettled) item.deliveries--;
          of(items, queue).unshift(...taker.unsettled);
          taker.unsettled.clear();
          queueMicrotask(() => dispatch(queue));
        },
      };
    },
  };
  return shared;
}
