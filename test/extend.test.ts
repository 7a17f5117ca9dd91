import { createBus, topic } from 'subwire';
import { type Backbone, type BackboneSink, createMessage, type Position } from 'subwire/extend';
import { expect, test } from 'vitest';

/** As somebody would write it who has only the package: an echo that says at once what it is told. */
function echo(): Backbone {
  let sink: BackboneSink | undefined;
  let position: Position | undefined;
  return {
    name: 'echo',
    abilities: { positions: true, patterns: 'all', history: false, ids: false, queues: false, maxBody: Infinity },
    state: 'up',
    get position() {
      return position;
    },
    open(opened) {
      sink = opened;
    },
    async publish(name, body, { contentType, headers }) {
      position = { epoch: 'e', offset: (position?.offset ?? 0) + 1 };
      sink?.message(createMessage({ topic: name, body, contentType, headers, position }));
      return position;
    },
    subscribe: async () => position,
    unsubscribe: async () => {},
    close: async () => {},
  };
}

test('a backbone can be written from what subwire/extend has', async () => {
  const prices = topic<{ price: number }>('prices');
  const bus = createBus({ backbone: echo() });
  const values = bus.subscribe(prices);
  expect(await bus.publish(prices, { price: 1 })).toEqual({ epoch: 'e', offset: 1 });
  expect((await values.next()).value).toEqual({ price: 1 });
  await bus.close();
  expect((await values.next()).done).toBe(true);
});
