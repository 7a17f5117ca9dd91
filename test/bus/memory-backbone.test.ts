import { expect, test, vi } from 'vitest';
import type { Backbone } from '../../src/bus/backbone.ts';
import { memoryBackbone } from '../../src/bus/memory-backbone.ts';
import type { Message } from '../../src/bus/message.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';

const body = encodeUtf8('x');

function heardBy(backbone: Backbone, message: (message: Message) => void): void {
  backbone.open({ message, gap() {}, state() {}, unreadable() {} });
}

test('a publish resolves with a position that grows within the epoch; a new backbone is a new epoch', async () => {
  const backbone = memoryBackbone();
  const first = await backbone.publish('a', body, {});
  const second = await backbone.publish('b', body, {});
  expect([second?.epoch, second!.offset > first!.offset]).toEqual([first?.epoch, true]);
  expect((await memoryBackbone().publish('a', body, {}))?.epoch).not.toBe(first?.epoch);
});

test('messages come in publish order, also when the sink publishes', () => {
  const backbone = memoryBackbone();
  const seen: string[] = [];
  heardBy(backbone, ({ topic }) => {
    if (topic === 'a') void backbone.publish('b', body, {});
    seen.push(topic);
  });
  void backbone.publish('a', body, {});
  expect(seen).toEqual(['a', 'b']);
});

test('a sink that throws stops no later message, and the publisher hears nothing', async () => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => {});
  const backbone = memoryBackbone();
  heardBy(backbone, () => {
    throw new Error('sink');
  });
  await backbone.publish('a', body, {});
  await backbone.publish('b', body, {});
  expect(said.mock.calls.length).toBe(2);
  said.mockRestore();
});

test('an id holds for its topic and for five minutes', async () => {
  let now = 0;
  const backbone = memoryBackbone({ clock: { now: () => now } });
  const seen: string[] = [];
  heardBy(backbone, ({ topic }) => seen.push(topic));
  const first = await backbone.publish('a', body, { id: '1' });
  expect(await backbone.publish('a', body, { id: '1' })).toEqual(first);
  await backbone.publish('b', body, { id: '1' });
  now = 300_000;
  await backbone.publish('a', body, { id: '1' });
  expect(seen).toEqual(['a', 'b', 'a']);
});
