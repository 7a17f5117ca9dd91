import { describe, expect, test } from 'vitest';
import { type Slab, takeBytes } from '../../../src/core/slab.ts';
import { createStompDesk, type StompDeskOptions } from '../../support/stomp-desk.ts';

/** A value in place of a body, and what the error says of it. */
const wrongBodies: readonly (readonly [string, unknown, RegExp])[] = [
  ['an object', { a: 1 }, /body must be text or a Uint8Array; got an object: JSON\.stringify it$/],
  ['an array', [1, 2], /got an array: JSON\.stringify it$/],
  ['a number', 7, /got a number$/],
  ['nothing', undefined, /got undefined$/],
  ['null', null, /got null$/],
  ['a date', new Date(0), /got a value of class Date/],
  ['an ArrayBuffer', new ArrayBuffer(8), /class ArrayBuffer: wrap it, as in new Uint8Array\(buffer\)$/],
  ['a DataView', new DataView(new ArrayBuffer(8)), /class DataView: wrap it/],
  ['words of 32 bits', new Uint32Array(2), /class Uint32Array: wrap it/],
  ['something that has a length', { length: 3 }, /got an object/],
  ['a length that is none', { length: Number.NaN, byteLength: -1 }, /got an object/],
];

/** Every subscriber, old and new, still gets what is good. */
async function harmed(
  options: StompDeskOptions,
  wrong: (desk: ReturnType<typeof createStompDesk>) => Promise<void>,
): Promise<void> {
  const desk = createStompDesk({ ...options, authorize: () => true });
  const listen = async () => {
    const peer = await desk.open().connect();
    await peer.send('SUBSCRIBE', { id: 't', destination: '/topic/a' });
    await peer.send('SUBSCRIBE', { id: 'q', destination: '/queue/a' });
    return peer;
  };
  const old = await listen();
  await wrong(desk);
  const fresh = await listen();
  expect(old.brief()).toEqual([]);
  await desk.broker.send('/topic/a', 'good');
  for (const body of ['one', 'two']) await desk.broker.send('/queue/a', body);
  await fresh.raw('\n');
  expect([old.brief(), fresh.brief()].map((heard) => heard.length)).toEqual([2, 2]);
  expect(desk.broker.stats()).toMatchObject({ queued: 0 });
}

describe.each(wrongBodies)('[STOMP-81] %s in place of a body', (_, body, words) => {
  test.each(['/topic/a', '/queue/a', '/user/bob/a'])('send(%s) rejects and nothing was kept', async (destination) => {
    await harmed({}, async ({ broker }) => {
      const outcome = broker.send(destination, body as never);
      await expect(outcome).rejects.toThrow(TypeError);
      await expect(outcome).rejects.toThrow(words);
    });
  });

  test('onSend that answers so is a bug, told to the application alone', async () => {
    await harmed({ onSend: () => ({ body, destination: '/topic/a' }) as never }, async ({ open }) => {
      const peer = await open().connect();
      await peer.send('SEND', { destination: '/app/x', receipt: '1' });
      expect(peer.closed?.code).toBe(1011);
      expect(String(peer.reported[0])).toMatch(words);
    });
  });

  test('onSubscribe that answers so is a bug, told to the application alone', async () => {
    const onSubscribe = ({ destination }: { destination: string }) =>
      destination === '/app/x' ? ({ body } as never) : undefined;
    await harmed({ onSubscribe }, async ({ open }) => {
      const peer = await open().connect();
      await peer.send('SUBSCRIBE', { destination: '/app/x', id: '1' });
      expect(peer.closed?.code).toBe(1011);
      expect(String(peer.reported[0])).toMatch(words);
    });
  });
});

test.each([
  ['text', 'hello'],
  ['a number', 7],
  ['an array', []],
  ['an Error', new Error('no')],
  ['true', true],
])('[STOMP-81] onSend that answers %s is a bug', async (_, answer) => {
  await harmed({ onSend: () => answer as never }, async ({ open }) => {
    const peer = await open().connect();
    await peer.send('SEND', { destination: '/app/x', 'reply-to': '/temp-queue/r' });
    expect(peer.closed?.code).toBe(1011);
    expect(String(peer.reported[0])).toContain('the answer of onSend to /app/x must be an object');
  });
});

test.each([
  [{ headers: { a: null } }, /header "a" must be text; got null$/],
  [{ headers: { a: { b: 1 } } }, /header "a" must be text; got an object$/],
  [{ headers: { a: ['b'] } }, /header "a" must be text; got an array$/],
  [{ headers: { a: Symbol('b') } }, /header "a" must be text; got a symbol$/],
  [{ headers: { a: () => 'b' } }, /header "a" must be text; got a function$/],
  [{ headers: { a: 'x\0y' } }, /header "a" needs a name and must not contain NUL$/],
  [{ headers: { '': 'x' } }, /header "" needs a name/],
  [{ headers: 'a:b' }, /headers must be an object such as .*; got a string$/],
  [{ headers: [['a', 'b']] }, /headers must be an object such as .*; got an array$/],
  [{ contentType: 5 }, /contentType must be text without NUL; got a number$/],
  [{ contentType: 'a\0b' }, /contentType must be text without NUL/],
  [{ contenttype: 'text/plain' }, /has no option "contenttype"/],
  [null, /options must be an object/],
])('[STOMP-81] send() with %j rejects', async (options, words) => {
  await harmed({}, async ({ broker }) => {
    await expect(broker.send('/topic/a', 'x', options as never)).rejects.toThrow(words);
    await expect(broker.send('/queue/a', 'x', options as never)).rejects.toThrow(TypeError);
  });
});

test.each([undefined, null, 5, '', {}])('[STOMP-81] send(%j) has no destination', async (destination) => {
  const { broker } = createStompDesk();
  await expect(broker.send(destination as never, 'x')).rejects.toThrow(/send\(\) needs a destination/);
});

test('[STOMP-81] numbers and booleans are sent as text, and what is undefined is left out', async () => {
  const { broker, open } = createStompDesk({ authorize: () => true });
  const peer = await open().connect();
  await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a' });
  await broker.send('/topic/a', 'x', { headers: { attempts: 1, durable: false, big: 10n, none: undefined } });
  await peer.raw('\n');
  const [message] = peer.take();
  expect(message?.headers).toMatchObject({ attempts: '1', durable: 'false', big: '10' });
  expect(message?.headers).not.toHaveProperty('none');
});

test.each([Number.NaN, -1, 1.5, undefined, '8', Number.POSITIVE_INFINITY])(
  '[STOMP-81] a shared slab refuses a length of %s, and is as good as before',
  (length) => {
    const slab: Slab = { size: 1_024, used: 0 };
    expect(() => takeBytes(slab, length as never)).toThrow(TypeError);
    expect([takeBytes(slab, 8).length, slab.used]).toEqual([8, 8]);
  },
);
