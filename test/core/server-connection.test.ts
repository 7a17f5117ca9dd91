import { describe, expect, test } from 'vitest';
import { MemoryBudget } from '../../src/core/budget.ts';
import { ProtocolError } from '../../src/core/fault.ts';
import { connectionLimits, type LimitOptions, resolveLimits } from '../../src/core/limits.ts';
import type { ConnectionEnd } from '../../src/core/open-connection.ts';
import { backlogged } from '../../src/core/outbox.ts';
import { refuse } from '../../src/core/refuse.ts';
import { ServerConnection } from '../../src/core/server-connection.ts';
import type { Authenticate, Session } from '../../src/core/subprotocol.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';
import { FakeSocket } from '../support/fake-socket.ts';
import { plainFaults, ScriptedSession } from '../support/scripted-session.ts';

const handshake = { url: '/ws', headers: {}, remoteAddress: '', secure: false };

interface Setup {
  readonly limits?: LimitOptions<typeof connectionLimits>;
  readonly batches?: boolean;
  readonly answersClose?: boolean;
  readonly cutsSlowReader?: boolean;
  readonly authenticate?: Authenticate;
  readonly faults?: typeof plainFaults;
  readonly script?: (session: ScriptedSession) => void;
  readonly bytesReceived?: number;
  readonly bufferedAmount?: number;
  readonly fills?: boolean;
  readonly clock?: FakeClock;
  readonly budget?: MemoryBudget;
}

function open(setup: Setup = {}) {
  const clock = setup.clock ?? createFakeClock(1_000);
  const socket = new FakeSocket({
    protocol: 'plain',
    fills: setup.fills ?? false,
    batches: setup.batches ?? true,
    answersClose: setup.answersClose ?? true,
  });
  socket.bytesReceived = setup.bytesReceived ?? 0;
  socket.bufferedAmount = setup.bufferedAmount ?? 0;
  const errors: unknown[] = [];
  const ends: ConnectionEnd[] = [];
  const connection = new ServerConnection(socket, handshake, {
    clock,
    limits: resolveLimits(connectionLimits, setup.limits),
    faultTable: setup.faults ?? plainFaults,
    authenticate: setup.authenticate,
    cutsSlowReader: setup.cutsSlowReader ?? true,
    budget: setup.budget,
    report: (error) => errors.push(error),
    ended: (_, end) => ends.push(end),
  });
  setup.budget?.holders.add([connection]);
  connection.start((opened) => {
    const made = new ScriptedSession(opened);
    setup.script?.(made);
    return made;
  });
  socket.receiver = connection;
  const session = connection.session as ScriptedSession;
  const send = (head: string): void => connection.send({ head, binary: false });
  return { clock, socket, connection, session, errors, ends, send };
}

const text = (head: string) => ({ head, binary: false });

// ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────

test('[CONN-11] all messages of one turn leave in one write, in order', () => {
  const { clock, socket, send } = open();
  for (const each of ['a', 'b', 'c']) send(each);
  expect(socket.writes).toHaveLength(0);
  clock.flushTurn();
  expect(socket.writes.map((wires) => wires.map(({ head }) => head))).toEqual([['a', 'b', 'c']]);
  clock.flushTurn();
  expect(socket.writes).toHaveLength(1);
  send('d');
  clock.flushTurn();
  expect(socket.sent).toEqual(['a', 'b', 'c', 'd']);
  expect(socket.writes).toHaveLength(2);
});

test('[CONN-11] a transport that merges writes by itself gets each message at once', () => {
  const { socket, send } = open({ batches: false });
  send('a');
  send('b');
  expect(socket.writes).toHaveLength(2);
});

test('[CONN-11] flush() does not wait for the end of the turn, which then has nothing left', () => {
  const { clock, socket, connection, send } = open();
  send('a');
  connection.flush();
  expect(socket.sent).toEqual(['a']);
  clock.flushTurn();
  connection.flush();
  expect(socket.writes).toHaveLength(1);
});

test('[CONN-12] a turn that queues more than 64 KiB is flushed before its end', () => {
  const { clock, socket, connection } = open();
  const wire = { head: 'h'.repeat(1_000), tail: new Uint8Array(64_536), binary: true };
  connection.send(wire);
  expect(socket.writes).toHaveLength(0);
  connection.send(text('x'));
  expect(socket.writes.map(({ length }) => length)).toEqual([2]);
  connection.send(text('y'));
  clock.flushTurn();
  expect(socket.writes.map(({ length }) => length)).toEqual([2, 1]);
});

test('[CONN-25] afterTurn comes after what was queued before has left, and what it throws ends the connection', () => {
  const { clock, socket, connection, send } = open();
  const seen: unknown[] = [];
  send('a');
  connection.afterTurn(() => seen.push(socket.sent.length));
  clock.flushTurn();
  expect(seen).toEqual([1]);
  connection.afterTurn(() => {
    throw new ProtocolError('duplicate');
  });
  connection.afterTurn(() => seen.push('after the end'));
  clock.flushTurn();
  expect([seen, socket.closing?.reason]).toEqual([[1, 'after the end'], 'duplicate']);
});

test('sentAt is when data last left, receivedAt when it last came', () => {
  const { clock, connection, send } = open();
  clock.advance(500);
  connection.received('x');
  expect([connection.sentAt, connection.receivedAt, connection.now]).toEqual([1_000, 1_500, 1_500]);
  send('a');
  clock.advance(200);
  expect([connection.sentAt, connection.receivedAt]).toEqual([1_500, 1_500]);
  expect(connection.name).toBe('plain');
});

/** `count` messages of 20,000 bytes, as one burst; all share one tail. */
function burst({ connection, clock }: ReturnType<typeof open>, count: number): void {
  const tail = new Uint8Array(20_000);
  for (let sent = 0; sent < count; sent++) connection.send({ head: '', tail, binary: true });
  clock.flushTurn();
}

test('[CONN-16] a burst cuts nobody who reads, and the socket has little of it at a time', () => {
  const scene = open({ fills: true });
  const { socket, clock } = scene;
  burst(scene, 1_600);
  let most = 0;
  const sent = (): number => socket.writes.reduce((sum, wires) => sum + wires.length, 0);
  for (let round = 0; sent() < 1_600 && round < 1_000; round++) {
    most = Math.max(most, socket.bufferedAmount);
    clock.advance(10);
    socket.peerReads(socket.bufferedAmount);
  }
  expect([sent(), socket.closing]).toEqual([1_600, undefined]);
  expect(most).toBeLessThan(200_000);
});

test('[CONN-16] over half of the mark a reader that takes less than 64 KiB in 30 s is cut', () => {
  const scene = open({ fills: true, answersClose: false });
  const { socket, clock, session } = scene;
  session.on.fail = () => scene.send('last words');
  burst(scene, 40);
  clock.advance(20_000);
  socket.peerReads(30_000);
  clock.advance(9_900);
  expect(socket.closing).toBeUndefined();
  clock.advance(200);
  expect(session.log).toEqual(['fail tooSlow']);
  // [CONN-24] Its last words leave instead of what it has not read.
  socket.peerReads(socket.bufferedAmount);
  expect([session.log, socket.closing?.code]).toEqual([['fail tooSlow'], 1013]);
  expect(socket.sent.at(-1)).toBe('last words');
  expect(socket.sent.length).toBeLessThan(12);
});

test('[CONN-16] a slow reader that takes 64 KiB in 30 s is kept, one that stops is cut 30 s later', () => {
  const scene = open({ fills: true });
  const { socket, clock, connection } = scene;
  burst(scene, 1_000);
  for (let round = 0; round < 20; round++) {
    clock.advance(25_000);
    connection.ponged();
    socket.peerReads(200_000);
  }
  expect(socket.closing).toBeUndefined();
  clock.advance(20_000);
  connection.ponged();
  clock.advance(9_900);
  expect(socket.closing).toBeUndefined();
  clock.advance(200);
  expect(socket.closing?.reason).toBe('tooSlow');
});

test('[CONN-16] below half of the mark nobody has to read', () => {
  const scene = open({ fills: true });
  burst(scene, 20);
  for (let round = 0; round < 10; round++) {
    scene.clock.advance(20_000);
    scene.connection.ponged();
  }
  expect(scene.socket.closing).toBeUndefined();
});

test('[CONN-16] over maxUnread a reader is cut before the next write, one large message beside', () => {
  const scene = open({ fills: true, limits: { maxUnread: 1_000_000 }, answersClose: false });
  const { socket, clock, connection, send } = scene;
  send('first');
  connection.send({ head: '', tail: new Uint8Array(100_000), binary: true });
  connection.send({ head: '', tail: new Uint8Array(5_000_000), binary: true });
  clock.flushTurn();
  send('heart-beat');
  clock.flushTurn();
  burst(scene, 50);
  expect(socket.closing).toBeUndefined();
  send('one more');
  clock.flushTurn();
  socket.peerReads(socket.bufferedAmount);
  expect(socket.closing?.code).toBe(1013);
});

test('[CONN-16] a client is not cut for what its own network does not take', () => {
  const scene = open({ fills: true, batches: false, cutsSlowReader: false, limits: { maxUnread: 1_000_000 } });
  burst(scene, 100);
  scene.clock.advance(20_000);
  scene.connection.ponged();
  scene.clock.advance(20_000);
  expect(scene.socket.closing).toBeUndefined();
});

test('[CONN-16] pongs that nobody reads are cut as well', () => {
  const { socket, connection, session } = open();
  connection.pinged();
  expect(session.log).toEqual([]);
  socket.bufferedAmount = 2_000_000;
  connection.pinged();
  expect(session.log).toEqual(['fail tooSlow', 'end 1013 tooSlow']);
});

test('[CONN-24] the close frame waits for what is queued, as long as the peer reads', () => {
  const scene = open({ fills: true });
  const { socket, connection, session } = scene;
  session.on.fail = () => scene.send('last words');
  burst(scene, 10);
  connection.close('expired');
  expect([connection.closing, socket.closing]).toEqual([true, undefined]);
  while (!socket.closing) socket.peerReads(socket.bufferedAmount);
  expect([socket.sent.length, socket.sent.at(-1), socket.closing.code]).toEqual([11, 'last words', 4413]);
});

test('[CONN-26] a peer that does not read what stands before the close frame is dropped as well', () => {
  const scene = open({ fills: true });
  burst(scene, 10);
  scene.connection.finish();
  scene.clock.advance(10_010);
  expect([scene.socket.closing, scene.socket.terminated]).toEqual([undefined, true]);
  expect(scene.ends).toEqual([{ code: 1006, reason: '', fault: undefined }]);
});

test('[CONN-60] what waits is counted once where it is shared, and let go of at the end', () => {
  const clock = createFakeClock(1_000);
  const budget = new MemoryBudget(1_000_000, clock);
  const scenes = [1, 2, 3].map(() => open({ fills: true, clock, budget }));
  const tail = new Uint8Array(20_000);
  for (let sent = 0; sent < 20; sent++) {
    for (const { connection } of scenes) connection.send({ head: 'head', tail, binary: true });
  }
  clock.flushTurn();
  // Each socket holds a buffer beside what is in it.
  const inSockets = scenes.reduce((sum, { socket }) => sum + socket.bufferedAmount + 16_384, 0);
  const { used } = budget.stats();
  expect(used - inSockets).toBeGreaterThan(20_000);
  expect(used - inSockets).toBeLessThan(20_000 + 3 * 20 * 200);
  for (const { connection } of scenes) expect(connection.heldBytes).toBe(20 * 20_004);
  scenes[0]?.socket.hangUp();
  for (const { socket } of scenes) while (socket.bufferedAmount > 0) socket.peerReads(socket.bufferedAmount);
  expect(budget.stats().used).toBe(0);
});

test('[CONN-95] who waits keeps no buffer alive in which others stand, and all who wait keep one copy', () => {
  const clock = createFakeClock(1_000);
  const budget = new MemoryBudget(1_000_000, clock);
  const scenes = [1, 2].map(() => open({ fills: true, clock, budget, bufferedAmount: 70_000 }));
  const slab = new Uint8Array(65_536);
  const tails = [slab.subarray(0, 100), slab.subarray(60_000, 60_100)];
  for (const tail of tails) {
    for (const { connection } of scenes) connection.send({ head: slab.subarray(200, 204), tail, binary: true });
  }
  clock.flushTurn();
  for (const { socket } of scenes) socket.peerReads(70_000);
  const written = scenes.map(({ socket }) => socket.writes.flat());
  expect(written.map(({ length }) => length)).toEqual([2, 2]);
  for (const { head, tail } of written.flat()) {
    expect([(head as Uint8Array).buffer.byteLength, tail?.buffer.byteLength]).toEqual([4, 100]);
  }
  expect(written[0]?.map(({ tail }) => tail)).toEqual(written[1]?.map(({ tail }) => tail));
  expect(written[0]?.[0]?.tail).toBe(written[1]?.[0]?.tail);
});

test('[CONN-84] a connection that is cut for memory is dropped if its socket has unread output, and else says why', () => {
  for (const unread of [0, 70_000]) {
    const clock = createFakeClock(1_000);
    const budget = new MemoryBudget(1_000_000, clock);
    const { connection, socket, ends } = open({ clock, budget, bufferedAmount: unread, answersClose: false });
    connection.cutForMemory();
    expect(socket.terminated).toBe(unread > 0);
    expect(ends.map(({ fault }) => fault)).toEqual(unread > 0 ? ['tooMany'] : []);
    expect([connection.heldBytes, budget.stats().used]).toEqual([0, 0]);
  }
});

test('[CONN-54] the largest reader is cut once the budget is full, and its messages are let go of at once', () => {
  const clock = createFakeClock(1_000);
  const budget = new MemoryBudget(2_000_000, clock);
  const [one, two] = [open({ fills: true, clock, budget }), open({ fills: true, clock, budget })];
  for (const [{ connection }, count] of [
    [one, 30],
    [two, 120],
  ] as const) {
    for (let sent = 0; sent < count; sent++) connection.send({ head: '', tail: new Uint8Array(20_000), binary: true });
  }
  clock.flushTurn();
  expect([one.socket.closing, two.session.log[0]]).toEqual([undefined, 'fail tooMany']);
  expect(budget.stats().used).toBeLessThan(1_000_000);
});

test('[CONN-17] over half of the mark a connection is saturated, what is queued included', () => {
  const { socket, connection, send } = open({ limits: { highWaterMark: 1_000 } });
  expect(connection.mustWait()).toBe(false);
  socket.bufferedAmount = 300;
  send('x'.repeat(200));
  expect(connection.mustWait()).toBe(false);
  send('x');
  expect([connection.mustWait(), connection.buffered]).toEqual([true, 501]);
});

test('[BUS-38] who has much to read and took some of it within the last second lags; who takes nothing does not', () => {
  const { clock, socket, connection, send } = open({ fills: true, limits: { highWaterMark: 200_000 } });
  const { connections } = backlogged;
  const turn = (): void => {
    for (let sent = 0; sent < 10; sent++) send('x'.repeat(50_000));
    clock.flushTurn();
  };
  send('x');
  clock.flushTurn();
  expect([connection.lags, backlogged.connections - connections]).toEqual([false, 0]);
  turn();
  expect([connection.mustWait(), connection.lags, backlogged.connections - connections]).toEqual([true, false, 1]);
  socket.bufferedAmount = 0;
  connection.drained();
  expect(connection.lags).toBe(true);
  clock.advance(1_001);
  expect(connection.lags).toBe(false);
  while (!connection.outbox.handedOver) {
    socket.bufferedAmount = 0;
    connection.drained();
  }
  expect([connection.lags, backlogged.connections - connections]).toEqual([false, 0]);
  turn();
  turn();
  socket.bufferedAmount = 0;
  connection.drained();
  connection.terminate();
  expect([connection.lags, backlogged.connections - connections]).toEqual([false, 0]);
});

test('[CONN-17] drained follows when the transport says so', () => {
  const { clock, socket, connection, session } = open();
  socket.bufferedAmount = 600_000;
  expect(connection.mustWait()).toBe(true);
  socket.bufferedAmount = 0;
  connection.drained();
  clock.advance(1_000);
  expect(session.log).toEqual(['drained']);
});

test('[CONN-17] drained follows where the transport took everything at once and says nothing', () => {
  const { clock, socket, connection, session, send } = open({ limits: { highWaterMark: 1_000 } });
  send('x'.repeat(600));
  expect(connection.mustWait()).toBe(true);
  clock.flushTurn();
  expect([socket.writes.length, session.log]).toEqual([1, []]);
  clock.advance(20);
  expect(session.log).toEqual(['drained']);
  clock.advance(1_000);
  expect(session.log).toEqual(['drained']);
});

test('[CONN-17] drained follows where the transport never tells: it is asked every 50 ms', () => {
  const { clock, socket, connection, session } = open({ batches: false });
  socket.bufferedAmount = 600_000;
  expect(connection.mustWait()).toBe(true);
  clock.advance(500);
  expect(session.log).toEqual([]);
  socket.bufferedAmount = 0;
  clock.advance(60);
  expect(session.log).toEqual(['drained']);
});

test('nobody asks a transport that was never saturated', () => {
  const { clock, socket, send } = open({ batches: false, limits: { pingInterval: Number.POSITIVE_INFINITY } });
  socket.bufferedAmount = 10;
  send('x');
  expect(clock.armed).toBe(0);
});

// ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────────

test('[CONN-13] held input waits, in order, and the transport is not read', () => {
  const { socket, connection, session } = open();
  connection.hold();
  expect(socket.paused).toBe(true);
  connection.received('a');
  connection.received('b');
  expect(session.log).toEqual([]);
  connection.release();
  expect(session.log).toEqual(['released', 'receive a', 'released', 'receive b', 'released']);
  expect(socket.paused).toBe(false);
});

test('[CONN-13] a transport that goes on after it was paused can make us hold one message and one read of it', () => {
  const { socket, connection, session } = open({ limits: { maxPayload: 1_000 } });
  connection.hold();
  connection.received('x'.repeat(1_000));
  connection.received(new Uint8Array(65_536));
  expect(connection.closing).toBe(false);
  connection.release();
  expect(session.log.filter((line) => line.startsWith('receive'))).toHaveLength(2);
  connection.hold();
  connection.received(new Uint8Array(66_536));
  expect(connection.closing).toBe(false);
  connection.received('x');
  expect(socket.closing).toMatchObject({ code: 4429 });
});

test('[CONN-13] a session that holds in the middle of held input is obeyed at once', () => {
  const { connection, session } = open();
  session.on.receive = (data: string) => {
    if (data === 'CONNECT') connection.hold();
  };
  for (const data of ['CONNECT', 'SEND 1', 'CONNECT', 'SEND 2']) connection.received(data);
  const receives = () => session.log.filter((line) => line.startsWith('receive'));
  expect(receives()).toEqual(['receive CONNECT']);
  connection.release();
  expect(receives()).toEqual(['receive CONNECT', 'receive SEND 1', 'receive CONNECT']);
  connection.release();
  expect(receives().at(-1)).toBe('receive SEND 2');
});

test('[CONN-13] as many releases as holds let input in again; one too many is nothing', () => {
  const { connection, session } = open();
  connection.hold();
  connection.hold();
  connection.received('a');
  connection.release();
  expect(session.log).toEqual([]);
  connection.release();
  connection.release();
  connection.hold();
  connection.received('b');
  expect(session.log.filter((line) => line.startsWith('receive'))).toEqual(['receive a']);
});

test('[CONN-13] a release inside the call that held is heard when the call is over', () => {
  const { socket, connection, session } = open();
  session.on.receive = () => {
    connection.hold();
    connection.release();
  };
  connection.received('a');
  expect(session.log).toEqual(['receive a', 'released']);
  expect(socket.paused).toBe(false);
  session.on.released = () => {
    if (session.log.length > 5) return;
    connection.hold();
    connection.release();
  };
  connection.received('b');
  expect(session.log.slice(2)).toEqual(['receive b', 'released', 'released', 'released']);
});

describe('[CONN-14] the transport ends while the outcome of something is awaited', () => {
  function gone(setup: Setup = {}) {
    const scene = open(setup);
    const { connection, session, socket } = scene;
    session.awaiting = true;
    connection.hold();
    connection.received('a');
    connection.received('b');
    socket.hangUp(1000, 'bye');
    return scene;
  }

  test('what it brought is processed in order, nothing is sent, then it is over', () => {
    const { clock, connection, session, socket, ends, send } = gone();
    expect([session.log, ends, connection.mustWait()]).toEqual([[], [], true]);
    session.on.receive = () => send('an answer');
    connection.release();
    expect(session.log).toEqual(['released', 'receive a', 'released', 'receive b', 'released', 'end 1000 bye']);
    expect(ends).toEqual([{ code: 1000, reason: 'bye', fault: undefined }]);
    clock.flushTurn();
    expect(socket.sent).toEqual([]);
    expect(clock.armed).toBe(0);
  });

  test('a deadline for something to be sent passes once, not for ever', () => {
    const { clock, connection, session } = gone();
    session.sendBy = 1_500;
    session.on.tick = () => {
      connection.send({ head: 'beat', binary: false });
      session.sendBy = connection.now + 500;
    };
    connection.touch();
    clock.advance(1_100);
    expect(session.log).toEqual(['tick', 'tick']);
  });

  test('the first fault ends it, and so does being dropped', () => {
    for (const end of ['close', 'terminate'] as const) {
      const { connection, session, ends } = gone();
      if (end === 'close') connection.close('forbidden');
      else connection.terminate();
      connection.release();
      expect(session.log).toEqual([...(end === 'close' ? ['fail forbidden'] : []), 'end 1000 bye']);
      expect(ends).toHaveLength(1);
    }
  });

  test('input that is held back for anything else is dropped, also if that comes up later', () => {
    const { connection, session } = gone();
    session.on.receive = () => {
      connection.hold();
      session.awaiting = false;
    };
    connection.release();
    expect(session.log).toEqual(['released', 'receive a', 'end 1000 bye']);
    const other = open();
    other.session.awaiting = false;
    other.connection.hold();
    other.connection.received('a');
    other.socket.hangUp();
    expect(other.session.log).toEqual(['end 1006']);
  });

  test('input over its rate is processed as its tokens come', () => {
    const { clock, connection, session, socket } = open({ limits: { messageRate: 2 } });
    session.awaiting = false;
    for (const each of ['a', 'b', 'c']) connection.received(each);
    socket.hangUp(1000, 'bye');
    expect(session.log).toEqual(['receive a', 'receive b']);
    clock.advance(600);
    expect(session.log.slice(2)).toEqual(['released', 'receive c', 'released', 'end 1000 bye']);
  });
});

test('[CONN-13] after the end held input is dropped', () => {
  const { connection, session } = open();
  connection.hold();
  connection.received('a');
  connection.close('forbidden');
  connection.release();
  expect(session.log).toEqual(['fail forbidden', 'end 4403 forbidden']);
});

test('[CONN-14] an outcome comes back with the time, a rejection to its own handler', async () => {
  const { clock, connection } = open();
  const seen: unknown[] = [];
  connection.resume('now', (value, now) => seen.push(value, now));
  connection.resume(Promise.resolve('later'), (value, now) => seen.push(value, now));
  // biome-ignore lint/suspicious/noThenProperty: promises of other libraries are just that
  const thenable = { then: (resolve: (value: string) => void) => resolve('thenable') } as Promise<string>;
  connection.resume(thenable, (value) => seen.push(value));
  connection.resume(
    Promise.reject(new Error('no')),
    () => seen.push('wrong'),
    (error, now) => seen.push((error as Error).message, now),
  );
  expect(seen).toEqual(['now', 1_000]);
  await clock.settle();
  expect(seen).toHaveLength(7);
  expect(seen).toEqual(expect.arrayContaining(['later', 'thenable', 'no', 1_000]));
});

test('[CONN-14] an outcome that comes after the end is dropped', async () => {
  const { clock, connection, errors } = open();
  const seen: unknown[] = [];
  connection.resume(Promise.resolve(1), () => seen.push('then'));
  connection.resume(
    Promise.reject(new Error('no')),
    () => {},
    () => seen.push('otherwise'),
  );
  connection.resume(Promise.reject(new Error('no')), () => {});
  connection.close('forbidden');
  connection.resume(2, () => seen.push('sync'));
  await clock.settle();
  expect(seen).toEqual([]);
  // [CONN-25] What went wrong is told all the same.
  expect(errors).toEqual([new Error('no'), new Error('no')]);
});

test('[CONN-25] a rejection that nobody handles is reported, and is the fault internal', async () => {
  const { clock, socket, connection, errors } = open();
  const error = new Error('no');
  connection.resume(Promise.reject(error), () => {});
  await clock.settle();
  expect(errors).toEqual([error]);
  expect(socket.closing).toEqual({ code: 1011, reason: 'internal' });
});

test('[CONN-15] over the rate the transport is not read; what had come is delivered in time', () => {
  const { clock, socket, connection, session } = open({ limits: { messageRate: 10 } });
  for (let index = 0; index < 12; index++) connection.received(String(index));
  const count = () => session.log.filter((line) => line.startsWith('receive')).length;
  expect([count(), socket.paused]).toEqual([10, true]);
  clock.advance(100);
  expect(count()).toBe(11);
  clock.advance(200);
  expect([count(), socket.paused]).toEqual([12, false]);
  expect(session.log.filter((line) => line.startsWith('receive'))).toEqual(
    Array.from({ length: 12 }, (_, index) => `receive ${index}`),
  );
});

test('[CONN-15] who stays over the rate for 10 s is cut', () => {
  const { clock, connection, socket } = open({ limits: { messageRate: 10 } });
  let sent = 0;
  while (!socket.closing && sent < 2_000) {
    connection.received(String(sent++));
    clock.advance(20);
  }
  expect(socket.closing).toEqual({ code: 4429, reason: 'tooMany' });
  expect(clock.now()).toBeGreaterThan(11_000);
  expect(clock.now()).toBeLessThan(15_000);
});

test('[CONN-21] while the rate keeps us from reading, the silence is our own doing', () => {
  const { clock, connection } = open({ limits: { messageRate: 2 } });
  for (let index = 0; index < 10; index++) connection.received(String(index));
  clock.advance(3_000);
  expect(clock.now() - connection.receivedAt).toBeLessThanOrEqual(510);
});

test('[CONN-21] while input is held, no deadline of the session passes and no peer is dead', () => {
  const { clock, socket, connection, session } = open();
  session.deadline = 3_000;
  connection.touch();
  connection.hold();
  clock.advance(120_000);
  expect([session.log, socket.pings, socket.closing]).toEqual([[], 0, undefined]);
  connection.release();
  expect(connection.receivedAt).toBe(121_000);
  clock.advance(20);
  expect(session.log).toContain('tick');
});

test('[CONN-21] while input is held, what the peer has to hear from us still leaves on time', () => {
  const { clock, connection, session, send } = open();
  session.deadline = session.sendBy = 3_000;
  session.on.tick = (now: number) => {
    send('beat');
    session.deadline = session.sendBy = now + 2_000;
  };
  connection.touch();
  connection.hold();
  clock.advance(7_000);
  expect(session.log).toEqual(['tick', 'tick', 'tick']);
  expect(connection.receivedAt).toBe(7_000);
});

// ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

test('a deadline of the session is met, also when it changes in a call and when it is touched outside', () => {
  const { clock, connection, session } = open();
  session.on.receive = () => {
    session.deadline = 2_000;
  };
  session.on.tick = (now: number) => {
    session.deadline = now + 5_000;
  };
  connection.received('x');
  clock.advance(1_000);
  expect(session.log).toEqual(['receive x', 'tick']);
  session.deadline = 2_500;
  connection.touch();
  clock.advance(500);
  expect(session.log).toHaveLength(3);
  clock.advance(5_000);
  expect(session.log).toHaveLength(4);
});

test('[CONN-18] a peer is pinged every 25 s, also when it sends', () => {
  const { clock, socket, connection } = open();
  for (let second = 1; second <= 100; second++) {
    clock.advance(1_000);
    connection.received('x');
  }
  expect(socket.pings).toBe(4);
});

test('[CONN-19] a peer that answers nothing for 10 s is cut without waiting for its close frame', () => {
  const { clock, socket, session, ends } = open({ answersClose: false });
  clock.advance(34_990);
  expect(socket.closing).toBeUndefined();
  clock.advance(20);
  expect(socket.closing).toEqual({ code: 4000, reason: 'heartbeat' });
  expect(socket.terminated).toBe(true);
  expect(session.log).toEqual(['fail heartbeat', 'end 1006']);
  expect(ends).toEqual([{ code: 1006, reason: '', fault: 'heartbeat' }]);
});

test('[CONN-19] pings that are closer than the patience do not keep a dead peer alive', () => {
  const { clock, socket } = open({ limits: { pingInterval: 5_000, pongTimeout: 10_000 } });
  clock.advance(14_000);
  expect(socket.closing).toBeUndefined();
  clock.advance(1_010);
  expect(socket.closing?.reason).toBe('heartbeat');
});

test.each(['pong', 'ping', 'message', 'part of a message'])('[CONN-20] a %s keeps a peer alive', (what) => {
  const { clock, socket, connection } = open();
  for (let round = 0; round < 15; round++) {
    clock.advance(9_000);
    if (what === 'pong') connection.ponged();
    else if (what === 'ping') connection.pinged();
    else if (what === 'message') connection.received('x');
    else socket.bytesReceived += 1;
  }
  clock.advance(4_000);
  expect(socket.closing).toBeUndefined();
  clock.advance(40_000);
  expect(socket.closing?.reason).toBe('heartbeat');
});

test('[CONN-20] a part of a message counts as data, a pong does not; the octets of the handshake neither', () => {
  const { clock, socket, connection, session } = open({ bytesReceived: 500 });
  session.deadline = 2_000;
  connection.touch();
  session.on.tick = (now: number) => {
    session.deadline = now + 1_000;
  };
  clock.advance(1_000);
  connection.ponged();
  expect(connection.receivedAt).toBe(1_000);
  socket.bytesReceived += 10;
  clock.advance(1_000);
  expect(connection.receivedAt).toBe(3_000);
});

test('[CONN-18] a transport without pings has none', () => {
  const socket = new FakeSocket();
  Object.defineProperty(socket, 'ping', { value: undefined });
  const clock = createFakeClock();
  const connection = new ServerConnection(socket, handshake, {
    clock,
    limits: resolveLimits(connectionLimits),
    faultTable: plainFaults,
    cutsSlowReader: true,
    report: () => {},
  });
  connection.start((opened) => new ScriptedSession(opened));
  expect([connection.deadline, clock.armed]).toEqual([Number.POSITIVE_INFINITY, 0]);
});

test('[CONN-31] an answer that came while the process stalled saves the peer', () => {
  const { clock, socket, connection } = open();
  clock.advance(25_000);
  expect(socket.pings).toBe(1);
  clock.afterTurn(() => {});
  socket.bytesReceived += 6;
  clock.sleep(60_000);
  expect(socket.closing).toBeUndefined();
  expect(connection.closing).toBe(false);
});

test('[CONN-61] a message that is not whole within messageTimeout ends the connection, pongs or not', () => {
  const { clock, connection, socket, session } = open();
  connection.received('a whole one');
  clock.advance(10_000);
  for (let second = 0; second < 59; second++) {
    connection.partly();
    connection.ponged();
    clock.advance(1_000);
  }
  expect(socket.closing).toBeUndefined();
  clock.advance(1_010);
  expect(socket.closing).toEqual({ code: 4400, reason: 'a message that was not whole within 60000 ms' });
  expect(session.log).toEqual(['receive a whole one', 'fail malformed', expect.stringContaining('end 4400')]);
});

test('[CONN-61] the time of a message begins anew with the next one, and stands while we do not read', () => {
  const { clock, connection, socket } = open();
  for (let round = 0; round < 5; round++) {
    connection.partly();
    for (let second = 0; second < 40; second++) {
      clock.advance(1_000);
      connection.ponged();
    }
    connection.received('whole');
  }
  connection.partly();
  clock.advance(5_000);
  connection.hold();
  clock.advance(100_000);
  connection.release();
  for (let round = 0; round < 6; round++) {
    clock.advance(9_000);
    connection.ponged();
  }
  expect(socket.closing).toBeUndefined();
  clock.advance(6_010);
  expect(socket.closing?.code).toBe(4400);
});

test('[CONN-62] a peer that sends on after the close is not read for ever', () => {
  const { clock, connection, socket, session } = open({ answersClose: false, limits: { maxPayload: 1_048_576 } });
  connection.close('forbidden');
  for (let sent = 0; sent < 8; sent++) connection.received('x'.repeat(131_072));
  expect(socket.paused).toBe(false);
  connection.received('x'.repeat(131_072));
  expect([socket.paused, session.log]).toEqual([true, ['fail forbidden']]);
  clock.advance(10_010);
  expect(socket.terminated).toBe(true);
});

test('[CONN-19] a steady reader has a second more to answer a ping for each 64 KiB before it', () => {
  const { clock, connection, socket } = open();
  connection.ponged();
  for (let sent = 0; sent < 32; sent++) {
    connection.send({ head: '', tail: new Uint8Array(65_536), binary: true });
    connection.flush();
  }
  clock.advance(25_000);
  expect(socket.pings).toBe(1);
  clock.advance(41_990);
  expect(socket.closing).toBeUndefined();
  clock.advance(30);
  expect(socket.closing?.reason).toBe('heartbeat');
});

test('[CONN-22] a principal expires by the wall clock', async () => {
  const principal = { name: 'ada', expiresAt: 1_800_000_060_000 };
  const { clock, socket, connection } = open({ authenticate: async () => principal });
  const admitted: boolean[] = [];
  connection.authenticate({}, (yes) => admitted.push(yes));
  await clock.settle();
  expect([admitted, connection.principal]).toEqual([[true], principal]);
  clock.shiftWall(-10_000);
  connection.touch();
  clock.advance(30_000);
  connection.ponged();
  clock.advance(29_000);
  connection.ponged();
  expect(socket.closing).toBeUndefined();
  clock.advance(11_020);
  expect(socket.closing).toEqual({ code: 4413, reason: 'expired' });
});

test('[CONN-22] a principal that has expired already is not let in', async () => {
  const { clock, socket, connection, errors } = open({ authenticate: () => ({ expiresAt: 1_799_999_999_999 }) });
  const admitted: boolean[] = [];
  connection.authenticate({}, (yes) => admitted.push(yes));
  await clock.settle();
  expect([admitted, errors, socket.closing?.reason]).toEqual([[], [], 'expired']);
});

test.each([Number.NaN, '2030-01-01', null])('[CONN-22] an expiresAt of %s is a bug of the hook', async (expiresAt) => {
  const { clock, socket, connection, errors } = open({ authenticate: () => ({ expiresAt }) as never });
  connection.authenticate({}, () => {});
  await clock.settle();
  expect(socket.closing?.reason).toBe('internal');
  expect(String(errors[0])).toContain('expiresAt must be a number of ms');
});

test('authenticate: without a hook everybody is let in as nobody; a falsy answer refuses', async () => {
  const free = open();
  const seen: unknown[] = [];
  free.connection.authenticate({}, (yes, now) => seen.push(yes, now, free.connection.principal));
  expect(seen).toEqual([true, 1_000, undefined]);
  let asked: unknown;
  const strict = open({
    authenticate: (credentials) => {
      asked = credentials;
      return false;
    },
  });
  strict.connection.authenticate({ login: 'x' }, (yes) => seen.push(yes));
  await strict.clock.settle();
  expect(seen.at(-1)).toBe(false);
  expect(asked).toEqual({ login: 'x', subprotocol: 'plain', handshake: strict.connection.handshake });
});

test('[CONN-25] an authenticate hook that throws is the fault internal', async () => {
  const bug = new Error('hook');
  const { clock, socket, connection, errors } = open({
    authenticate: () => {
      throw bug;
    },
  });
  connection.authenticate({}, () => {});
  await clock.settle();
  expect([errors, socket.closing?.reason]).toEqual([[bug], 'internal']);
});

test.each(['denied', 7, [], new Error('no'), () => true])(
  '[CONN-52] authenticate that answers %s is reported, and nobody is let in',
  async (answer) => {
    const { clock, connection, errors } = open({ authenticate: () => answer as never });
    const admitted: boolean[] = [];
    connection.authenticate({}, (yes) => admitted.push(yes));
    await clock.settle();
    expect([admitted, connection.principal]).toEqual([[false], undefined]);
    expect(String(errors[0])).toContain('authenticate must answer a principal');
  },
);

test('[CONN-52] true lets in as nobody; code and reason of a refusal are those of the close frame', async () => {
  const nobody = open({ authenticate: async () => true });
  const admitted: boolean[] = [];
  nobody.connection.authenticate({}, (yes) => admitted.push(yes));
  await nobody.clock.settle();
  expect([admitted, nobody.connection.principal, nobody.socket.closing]).toEqual([[true], undefined, undefined]);
  for (const [code, expected] of [
    [4426, 4426],
    [undefined, 4401],
    [429, 4401],
  ] as const) {
    const { clock, connection, socket, session, errors } = open({
      authenticate: () => refuse({ code, reason: 'Refresh your token' }),
    });
    connection.authenticate({}, (yes) => admitted.push(yes));
    await clock.settle();
    expect([socket.closing, errors]).toEqual([{ code: expected, reason: 'Refresh your token' }, []]);
    expect(session.log[0]).toBe('fail unauthorized');
  }
  expect(admitted).toEqual([true]);
});

test('[CONN-53] an authenticate that has not answered within hookTimeout ends that connection', async () => {
  const answers: ((yes: boolean) => void)[] = [];
  const authenticate = (): Promise<boolean> => new Promise((resolve) => answers.push(resolve));
  const { clock, connection, socket } = open({ authenticate });
  const admitted: boolean[] = [];
  connection.authenticate({}, (yes) => admitted.push(yes));
  clock.advance(9_900);
  expect(socket.closing).toBeUndefined();
  clock.advance(110);
  expect(socket.closing).toEqual({ code: 4503, reason: 'authenticate has not answered within 10000 ms' });
  answers[0]?.(true);
  await clock.settle();
  expect(admitted).toEqual([]);
  const quick = open({ authenticate });
  quick.connection.authenticate({}, (yes) => admitted.push(yes));
  answers[1]?.(true);
  await quick.clock.settle();
  quick.clock.advance(11_000);
  expect([admitted, quick.socket.closing]).toEqual([[true], undefined]);
});

test('[CONN-25] what an outcome rejects with after the end is reported', async () => {
  const { clock, connection, errors } = open();
  let give: (error: Error) => void = () => {};
  connection.resume(new Promise((_, reject) => (give = reject)), () => {});
  connection.terminate();
  const late = new Error('late');
  give(late);
  await clock.settle();
  expect(errors).toEqual([late]);
});

test('[CONN-50] what is kept is counted; over maxKept it is refused, and the end lets go of all of it', () => {
  const { connection, socket, session } = open({ limits: { maxKept: 100 } });
  connection.charge(90);
  expect(() => connection.charge(11)).toThrow(ProtocolError);
  connection.charge(-50);
  connection.charge(60);
  expect(connection.heldBytes).toBe(100);
  connection.charge(-500);
  expect(connection.heldBytes).toBe(0);
  session.on.receive = () => connection.charge(101);
  connection.received('x');
  expect(socket.closing?.code).toBe(1009);
  connection.charge(5);
  expect(connection.heldBytes).toBe(0);
});

describe('[CONN-94] heavy messages wait for each other, and nobody waits for them', () => {
  const heavy = 'x'.repeat(16_384);

  /** Connections of one process; what they are told, with the time. A heavy message takes `ms`. */
  function scene(count: number, ms: number) {
    const clock = createFakeClock(1_000);
    const log: string[] = [];
    const connections = Array.from({ length: count }, (_, name) => {
      const { connection, session, socket } = open({ clock });
      session.on.receive = (data: string) => {
        log.push(`${name} ${data.length < 100 ? data : 'heavy'} ${clock.now() - 1_000}`);
        if (data.length >= heavy.length) clock.sleep(ms);
      };
      return { connection, socket };
    });
    return { clock, log, connections: connections as [(typeof connections)[0], ...typeof connections] };
  }

  test('a costly one is paid for with as much time of others; small ones pass', () => {
    const { clock, log, connections } = scene(3, 50);
    const [one, two, three] = connections;
    one.connection.received(heavy);
    two?.connection.received(heavy);
    two?.connection.received('behind it');
    three?.connection.received('small');
    expect(log).toEqual(['0 heavy 0', '2 small 50']);
    expect([one.socket.paused, two?.socket.paused]).toEqual([false, true]);
    clock.advance(49);
    expect(log).toHaveLength(2);
    clock.advance(1);
    clock.advance(1);
    expect(log.slice(2)).toEqual(['1 heavy 100', '1 behind it 150']);
    expect(two?.socket.paused).toBe(false);
  });

  test('they come in the order in which they began to wait, one of each connection at a time', () => {
    const { clock, log, connections } = scene(4, 20);
    for (const { connection } of connections) for (let sent = 0; sent < 2; sent++) connection.received(heavy);
    clock.advance(1_000);
    expect(log.map((line) => line[0]).join('')).toBe('00123123');
  });

  test('cheap ones wait for nobody', () => {
    const { log, connections } = scene(4, 9);
    for (const { connection } of connections) connection.received(heavy);
    expect(log).toHaveLength(4);
  });

  test('who ends meanwhile is passed over', () => {
    const { clock, log, connections } = scene(3, 50);
    for (const { connection } of connections) connection.received(heavy);
    connections[1]?.connection.terminate();
    clock.advance(1_000);
    expect(log.map((line) => line[0]).join('')).toBe('02');
  });
});

describe('[CONN-51] one read is worked off in shares', () => {
  /** Each message is a count of frames. */
  function framed(limits: Setup['limits'] = {}) {
    const scene = open({ limits });
    const { connection, session } = scene;
    let left = 0;
    let done = 0;
    const pull = (): void => {
      while (left > 0 && connection.takeFrame()) {
        left--;
        done++;
      }
    };
    session.on.receive = (data: string) => {
      left += Number(data);
      pull();
    };
    session.on.released = pull;
    return { ...scene, done: () => done };
  }

  test('after 256 frames the connection is held until the next turn, and goes on by itself', () => {
    const { clock, connection, socket, done } = framed();
    connection.received('600');
    connection.received('100');
    expect([done(), socket.paused]).toEqual([256, true]);
    clock.turn();
    expect(done()).toBe(512);
    clock.flushTurn();
    expect([done(), socket.paused]).toEqual([700, false]);
  });

  test('the transport that is gone meanwhile is no end yet', () => {
    const { clock, connection, session, socket, done } = framed();
    connection.received('300');
    socket.hangUp(1000, 'bye');
    expect(session.log).toEqual(['receive 300']);
    clock.flushTurn();
    expect([done(), session.log.at(-1)]).toEqual([300, 'end 1000 bye']);
  });

  test('[CONN-15] each frame takes a token of messageRate, the first of a message that of the message', () => {
    const { clock, connection, done } = framed({ messageRate: 10 });
    connection.received('30');
    clock.flushTurn();
    expect(done()).toBe(10);
    clock.advance(1_000);
    expect(done()).toBe(20);
    clock.advance(1_000);
    expect(done()).toBe(30);
  });
});

// ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('[CONN-23] the first fault counts, and nothing is processed or sent afterwards', async () => {
  const { clock, socket, connection, session, send } = open({ answersClose: false });
  connection.close('forbidden', 'not you');
  connection.close('internal');
  connection.finish();
  connection.leave(' retry within 1 ms', false);
  connection.received('x');
  connection.drained();
  connection.drain();
  connection.probe();
  session.deadline = 1_100;
  connection.touch();
  send('late');
  clock.advance(200);
  expect(connection.refused(1009)).toBe('');
  expect(socket.closing).toEqual({ code: 4403, reason: 'not you' });
  expect(socket.sent).toEqual([]);
  expect(session.log).toEqual(['fail forbidden']);
  socket.hangUp(4403, 'not you');
  expect(session.log).toEqual(['fail forbidden', 'end 4403 not you']);
});

test('[CONN-23] a fault inside the last words changes nothing', () => {
  const { socket, connection, session } = open();
  session.on.fail = () => {
    connection.close('internal');
    connection.finish();
    expect(connection.refused(1007)).toBe('');
  };
  connection.close('malformed');
  expect(socket.closing).toEqual({ code: 4400, reason: 'malformed' });
  expect(session.log.filter((line) => line.startsWith('fail'))).toHaveLength(1);
});

test('[CONN-27] a session that drops the transport in its last words has ended', () => {
  for (const end of ['close', 'refused', 'leave'] as const) {
    const { socket, connection, session, ends } = open();
    session.on.fail = () => connection.terminate();
    if (end === 'close') connection.close('malformed');
    else if (end === 'refused') expect(connection.refused(1007)).toBe('');
    else connection.leave('', false);
    expect([socket.closing, socket.terminated, ends.length, connection.closing]).toEqual([undefined, true, 1, true]);
  }
});

test('[CONN-24] what was queued and the last words leave, in order, before the close', () => {
  const { socket, connection, session, send } = open();
  session.on.fail = () => send('last words');
  send('queued');
  connection.close('malformed');
  expect(socket.sent).toEqual(['queued', 'last words']);
  expect(socket.writes).toHaveLength(1);
});

test.each([
  [1009, 'tooLarge'],
  [1007, 'malformed'],
  [1002, 'malformed'],
])('[CONN-24] last words leave as well when the transport refuses with %i', (code, fault) => {
  const { clock, socket, connection, session, send, ends } = open();
  session.on.fail = () => send('last words');
  expect(connection.refused(code)).toBe(fault);
  expect(socket.sent).toEqual(['last words']);
  connection.received('x');
  expect(session.log).toEqual([`fail ${fault}`]);
  clock.advance(10_010);
  expect([socket.terminated, ends[0]?.fault]).toEqual([true, fault]);
});

test('[CONN-23] a ProtocolError from receive, released, tick, drained, drain or a resumed call is that fault', () => {
  const calls: Record<string, (setup: ReturnType<typeof open>) => void> = {
    receive: ({ connection }) => connection.received('x'),
    released: ({ connection }) => {
      connection.hold();
      connection.release();
    },
    tick: ({ session, connection, clock }) => {
      session.deadline = 1_010;
      connection.touch();
      clock.advance(10);
    },
    drained: ({ connection }) => connection.drained(),
    drain: ({ connection }) => connection.drain(),
    probe: ({ connection }) => connection.probe(),
  };
  for (const [name, call] of Object.entries(calls)) {
    const setup = open();
    setup.session.on[name as keyof Session] = () => {
      throw new ProtocolError('duplicate', 'id 7');
    };
    call(setup);
    expect([name, setup.socket.closing]).toEqual([name, { code: 4409, reason: 'id 7' }]);
    expect(setup.errors).toEqual([]);
  }
  const { connection, socket } = open();
  connection.resume(1, () => {
    throw new ProtocolError('unauthorized');
  });
  expect(socket.closing?.code).toBe(4401);
});

test.each(['receive', 'released', 'tick', 'drained', 'drain', 'probe', 'fail', 'end'] as const)(
  '[CONN-25] whatever %s throws is reported and never escapes',
  (name) => {
    const { clock, socket, connection, session, errors, ends } = open();
    const bug = new Error(name);
    session.on[name] = () => {
      throw bug;
    };
    session.deadline = 1_010;
    connection.touch();
    connection.hold();
    connection.release();
    connection.received('x');
    connection.drained();
    connection.drain();
    connection.probe();
    clock.advance(10);
    connection.close('forbidden');
    socket.hangUp();
    expect(errors).toContain(bug);
    expect(ends).toHaveLength(1);
    expect(socket.closing?.reason).toBe(name === 'fail' || name === 'end' ? 'forbidden' : 'internal');
    clock.advance(100_000);
    expect(clock.armed).toBe(0);
  },
);

test('[CONN-25] a subprotocol that throws when it opens ends that connection with internal', () => {
  const bug = new Error('open');
  const { socket, connection, errors } = open({
    script() {
      throw bug;
    },
  });
  expect(errors).toEqual([bug]);
  expect(socket.closing).toEqual({ code: 1011, reason: 'internal' });
  expect(connection.closing).toBe(true);
});

test('[CONN-25] a session may send, ask, hold and close while it is made', () => {
  const { clock, socket, session } = open({
    batches: false,
    bufferedAmount: 600_000,
    cutsSlowReader: false,
    script({ connection, log }) {
      connection.send(text('hello'));
      log.push(`saturated ${connection.mustWait()}`);
      connection.authenticate({}, () => log.push('admitted'));
      connection.resume(1, () => connection.hold());
    },
  });
  expect([socket.sent, socket.paused, session.log]).toEqual([[], true, ['saturated true', 'admitted']]);
  socket.bufferedAmount = 0;
  clock.advance(100);
  expect([socket.sent, session.log.at(-1)]).toEqual([['hello'], 'drained']);
  const closed = open({ answersClose: false, script: ({ connection }) => connection.close('forbidden') });
  expect(closed.socket.closing?.code).toBe(4403);
  closed.socket.hangUp(4403);
  expect(closed.session.log).toEqual(['end 4403']);
});

test('[CONN-25] a fault table with a hole, or one that throws, still closes', () => {
  const bug = new Error('table');
  const faults = {
    ...plainFaults,
    malformed: undefined,
    forbidden: {
      code: 4403,
      reason() {
        throw bug;
      },
    },
  } as unknown as typeof plainFaults;
  for (const fault of ['malformed', 'forbidden'] as const) {
    const { socket, connection, errors } = open({ faults });
    connection.close(fault);
    expect(socket.closing).toEqual({ code: 1011, reason: '' });
    expect(errors).toHaveLength(1);
  }
});

test('[CONN-25] a report hook that throws ends nothing', () => {
  const socket = new FakeSocket();
  const connection = new ServerConnection(socket, handshake, {
    clock: createFakeClock(),
    limits: resolveLimits(connectionLimits),
    faultTable: plainFaults,
    cutsSlowReader: true,
    report() {
      throw new Error('logger');
    },
  });
  connection.start((opened) => new ScriptedSession(opened));
  connection.report(new Error('x'));
  expect(connection.closing).toBe(false);
});

test('[CONN-28] a code that may not be sent becomes 1011, and a long reason is cut', () => {
  const { socket, connection } = open();
  connection.finish(1006, '漢'.repeat(60));
  expect(socket.closing).toEqual({ code: 1011, reason: '漢'.repeat(41) });
});

test('finish() flushes, then closes with 1000, and has no last words', () => {
  const { socket, connection, session, send, ends } = open();
  send('a');
  connection.finish();
  expect([socket.sent, socket.closing]).toEqual([['a'], { code: 1000, reason: '' }]);
  expect(session.log).toEqual(['end 1000']);
  expect(ends).toEqual([{ code: 1000, reason: '', fault: undefined }]);
});

test('[CONN-26] a peer that does not answer the close frame is dropped after 10 s', () => {
  const { clock, socket, connection, session } = open({ answersClose: false });
  connection.hold();
  connection.close('forbidden');
  expect(socket.paused).toBe(false);
  clock.advance(9_980);
  expect(socket.terminated).toBe(false);
  clock.advance(30);
  expect(socket.terminated).toBe(true);
  expect(session.log.at(-1)).toBe('end 1006');
  expect(clock.armed).toBe(0);
});

test('[CONN-27] the end is told exactly once, whoever ends it and however often', () => {
  const { clock, connection, session, ends, send } = open();
  send('never sent');
  connection.terminate();
  connection.terminate();
  connection.closed(1000, 'again');
  connection.close('internal');
  connection.finish();
  clock.advance(100_000);
  expect(session.log).toEqual(['end 1006']);
  expect(ends).toEqual([{ code: 1006, reason: '', fault: undefined }]);
});

test('terminate() drops what was queued', () => {
  const { clock, socket, connection, send } = open();
  send('a');
  connection.terminate();
  clock.flushTurn();
  expect(socket.sent).toEqual([]);
  expect(connection.deadline).toBe(Number.POSITIVE_INFINITY);
  connection.tick(5_000_000);
});

test('[CONN-30] leave() says when to come back, and 1012 where a new server takes over', () => {
  const away = open();
  away.connection.leave(' retry within 12000 ms', false);
  expect(away.socket.closing).toEqual({ code: 1001, reason: 'goingAway retry within 12000 ms' });
  expect(away.session.log).toEqual(['fail goingAway', 'end 1001 goingAway retry within 12000 ms']);
  const restart = open();
  restart.connection.leave(' retry within 5 ms', true);
  expect(restart.socket.closing?.code).toBe(1012);
});

test('drain and probe reach the session; a session without probe is left alone', () => {
  const { connection, session } = open();
  connection.drain();
  connection.probe();
  expect(session.log).toEqual(['drain', 'probe']);
  Object.defineProperty(session, 'probe', { value: undefined });
  connection.probe();
  expect(session.log).toHaveLength(2);
});
