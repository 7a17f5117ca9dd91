import { expect, test, vi } from 'vitest';
import { memoryBackbone } from '../../src/bus/memory-backbone.ts';
import type { Message } from '../../src/bus/message.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';

const body = encodeUtf8('x');

test('a publish resolves with a position that grows within the epoch; a new backbone is a new epoch', async () => {
  const backbone = memoryBackbone();
  const first = await backbone.publish('a', body, {});
  const second = await backbone.publish('b', body, {});
  expect([second.epoch, second.offset > first.offset]).toEqual([first.epoch, true]);
  expect((await memoryBackbone().publish('a', body, {})).epoch).not.toBe(first.epoch);
});

test('messages reach every listener in publish order, also when a listener publishes', () => {
  const backbone = memoryBackbone();
  const seen: string[] = [];
  backbone.on('message', ({ topic }) => {
    seen.push(`one ${topic}`);
    if (topic === 'a') void backbone.publish('b', body, {});
  });
  const stop = backbone.on('message', ({ topic }) => seen.push(`two ${topic}`));
  void backbone.publish('a', body, {});
  expect(seen).toEqual(['one a', 'two a', 'one b', 'two b']);
  stop();
  void backbone.publish('c', body, {});
  expect(seen.at(-1)).toBe('one c');
});

test('what a message carries arrives as it was', async () => {
  const backbone = memoryBackbone();
  let got: Message | undefined;
  backbone.on('message', (message) => {
    got = message;
  });
  const headers = new Map([['k', 'v']]);
  const position = await backbone.publish('a', body, { contentType: 'text/plain', headers });
  expect(got).toMatchObject({ topic: 'a', body, contentType: 'text/plain', headers, position });
});

test('a listener that throws stops neither the others nor later messages, and the publisher hears nothing', async () => {
  const heard = vi.spyOn(console, 'error').mockImplementation(() => {});
  const backbone = memoryBackbone();
  const seen: string[] = [];
  backbone.on('message', () => {
    throw new Error('listener');
  });
  backbone.on('message', ({ topic }) => seen.push(topic));
  await backbone.publish('a', body, {});
  await backbone.publish('b', body, {});
  expect([seen, heard.mock.calls.length]).toEqual([['a', 'b'], 2]);
  heard.mockRestore();
});

test('closed, it takes nothing more', async () => {
  const backbone = memoryBackbone();
  await backbone.subscribe('a');
  await backbone.unsubscribe('a');
  backbone.on('gap', () => {})();
  backbone.on('state', () => {})();
  expect(backbone.state).toBe('up');
  await backbone.close();
  expect(backbone.state).toBe('closed');
  await expect(backbone.publish('a', body, {})).rejects.toThrow('The bus is closed: nothing can be published to "a"');
});
