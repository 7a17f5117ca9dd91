import { expect, test, vi } from 'vitest';
import type { Disconnection } from '../../src/core/disconnection.ts';
import { createEndpoint } from '../../src/core/endpoint.ts';
import type { EndpointOptions } from '../../src/core/endpoint-options.ts';
import type { ConnectionEnd, OpenConnection } from '../../src/core/open-connection.ts';
import { refuse } from '../../src/core/refuse.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { FakeSocket } from '../support/fake-socket.ts';
import { type ScriptedSession, scripted } from '../support/scripted-session.ts';

const handshake = { url: '/ws', headers: {}, remoteAddress: '127.0.0.1', secure: false };

function serve(options: Partial<EndpointOptions> = {}) {
  const clock = createFakeClock();
  const plain = scripted();
  const errors: unknown[] = [];
  const endpoint = createEndpoint({ protocols: [plain], clock, onError: (error) => errors.push(error), ...options });
  function connect(answersClose = true, remoteAddress = '127.0.0.1') {
    const socket = new FakeSocket({ protocol: 'plain', answersClose });
    const connection = endpoint.accept(socket, { ...handshake, remoteAddress }, plain);
    socket.receiver = connection;
    return { socket, connection, session: connection.session as ScriptedSession };
  }
  return { clock, plain, endpoint, errors, connect };
}

test('stats count connections by subprotocol, what was accepted and refused, and faults', () => {
  const { endpoint, connect } = serve();
  const [one, two] = [connect(), connect()];
  endpoint.refused();
  expect(endpoint.stats()).toEqual({
    open: 2,
    subprotocols: { plain: 2 },
    accepted: 2,
    refused: 1,
    faults: {},
    protocols: {},
    draining: false,
    budgets: { memory: { used: 0, peak: 0, limit: Infinity, refused: 0, cut: 0 } },
  });
  one.connection.close('forbidden');
  two.socket.hangUp();
  expect(endpoint.stats()).toMatchObject({ open: 0, subprotocols: {}, accepted: 2, faults: { forbidden: 1 } });
});

test('[CONN-38] after a thousand connections the wheel holds nothing and nothing is open', () => {
  const { clock, endpoint, connect } = serve();
  const all = Array.from({ length: 1_000 }, () => connect(false));
  for (const [index, { connection, socket }] of all.entries()) {
    if (index % 3 === 0) connection.close('malformed');
    if (index % 3 === 1) connection.finish();
    if (index % 2 === 0) socket.hangUp();
    if (index % 7 === 0) clock.advance(10);
  }
  for (const { connection } of all) connection.terminate();
  clock.flushTurn();
  expect([endpoint.stats().open, clock.armed]).toEqual([0, 0]);
});

test('[CONN-9] over maxConnections nothing more is taken, until one has left', () => {
  const { endpoint, connect } = serve({ maxConnections: 2 });
  connect();
  expect(endpoint.unavailable()).toBeUndefined();
  const { socket } = connect();
  expect(endpoint.unavailable()).toBe('Too many connections');
  socket.hangUp();
  expect(endpoint.unavailable()).toBeUndefined();
});

test('[CONN-29] a drain tells every session, refuses new ones and closes a tenth of the idle per second', async () => {
  const { clock, endpoint, connect } = serve();
  const all = Array.from({ length: 250 }, () => connect());
  const drained = endpoint.drain();
  expect(endpoint.unavailable()).toBe('The server is going away');
  expect(endpoint.stats().draining).toBe(true);
  expect(all.every(({ session }) => session.log[0] === 'drain')).toBe(true);
  const left: number[] = [];
  for (let second = 0; second < 10; second++) {
    clock.advance(1_000);
    left.push(endpoint.stats().open);
  }
  for (const [second, open] of left.entries()) {
    const expected = 250 - 25 * (second + 1);
    expect(Math.abs(open - expected)).toBeLessThanOrEqual(3);
  }
  clock.advance(500);
  await drained;
  expect([endpoint.stats().open, clock.armed]).toEqual([0, 0]);
});

test('[CONN-29] who still runs something is waited for', async () => {
  const { clock, endpoint, connect } = serve();
  const busy = connect();
  busy.session.idle = false;
  const idle = connect();
  const drained = endpoint.drain({ deadline: 5_000 });
  clock.advance(1_000);
  expect([idle.socket.closing?.code, busy.socket.closing]).toEqual([1001, undefined]);
  busy.session.idle = true;
  clock.advance(200);
  expect(busy.socket.closing?.code).toBe(1001);
  await drained;
});

test('[CONN-30] at the deadline whatever still runs is closed; the hint and 1012 tell when and why to come back', async () => {
  const { clock, endpoint, connect } = serve();
  const all = Array.from({ length: 50 }, () => connect());
  for (const { session } of all) session.idle = false;
  const drained = endpoint.drain({ deadline: 3_000, restart: true, retryWithin: 12_000 });
  clock.advance(2_950);
  expect(endpoint.stats().open).toBe(50);
  clock.advance(150);
  await drained;
  for (const { socket } of all) {
    expect(socket.closing).toEqual({ code: 1012, reason: 'goingAway retry within 12000 ms' });
  }
});

test('[CONN-30] clients are told to come back over 1.5 ms per connection, at least a second', async () => {
  for (const [count, hint] of [
    [3, 1_000],
    [2_500, 3_750],
  ] as const) {
    const { clock, endpoint, connect } = serve();
    const all = Array.from({ length: count }, () => connect());
    const drained = endpoint.drain();
    clock.advance(31_000);
    await drained;
    expect(all.at(-1)?.socket.closing?.reason).toBe(`goingAway retry within ${hint} ms`);
  }
});

test('[CONN-30] a drain waits for peers that do not answer the close, until their time is up', async () => {
  const { clock, endpoint, connect } = serve({ limits: { closeTimeout: 2_000 } });
  const { socket } = connect(false);
  let through = false;
  const drained = endpoint.drain({ deadline: 0 }).then(() => {
    through = true;
  });
  clock.advance(1_900);
  await clock.settle();
  expect([through, socket.closing?.code]).toEqual([false, 1001]);
  clock.advance(300);
  await drained;
  expect([socket.terminated, clock.armed]).toEqual([true, 0]);
});

test('[CONN-30] a drain of nobody is through at once; a second one is the first', async () => {
  const { endpoint, plain } = serve();
  const order: string[] = [];
  endpoint.onDrained(() => order.push('listener'));
  Object.assign(plain, { dispose: () => order.push('dispose') });
  await Promise.all([endpoint.drain(), endpoint.drain({ deadline: 5 })]);
  expect(order).toEqual(['dispose', 'listener']);
});

test('[CONN-25] a dispose hook that throws is reported and stops no drain', async () => {
  const { endpoint, plain, errors } = serve();
  const bug = new Error('dispose');
  let heard = false;
  Object.assign(plain, {
    dispose() {
      throw bug;
    },
  });
  endpoint.onDrained(() => {
    heard = true;
  });
  await endpoint.drain();
  expect([errors, heard]).toEqual([[bug], true]);
});

test('[CONN-10] drain names the option that is wrong, and then does not drain', async () => {
  const { endpoint } = serve();
  for (const name of ['deadline', 'retryWithin']) {
    for (const value of [-1, Number.NaN, '5'] as never[]) {
      await expect(endpoint.drain({ [name]: value })).rejects.toThrow(new RegExp(`^drain: ${name} must be a number`));
    }
  }
  expect(endpoint.stats().draining).toBe(false);
});

test.each([
  [{ protocols: [] }, /^protocols must list/],
  [{ protocols: undefined }, /^protocols must list/],
  [{ protocols: [null] }, /^protocols must hold subprotocols/],
  [{ protocols: [{ names: 'x' }] }, /^protocols must hold subprotocols/],
  [{ protocols: [scripted(['a']), scripted(['b', 'a'])] }, /^protocols: two of them speak a/],
  [{ authenticate: 'yes' }, /^authenticate must be a function; got string/],
  [{ onError: 5 }, /^onError must be a function; got number/],
  [{ maxConnections: 0 }, /^maxConnections must be a number above 0/],
  [{ maxConnections: '5' }, /^maxConnections must be a number above 0/],
  [{ onConnect: true }, /^onConnect must be a function; got boolean/],
  [{ onDisconnect: {} }, /^onDisconnect must be a function; got object/],
  [{ perAddress: 5 }, /^perAddress must be an object/],
  [{ perAddress: { connections: 0 } }, /^perAddress.connections must be a number above 0/],
  [{ perPrincipal: { connects: 1 } }, /^perPrincipal has no option "connects"/],
  [{ memory: 0 }, /^memory must be a number of bytes above 0/],
  [{ memory: '1 GB' }, /^memory must be a number of bytes above 0/],
  [{ limits: { maxPayload: 0 } }, /^limits\.maxPayload must be/],
  [{ limits: { maxPayloads: 1 } }, /^limits\.maxPayloads is not a limit/],
])('[CONN-10] %j is a TypeError that names the option', (options, message) => {
  expect(() => createEndpoint({ protocols: [scripted()], ...options } as never)).toThrow(TypeError);
  expect(() => createEndpoint({ protocols: [scripted()], ...options } as never)).toThrow(message);
});

test('[CONN-25] errors go to console.error unless somebody listens, and a listener that throws ends nothing', () => {
  const heard = vi.spyOn(console, 'error').mockImplementation(() => {});
  const bug = new Error('x');
  createEndpoint({ protocols: [scripted()] }).report(bug);
  expect(heard).toHaveBeenCalledExactlyOnceWith('subwire:', bug);
  heard.mockRestore();
  const endpoint = createEndpoint({
    protocols: [scripted()],
    onError() {
      throw new Error('logger');
    },
  });
  expect(() => endpoint.report(bug)).not.toThrow();
});

test('[CONN-1] the endpoint chooses among what it has mounted', () => {
  const { endpoint, plain } = serve();
  expect(endpoint.choose(['x', 'plain'])).toEqual({ kind: 'speak', subprotocol: plain, name: 'plain' });
  expect(endpoint.limits.maxPayload).toBe(4_194_304);
});

test('[CONN-54] over the memory of the process the connection that holds most is cut, and others notice nothing', () => {
  const { clock, endpoint, connect } = serve({ memory: 1_000 });
  const [small, large, other] = [connect(), connect(), connect()];
  small.connection.charge(200);
  large.connection.charge(700);
  clock.flushTurn();
  expect(endpoint.stats().budgets.memory).toEqual({ used: 900, peak: 900, limit: 1_000, refused: 0, cut: 0 });
  other.connection.charge(300);
  clock.flushTurn();
  expect(large.socket.closing).toMatchObject({ code: 4429 });
  expect([small.socket.closing, other.socket.closing]).toEqual([undefined, undefined]);
  expect(endpoint.stats()).toMatchObject({
    budgets: { memory: { used: 500, peak: 1_200, cut: 1 } },
    faults: { tooMany: 1 },
  });
  expect(() => small.connection.charge(20_000_000)).toThrow('more than 16777216 bytes would be kept');
  expect(endpoint.stats().budgets.memory).toMatchObject({ used: 500, refused: 1 });
});

/** An endpoint that tells who came and went. */
function watched(options: Partial<EndpointOptions> = {}) {
  const told: [string, OpenConnection, ConnectionEnd?][] = [];
  const scene = serve({
    authenticate: ({ login }) => (login === undefined ? false : { name: login }),
    onConnect: (connection) => void told.push(['connect', connection]),
    onDisconnect: (connection, end) => void told.push(['disconnect', connection, end]),
    ...options,
  });
  async function login(name?: string) {
    const made = scene.connect();
    let admitted: boolean | undefined;
    made.connection.authenticate({ login: name }, (yes) => (admitted = yes));
    await scene.clock.settle();
    return { ...made, admitted };
  }
  return { ...scene, told, login };
}

test('[CONN-55] onConnect and onDisconnect are called once for each client that was let in, whatever the end', async () => {
  const { connect, login, told, endpoint } = watched();
  const [ada, bob, eve] = [await login('ada'), await login('bob'), await login()];
  connect().socket.hangUp();
  ada.connection.authenticate({ login: 'ada' }, () => {});
  eve.connection.close('forbidden');
  expect(told).toEqual([
    ['connect', ada.connection],
    ['connect', bob.connection],
  ]);
  told.length = 0;
  ada.connection.close('malformed');
  bob.socket.hangUp(1001, 'bye');
  expect(told).toEqual([
    ['disconnect', ada.connection, { code: 4400, reason: 'malformed', fault: 'malformed' }],
    ['disconnect', bob.connection, { code: 1001, reason: 'bye', fault: undefined }],
  ]);
  expect([...endpoint.connections()]).toEqual([]);
});

test('[CONN-55] what is seen of a connection: who, since when, by what', async () => {
  const { clock, endpoint, login } = watched();
  clock.advance(5_000);
  const { connection } = await login('ada');
  clock.advance(500);
  const [seen] = endpoint.connections();
  expect(seen).toBe(connection);
  expect(seen).toMatchObject({ subprotocol: 'plain', principal: { name: 'ada' }, buffered: 0, closing: false });
  expect(seen?.openedAt).toBe(clock.wall() - 500);
  expect(seen?.id).not.toBe((await login('bob')).connection.id);
});

test('[CONN-25] hooks that throw or reject are reported and end nothing', async () => {
  const bugs = [new Error('onConnect'), new Error('onDisconnect')];
  const { clock, login, errors } = watched({
    onConnect() {
      throw bugs[0];
    },
    onDisconnect: () => Promise.reject(bugs[1]),
  });
  const { admitted, socket } = await login('ada');
  expect([admitted, socket.closing]).toEqual([true, undefined]);
  socket.hangUp();
  await clock.settle();
  expect(errors).toEqual(bugs);
});

test('[CONN-55] onConnect may end the connection; then nothing follows but onDisconnect', async () => {
  const scene = watched({ onConnect: (connection) => void scene.endpoint.disconnect((each) => each === connection) });
  const { admitted, socket } = await scene.login('ada');
  expect([admitted, socket.closing?.code]).toEqual([undefined, 4413]);
  expect(scene.told.map(([what]) => what)).toEqual(['disconnect']);
});

test('[CONN-56] disconnect() ends those that match at once, held or idle, with words of the application', async () => {
  const { endpoint, login } = watched();
  const [one, two, bob] = [await login('ada'), await login('ada'), await login('bob')];
  one.connection.hold();
  expect(endpoint.disconnect({ principal: 'ada' }, { code: 4403, reason: 'banned' })).toBe(2);
  for (const { socket } of [one, two]) expect(socket.closing).toEqual({ code: 4403, reason: 'banned' });
  expect(bob.socket.closing).toBeUndefined();
  expect(endpoint.disconnect({ principal: 'ada' })).toBe(0);
  expect(endpoint.disconnect(({ principal }) => principal?.name === 'bob', refuse({ reason: 'come back' }))).toBe(1);
  expect(bob.socket.closing).toEqual({ code: 4413, reason: 'come back' });
  await login('eve');
  expect(endpoint.disconnect((async () => true) as never)).toBe(0);
  expect(endpoint.disconnect(() => true)).toBe(1);
});

test('[CONN-10] disconnect names what is wrong', () => {
  const { endpoint } = serve();
  for (const match of [undefined, null, 'ada', {}, { principal: 5 }]) {
    expect(() => endpoint.disconnect(match as never)).toThrow('disconnect() needs a function, or { principal');
  }
  expect(() => endpoint.disconnect(() => true, { code: 1006, reason: '' })).toThrow('code must be a close code');
  expect(() => endpoint.disconnect(() => true, refuse({ code: 401, reason: '' }))).toThrow('needs a close code');
});

test('[CONN-57] close() closes everybody with 1001 at once and resolves when they are gone', async () => {
  const { clock, endpoint, connect, plain } = serve();
  const all = Array.from({ length: 30 }, () => connect());
  for (const { session } of all) session.idle = false;
  const deaf = connect(false);
  let disposed = 0;
  Object.assign(plain, { dispose: () => disposed++ });
  let closed = false;
  const closing = endpoint.close().then(() => (closed = true));
  clock.advance(10);
  expect(endpoint.unavailable()).toBe('The server is going away');
  expect(all.every(({ socket }) => socket.closing?.code === 1001)).toBe(true);
  await clock.settle();
  expect(closed).toBe(false);
  clock.advance(10_100);
  await closing;
  expect([deaf.socket.terminated, endpoint.stats().open, disposed]).toEqual([true, 0, 1]);
  await endpoint.close();
  expect(disposed).toBe(1);
});

test('[CONN-57] close() cuts a drain short', async () => {
  const { clock, endpoint, connect } = serve();
  const { socket, session } = connect();
  session.idle = false;
  const drained = endpoint.drain();
  clock.advance(1_000);
  expect(socket.closing).toBeUndefined();
  await Promise.all([endpoint.close(), drained]);
  expect(socket.closing?.code).toBe(1001);
});

test('[CONN-58] perAddress: a full address is told when to come back, others are not concerned', () => {
  const { clock, endpoint, connect } = serve({ perAddress: { connections: 2, connectsPerSecond: 5 } });
  expect(endpoint.admits('203.0.113.7')).toEqual({ admitted: true });
  const [one] = [connect(true, '203.0.113.7'), connect(true, '::ffff:203.0.113.7')];
  expect(endpoint.admits('203.0.113.7')).toEqual({ admitted: false, retryAfter: 5 });
  expect(endpoint.admits('203.0.113.8')).toEqual({ admitted: true });
  one?.socket.hangUp();
  expect(endpoint.admits('203.0.113.7')).toEqual({ admitted: true });
  for (let count = 0; count < 5; count++) connect(true, '2001:db8::1').socket.hangUp();
  expect(endpoint.admits('2001:db8::abcd')).toEqual({ admitted: false, retryAfter: 1 });
  clock.advance(400);
  expect(endpoint.admits('2001:db8::1')).toEqual({ admitted: true });
});

test('[CONN-58] private addresses are not counted unless they are trusted; what has left is forgotten', () => {
  const { clock, endpoint, connect } = serve({ perAddress: { connections: 1, connectsPerSecond: 1 } });
  const all = ['127.0.0.1', '10.1.2.3', '::1', '', 'fe80::1%eth0'].map((address) => connect(true, address));
  for (const address of ['127.0.0.1', '10.1.2.3']) expect(endpoint.admits(address)).toEqual({ admitted: true });
  const socket = new FakeSocket({ protocol: 'plain' });
  const trusted = { ...handshake, remoteAddress: '10.1.2.3', trusted: true };
  const connection = endpoint.accept(socket, trusted, scripted());
  socket.receiver = connection;
  expect([endpoint.admits('10.1.2.3', true).admitted, endpoint.admits('10.1.2.3').admitted]).toEqual([false, true]);
  for (const each of all) each.connection.terminate();
  connection.terminate();
  clock.advance(60_000);
  expect([clock.armed, connection.closing]).toEqual([0, true]);
});

test('[CONN-58] perPrincipal: one connection too many is refused, and not told to onConnect', async () => {
  const { login, told } = watched({ perPrincipal: { connections: 1 } });
  const [one, two, bob] = [await login('ada'), await login('ada'), await login('bob')];
  expect([one.admitted, two.admitted, bob.admitted]).toEqual([true, undefined, true]);
  expect(two.socket.closing).toEqual({ code: 4429, reason: 'Too many connections of this principal' });
  expect(told).toHaveLength(2);
  one.socket.hangUp();
  expect((await login('ada')).admitted).toBe(true);
});

test('[CLUSTER-1] what a bus says ends connections of its endpoints, by principal and age, until the last one is gone', async () => {
  let say: ((disconnection: Disconnection) => void) | undefined;
  const bus = {
    on(_event: 'disconnect', listener: (disconnection: Disconnection) => void) {
      say = listener;
      return () => {
        say = undefined;
      };
    },
  };
  const { clock, endpoint, login } = watched({ bus });
  const [old, bob] = [await login('ada'), await login('bob')];
  const between = clock.wall();
  clock.advance(500);
  const young = await login('ada');
  say?.({ principal: 'ada', words: undefined, openedBefore: between });
  expect([old.socket.closing?.code, young.socket.closing, bob.socket.closing]).toEqual([4413, undefined, undefined]);
  say?.({ principal: 'ada', words: refuse({ code: 4403, reason: 'banned' }), openedBefore: Infinity });
  expect([young.socket.closing, bob.socket.closing]).toEqual([{ code: 4403, reason: 'banned' }, undefined]);
  const closed = endpoint.close();
  for (const { socket } of [old, young, bob]) socket.hangUp();
  clock.advance(10_000);
  await clock.settle();
  await closed;
  expect(say).toBeUndefined();
  expect(() => watched({ bus: {} as never })).toThrow('bus must be a bus such as createBus()');
});
