import { expect, test, vi } from 'vitest';
import { connect } from '../../src/connect/connect.ts';
import type { Transport } from '../../src/core/socket.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { httpEndpoint } from '../support/http-endpoint.ts';
import { echo, scriptedClient } from '../support/scripted-session.ts';

const nowhere: Transport = () => () => {};

test.each([
  ['', {}, /^url must be an address/],
  [[], {}, /^url must be an address/],
  [5, {}, /^url must be an address/],
  ['ws://x', { protocols: [] }, /^protocols must be a list/],
  ['ws://x', { protocols: undefined }, /^protocols must be a list/],
  ['ws://x', { openTimeout: 0 }, /^openTimeout must be a number from 1 up/],
  ['ws://x', { openTimeout: Number.NaN }, /^openTimeout must be/],
  ['ws://x', { limits: { pongTimeout: -1 } }, /^limits\.pongTimeout must be a number from 1 up/],
  ['ws://x', { limits: { pingInterval: 1 } }, /^limits must be some of maxPayload.*; got pingInterval/],
])('[CONN-10] connect(%j, %j) is a TypeError that names the option', (url, options, message) => {
  expect(() => connect(url as never, { protocols: [scriptedClient()], ...options } as never)).toThrow(TypeError);
  expect(() => connect(url as never, { protocols: [scriptedClient()], ...options } as never)).toThrow(message);
});

test('[CONN-6] one client that offers several subprotocols speaks the one that the server chose', async () => {
  const { port, stop } = await httpEndpoint({ protocols: [echo(['b'])] });
  const [a, b] = [scriptedClient(['a']), scriptedClient(['b'])];
  const answer = new Promise<string>((resolve) => {
    const dial = connect(`ws://127.0.0.1:${port}/ws`, { protocols: [a, b], changed: () => {} });
    const { open } = b;
    Object.assign(b, {
      open: (...args: Parameters<typeof open>) => {
        const session = open(...args);
        session.receive = (data) => {
          dial.stop();
          resolve(String(data));
        };
        args[0].send({ head: 'hello', binary: false });
        return session;
      },
    });
    dial.start();
  });
  expect(await answer).toBe('hello');
  expect([a.sessions.length, b.sessions.length]).toEqual([0, 1]);
  await stop();
});

test('[CONN-3] [CONN-6] a server that speaks nothing of it says so, and is left with its reason', async () => {
  const { port, stop } = await httpEndpoint({ protocols: [echo(['b'])] });
  const end = await new Promise<{ code: number; reason: string }>((resolve) => {
    connect(`ws://127.0.0.1:${port}/ws`, {
      protocols: [scriptedClient(['a'])],
      retry(ended) {
        resolve(ended);
        return false;
      },
    }).start();
  });
  expect([end.code, end.reason]).toEqual([4406, 'Subprotocol not acceptable. Spoken here: b']);
  await stop();
});

test('nobody there is a failed attempt, with the error; then it comes back by itself', async () => {
  const first = await httpEndpoint({ protocols: [echo(['echo'])] });
  await first.stop();
  let attempts = 0;
  const ends: unknown[] = [];
  await new Promise<void>((resolve) => {
    const dial = connect(`ws://127.0.0.1:${first.port}/ws`, {
      protocols: [scriptedClient(['echo'])],
      backoff: { base: 1 },
      changed(state, end) {
        if (state === 'connecting') attempts++;
        if (end) ends.push(end.cause instanceof Error);
        if (attempts < 3) return;
        dial.stop();
        resolve();
      },
    });
    dial.start();
  });
  expect(ends).toEqual([true, true]);
});

test('[CONN-37] wake-ups are heard only while something is wanted', () => {
  const target = new EventTarget();
  const added = vi.fn(target.addEventListener.bind(target));
  vi.stubGlobal('addEventListener', added);
  const clock = createFakeClock();
  const states: string[] = [];
  const dial = connect('ws://x', {
    protocols: [scriptedClient()],
    transport: (_, __, attempt) => {
      if (states.length < 2) attempt.failed(1006, '');
      return () => {};
    },
    clock,
    changed: (state) => states.push(state),
  });
  expect(added).not.toHaveBeenCalled();
  dial.start();
  target.dispatchEvent(new Event('online'));
  expect(states).toEqual(['connecting', 'waiting', 'connecting']);
  dial.stop();
  const options = added.mock.calls.map((call) => call[2] as AddEventListenerOptions);
  expect(options.map(({ signal }) => signal?.aborted)).toEqual([true, true, true]);
  target.dispatchEvent(new Event('online'));
  expect(states.at(-1)).toBe('idle');
  vi.unstubAllGlobals();
});

test('[CONN-25] errors of hooks go to onError, or to console.error; one that throws ends nothing', () => {
  const heard = vi.spyOn(console, 'error').mockImplementation(() => {});
  const bug = new Error('hook');
  const changed = (): never => {
    throw bug;
  };
  connect('ws://x', { protocols: [scriptedClient()], transport: nowhere, clock: createFakeClock(), changed }).start();
  expect(heard).toHaveBeenCalledWith('subwire:', bug);
  heard.mockRestore();
  const onError = vi.fn(changed);
  connect('ws://x', {
    protocols: [scriptedClient()],
    transport: nowhere,
    clock: createFakeClock(),
    changed,
    onError,
  }).start();
  expect(onError).toHaveBeenCalledTimes(1);
});

test.each([Number.NaN, -1, undefined, 'soon'])(
  '[CONN-25] a retry hook that answers %j is reported, and gives up',
  (answer) => {
    const onError = vi.fn();
    const states: string[] = [];
    connect('ws://x', {
      protocols: [scriptedClient()],
      transport: (_, __, attempt) => {
        attempt.failed(1006, '');
        return () => {};
      },
      clock: createFakeClock(),
      retry: () => answer as never,
      changed: (state) => states.push(state),
      onError,
    }).start();
    expect(states).toEqual(['connecting', 'idle']);
    expect(onError.mock.calls).toEqual([
      [new TypeError(`retry() must be a boolean, or a number of ms; got ${answer}`)],
    ]);
  },
);
