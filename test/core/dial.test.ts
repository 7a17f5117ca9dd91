import { expect, test, vi } from 'vitest';
import type { ConnectionLost } from '../../src/core/connection-lost.ts';
import { type Connector, type ConnectorOptions, type ConnectorState, createDial } from '../../src/core/dial.ts';
import { connectionLimits, resolveLimits } from '../../src/core/limits.ts';
import { offeredTokens, selectOffered } from '../../src/core/negotiate.ts';
import type { Attempt } from '../../src/core/socket.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { FakeSocket } from '../support/fake-socket.ts';
import { type ScriptedSession, scriptedClient } from '../support/scripted-session.ts';

interface Dialled {
  readonly url: string;
  readonly offered: readonly string[];
  readonly attempt: Attempt;
  abandoned: number;
  open(protocol?: string, answersClose?: boolean): FakeSocket;
}

function client(options: Partial<ConnectorOptions> = {}) {
  const clock = createFakeClock();
  const dialled: Dialled[] = [];
  const states: string[] = [];
  const ends: (ConnectionLost | undefined)[] = [];
  const errors: unknown[] = [];
  const listeners: ((state: ConnectorState) => void)[] = [];
  const plain = scriptedClient(['plain', 'plain2']);
  const dial: Connector = createDial({
    url: 'ws://a',
    offered: offeredTokens([plain]),
    choose: (name) => selectOffered(name, [plain]),
    clock,
    limits: resolveLimits(connectionLimits),
    backoff: { base: 1_000, random: () => 0.5 },
    openTimeout: 10_000,
    retry: () => true,
    report: (error) => errors.push(error),
    changed(state, end) {
      states.push(state);
      ends.push(end);
      for (const listener of listeners) listener(state);
    },
    transport(url, offered, attempt) {
      const made: Dialled = {
        url,
        offered,
        attempt,
        abandoned: 0,
        open(protocol = 'plain', answersClose = true) {
          const socket = new FakeSocket({ protocol, batches: false, answersClose });
          socket.receiver = attempt.opened(socket);
          return socket;
        },
      };
      dialled.push(made);
      return () => {
        made.abandoned++;
      };
    },
    ...options,
  });
  const last = (): Dialled => dialled.at(-1) as Dialled;
  return { clock, dial, dialled, states, ends, errors, listeners, plain, last };
}

test('dial, negotiate, be ready, be lost, wait, dial again', () => {
  const { clock, dial, dialled, states, ends, last, plain } = client();
  expect([dial.state, clock.armed]).toEqual(['idle', 0]);
  dial.start();
  dial.start();
  expect([dialled.length, last().url, last().offered]).toEqual([1, 'ws://a', ['plain', 'plain2']]);
  const socket = last().open('plain2');
  expect([dial.state, dial.connection?.name, plain.sessions.length]).toEqual(['connecting', 'plain2', 1]);
  dial.connected();
  dial.connected();
  socket.hangUp(1006);
  expect([dial.state, dial.connection, dial.attempt]).toEqual(['waiting', undefined, 1]);
  expect(ends.at(-1)).toMatchObject({ code: 1006, reason: '', fault: undefined, wasConnected: true });
  clock.advance(490);
  expect(dialled).toHaveLength(1);
  clock.advance(10);
  expect(dialled).toHaveLength(2);
  expect(states).toEqual(['connecting', 'connected', 'waiting', 'connecting']);
});

/** Fail, or be let in and cut after so many ms; returns how long it then waits. */
function waitAfter({ clock, dial, dialled, last }: ReturnType<typeof client>, ready?: number): number {
  if (ready === undefined) last().attempt.failed(1006, 'refused');
  else {
    const socket = last().open();
    dial.connected();
    clock.advance(ready);
    socket.hangUp(1006);
  }
  const lostAt = clock.now();
  const count = dialled.length;
  while (dialled.length === count) clock.advance(10);
  return clock.now() - lostAt;
}

test('[CONN-33] waits grow from loss to loss, until a connection was in good order for 10 s', () => {
  const all = client();
  all.dial.start();
  const waits = [undefined, undefined, undefined, 10_000, undefined].map((ready) => waitAfter(all, ready));
  expect(waits).toEqual([500, 1_000, 2_000, 500, 1_000]);
});

test('[CONN-33] a server that lets in and cuts at once meets growing waits as well', () => {
  const all = client();
  all.dial.start();
  expect([0, 100, 9_990, 0].map((ready) => waitAfter(all, ready))).toEqual([500, 1_000, 2_000, 4_000]);
});

test('[CONN-34] the hint of a server that leaves bounds the first wait', () => {
  const { clock, dial, dialled, last } = client();
  dial.start();
  const socket = last().open();
  dial.connected();
  socket.hangUp(1001, 'Going away retry within 20000 ms');
  clock.advance(9_990);
  expect(dialled).toHaveLength(1);
  clock.advance(10);
  expect(dialled).toHaveLength(2);
});

test('[CONN-32] waiting and dialling keep the process alive, an idle or connected client does not', () => {
  const { clock, dial, last } = client();
  expect(clock.keepsAlive).toBe(false);
  dial.start();
  expect(clock.keepsAlive).toBe(true);
  const socket = last().open();
  dial.connected();
  expect(clock.keepsAlive).toBe(false);
  socket.hangUp();
  expect(clock.keepsAlive).toBe(true);
  dial.stop();
  expect([clock.keepsAlive, clock.armed]).toEqual([false, 0]);
});

test('[CONN-35] several addresses are tried in turn', () => {
  const { dial, dialled, last } = client({ url: ['ws://a', 'ws://b', 'ws://c'] });
  dial.start();
  for (let round = 0; round < 4; round++) {
    last().attempt.failed(1006, '');
    dial.wake();
  }
  expect(dialled.map(({ url }) => url)).toEqual(['ws://a', 'ws://b', 'ws://c', 'ws://a', 'ws://b']);
});

test('[CONN-35] a function is asked before each attempt', async () => {
  let count = 0;
  const { clock, dial, dialled, last } = client({ url: async () => `ws://${count++}` });
  dial.start();
  await clock.settle();
  last().attempt.failed(1006, '');
  clock.advance(10_000);
  await clock.settle();
  expect(dialled.map(({ url }) => url)).toEqual(['ws://0', 'ws://1']);
});

test.each([
  [
    'throws',
    () => {
      throw new Error('no address');
    },
  ],
  ['rejects', () => Promise.reject(new Error('no address'))],
  ['rejects with no error', () => Promise.reject('no address')],
] as [string, () => string | Promise<string>][])('[CONN-35] a function that %s is a failed attempt', async (_, url) => {
  const { clock, dial, dialled, ends } = client({ url });
  dial.start();
  await clock.settle();
  expect([dial.state, dialled.length]).toEqual(['waiting', 0]);
  expect(ends.at(-1)).toMatchObject({ code: 4005, reason: 'no address', wasConnected: false });
  expect(ends.at(-1)?.cause).toBeDefined();
});

test('[CONN-35] a function that answers after stop() dials nothing', async () => {
  let answer: (url: string) => void = () => {};
  const { clock, dial, dialled, states } = client({
    url: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  });
  dial.start();
  dial.stop();
  answer('ws://late');
  await clock.settle();
  expect([dialled.length, states]).toEqual([0, ['connecting', 'idle']]);
});

test('an address that fails with what has no text is a failed attempt like any other', async () => {
  const { clock, dial, states, ends } = client({ url: () => Promise.reject(Object.create(null)) });
  dial.start();
  await clock.settle();
  expect([states.at(-1), ends.at(-1)?.reason]).toEqual(['waiting', '']);
});

test('a transport that throws, for an address that is none, is a failed attempt', () => {
  const bad = new TypeError('not a URL');
  const { dial, ends } = client({
    transport() {
      throw bad;
    },
    retry: () => false,
  });
  dial.start();
  expect(dial.state).toBe('idle');
  expect(ends.at(-1)).toMatchObject({ code: 4005, reason: 'not a URL', cause: bad, wasConnected: false });
});

test('[CONN-36] an attempt that does not open in time is abandoned and counts as lost', () => {
  const { clock, dial, ends, last } = client();
  dial.start();
  const first = last();
  clock.advance(10_000);
  expect([dial.state, first.abandoned]).toEqual(['waiting', 1]);
  expect(ends.at(-1)).toMatchObject({
    code: 1006,
    reason: 'the socket did not open within 10000 ms',
    wasConnected: false,
  });
  first.attempt.failed(1006, 'late');
  expect(dial.state).toBe('waiting');
});

test('[CONN-36] once the socket is open it is the protocol that counts the time', () => {
  const { clock, dial, last } = client();
  dial.start();
  last().open();
  clock.advance(20_000);
  expect([dial.state, dial.connection !== undefined]).toEqual(['connecting', true]);
});

test('an attempt that was given up and opens nevertheless is dropped, and harms no later one', () => {
  const { clock, dial, dialled, plain, last } = client();
  dial.start();
  clock.advance(10_000);
  clock.advance(5_000);
  const socket = last().open();
  dial.connected();
  const late = dialled[0]?.open() as FakeSocket;
  expect([late.terminated, late.sent]).toEqual([true, []]);
  expect([dial.state, dial.connection]).toEqual(['connected', plain.sessions[0]?.connection]);
  expect(plain.sessions).toHaveLength(1);
  expect(socket.terminated).toBe(false);
});

test('[CONN-6] a server that chose none of the offered subprotocols is left with 4406', () => {
  for (const name of ['', 'mqtt']) {
    const { dial, ends, last, plain } = client({ retry: () => false });
    dial.start();
    const socket = last().open(name, false);
    const reason = `The server chose ${name ? '"mqtt"' : 'none'} of plain, plain2`;
    expect(socket.closing).toEqual({ code: 4406, reason });
    socket.hangUp(4406, reason);
    expect([dial.state, plain.sessions.length]).toEqual(['idle', 0]);
    expect(ends.at(-1)).toMatchObject({ code: 4406, fault: 'unacceptable', wasConnected: false });
  }
});

test('stop() while connected flushes and closes the connection with the given code', () => {
  const { clock, dial, states, last, plain } = client();
  dial.start();
  const socket = last().open('plain', false);
  dial.connected();
  dial.stop(1000, 'bye');
  expect([socket.closing, last().abandoned]).toEqual([{ code: 1000, reason: 'bye' }, 0]);
  expect([dial.state, dial.connection]).toEqual(['idle', undefined]);
  socket.hangUp(1000, 'bye');
  clock.advance(60_000);
  expect(states).toEqual(['connecting', 'connected', 'idle']);
  expect(plain.sessions[0]?.log).toEqual(['end 1000 bye']);
  dial.stop();
  expect(states).toHaveLength(3);
});

test('stop() while dialling abandons, while waiting cancels; a later start begins afresh', () => {
  const { clock, dial, dialled, states, last } = client();
  dial.start();
  dial.stop();
  expect([last().abandoned, dial.state]).toEqual([1, 'idle']);
  dial.start();
  last().attempt.failed(1006, '');
  last().attempt.failed(1006, 'twice');
  dial.stop();
  clock.advance(60_000);
  expect([dialled.length, dial.attempt, states.at(-1)]).toEqual([2, 0, 'idle']);
  dial.start();
  expect(dialled).toHaveLength(3);
});

test('lose() drops what there is, and only what there is; what it wants anew is no failure and waits for nothing', () => {
  const { clock, dial, dialled, ends, last, plain } = client();
  dial.lose(4499, 'nothing');
  expect(dial.state).toBe('idle');
  dial.start();
  const socket = last().open();
  dial.connected();
  dial.lose(4499, 'Terminated');
  expect([socket.terminated, dial.state]).toEqual([true, 'waiting']);
  expect(ends.at(-1)).toMatchObject({ code: 4499, reason: 'Terminated', wasConnected: true });
  expect(plain.sessions[0]?.log).toEqual(['end 4499 Terminated']);
  dial.lose(4499, 'again');
  expect([dial.state, dialled.length]).toEqual(['connecting', 2]);
  dial.lose(4499, 'while dialling');
  expect([dial.state, last().abandoned]).toEqual(['waiting', 1]);
  clock.advance(10);
  expect([dial.state, dialled.length, dial.attempt]).toEqual(['connecting', 3, 0]);
});

test('[CONN-37] a wake-up cuts the wait short, and asks a live peer whether it is there', () => {
  const { dial, dialled, last, plain } = client();
  dial.wake();
  expect(dialled).toHaveLength(0);
  dial.start();
  dial.wake();
  last().attempt.failed(1006, '');
  dial.wake();
  expect([dialled.length, dial.state]).toEqual([2, 'connecting']);
  last().open();
  dial.wake();
  expect(plain.sessions[0]?.log).toEqual(['probe']);
});

test('start() cuts a wait short', () => {
  const { dial, dialled, last } = client();
  dial.start();
  last().attempt.failed(1006, '');
  dial.start();
  expect(dialled).toHaveLength(2);
});

test('retry: false gives up, a number waits so long, Infinity until somebody starts', () => {
  const answers: (boolean | number)[] = [7_000, Number.POSITIVE_INFINITY, false];
  const asked: number[] = [];
  const { clock, dial, dialled, last } = client({
    retry(_, attempt) {
      asked.push(attempt);
      return answers.shift() as boolean | number;
    },
  });
  dial.start();
  last().attempt.failed(1006, '');
  clock.advance(6_990);
  expect(dialled).toHaveLength(1);
  clock.advance(10);
  last().attempt.failed(1006, '');
  clock.advance(3_600_000);
  expect([dialled.length, dial.state]).toEqual([2, 'waiting']);
  dial.start();
  last().attempt.failed(1006, '');
  expect([dial.state, dial.attempt, asked]).toEqual(['idle', 0, [0, 1, 2]]);
  expect(clock.armed).toBe(0);
});

test('[CONN-25] a retry hook that throws is reported, and gives up', () => {
  const { dial, errors, last } = client({
    retry() {
      throw new Error('hook');
    },
  });
  dial.start();
  last().attempt.failed(1006, '');
  expect([dial.state, errors.length]).toEqual(['idle', 1]);
});

test('[CONN-25] a listener that throws is reported and changes nothing', () => {
  const { clock, dial, dialled, errors, listeners, last } = client();
  listeners.push(() => {
    throw new Error('listener');
  });
  dial.start();
  last().open().hangUp();
  clock.advance(10_000);
  expect([dialled.length, errors.length]).toEqual([2, 3]);
});

test('a listener may stop during connecting, waiting and connected', () => {
  for (const when of ['connecting', 'waiting', 'connected'] as const) {
    const { clock, dial, dialled, listeners, last } = client();
    listeners.push((state) => {
      if (state === when) dial.stop();
    });
    dial.start();
    if (when !== 'connecting') {
      last().open();
      dial.connected();
      dial.lose(1006, '');
    }
    clock.advance(60_000);
    expect([dial.state, dialled.length, clock.armed]).toEqual(['idle', when === 'connecting' ? 0 : 1, 0]);
  }
});

test('a listener may start again on idle, and a retry hook may stop', () => {
  const again = client({ retry: () => false });
  let starts = 0;
  again.listeners.push((state) => {
    if (state === 'idle' && starts++ < 1) again.dial.start();
  });
  again.dial.start();
  again.last().attempt.failed(1006, '');
  expect([again.dial.state, again.dialled.length]).toEqual(['connecting', 2]);
  again.dial.stop();
  expect(again.dial.state).toBe('idle');
  const stopped = client({
    retry() {
      stopped.dial.stop();
      return true;
    },
  });
  stopped.dial.start();
  stopped.last().attempt.failed(1006, '');
  stopped.clock.advance(60_000);
  expect([stopped.dial.state, stopped.dialled.length, stopped.clock.armed]).toEqual(['idle', 1, 0]);
});

test('a session may stop, lose or terminate in any call', () => {
  for (const what of ['stop', 'lose', 'terminate'] as const) {
    const { dial, states, last, plain } = client();
    dial.start();
    const socket = last().open();
    const session = plain.sessions[0] as ScriptedSession;
    session.on.receive = () => {
      if (what === 'stop') dial.stop();
      else if (what === 'lose') dial.lose(4004, 'bad');
      else session.connection.terminate();
    };
    socket.receiver?.received('x');
    expect(states.at(-1)).toBe(what === 'stop' ? 'idle' : 'waiting');
    expect(session.log.filter((line) => line.startsWith('end'))).toHaveLength(1);
  }
});

test('a transport may be open, or have failed, before it returns', () => {
  let abandoned = 0;
  const failing = client({
    retry: () => 5_000,
    transport(_, __, attempt) {
      attempt.failed(1006, 'at once');
      return () => abandoned++;
    },
  });
  failing.dial.start();
  failing.dial.stop();
  const socket = new FakeSocket({ protocol: 'plain', batches: false });
  const opening = client({
    transport(_, __, attempt) {
      socket.receiver = attempt.opened(socket);
      return () => abandoned++;
    },
  });
  opening.dial.start();
  opening.dial.connected();
  opening.dial.stop();
  expect([abandoned, socket.closing]).toEqual([0, { code: 1000, reason: '' }]);
});

test('the end of a wait begins an attempt, and is no loss', () => {
  const { clock, dial, dialled, ends } = client({ retry: () => 100 });
  dial.start();
  dialled[0]?.attempt.failed(1006, 'refused');
  clock.advance(100);
  expect([dial.state, dialled.length, ends.filter(Boolean).length]).toEqual(['connecting', 2, 1]);
});

test('[CONN-43] how the last attempt ended, and when the next begins, is there until the protocol is ready', () => {
  const { clock, dial, dialled, last } = client({ retry: () => 5_000 });
  expect([dial.error, dial.retryAt, dial.wasLost]).toEqual([undefined, undefined, false]);
  dial.start();
  const cause = new Error('Unexpected server response: 404');
  last().attempt.failed(0, 'The WebSocket could not be opened', cause);
  expect(dial.error).toMatchObject({
    code: 1006,
    cause,
    message: 'The connection ended: 1006 The WebSocket could not be opened (Unexpected server response: 404)',
  });
  expect([dial.retryAt, dial.wasLost]).toEqual([clock.wall() + 5_000, true]);
  clock.advance(5_000);
  expect([dialled.length, dial.error?.code, dial.retryAt]).toEqual([2, 1006, undefined]);
  last().open();
  dial.connected();
  expect(dial.error).toBeUndefined();
});

test('[CONN-44] after three failures in a row the developer is told once what is being tried', () => {
  const texts: string[] = [];
  const all = client({ url: 'ws://host/graphql?token=secret', warn: (text) => texts.push(text) });
  all.dial.start();
  for (const count of [0, 0, 1, 1]) {
    waitAfter(all);
    expect(texts).toHaveLength(count);
  }
  expect(texts).toEqual([
    'subwire: ws://host/graphql: The connection ended: 1006 refused. Still trying; listen to "closed", or set warn: false',
  ]);
});

test('[CONN-44] a device that says that it is offline needs no words', () => {
  vi.stubGlobal('navigator', { onLine: false });
  const warn = vi.fn();
  const all = client({ warn });
  all.dial.start();
  for (let round = 0; round < 4; round++) waitAfter(all);
  expect(warn).not.toHaveBeenCalled();
  vi.stubGlobal('navigator', { onLine: true });
  waitAfter(all);
  expect(warn).toHaveBeenCalledOnce();
  vi.unstubAllGlobals();
});

test('[CONN-35] what has to be known before an attempt is awaited, as long as the opening of a socket may take', async () => {
  let give = (): void => {};
  const prepare = (): Promise<void> => new Promise((resolve) => (give = resolve));
  const { clock, dial, dialled, ends } = client({ prepare });
  dial.start();
  clock.advance(9_000);
  expect(dialled).toHaveLength(0);
  give();
  await clock.settle();
  expect(dialled).toHaveLength(1);
  clock.advance(9_000);
  expect(dial.state).toBe('connecting');
  clock.advance(1_000);
  expect(ends.at(-1)?.reason).toBe('the socket did not open within 10000 ms');
  dial.start();
  clock.advance(10_000);
  expect(ends.at(-1)?.reason).toBe('url or connectionParams did not come within 10000 ms');
});
