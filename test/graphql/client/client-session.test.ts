import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { ProtocolError } from '../../../src/core/fault.ts';
import {
  type ClientOperation,
  type ClientSession,
  type ClientSessionHandler,
  type ClientSessionOptions,
  type ClientSocket,
  openClientSession,
} from '../../../src/graphql/client/client-session.ts';
import { createGate } from '../../support/gate.ts';
import { RecordingConnection } from '../../support/recording-connection.ts';

type Told = readonly [string, ...unknown[]];

let connection: RecordingConnection;
let operations: Map<string, ClientOperation>;
let told: Told[];

function open(options: ClientSessionOptions = {}, host: Partial<ClientSessionHandler> = {}): ClientSession {
  connection = new RecordingConnection('graphql-transport-ws');
  operations = new Map();
  told = [];
  return openClientSession(connection, {
    ...options,
    operations,
    emit: (event, ...details) => told.push([event, ...details]),
    init: () => JSON.stringify({ type: 'connection_init', payload: options.connectionParams || undefined }),
    connected: (socket, payload) => told.push(['connected', socket, payload, false]),
    latency: (ms) => told.push(['latency', ms]),
    ...host,
  });
}

/** Open, and say who we are at this time. */
async function start(options: ClientSessionOptions = {}, now = 0): Promise<ClientSession> {
  const session = open(options);
  connection.now = now;
  await setImmediate();
  return session;
}

function add(id: string): ClientOperation {
  const operation: ClientOperation = {
    id,
    message: `subscribe ${id}`,
    next: (result) => told.push(['next', id, result]),
    error: (errors) => told.push(['error', id, errors]),
    complete: () => told.push(['complete', id]),
    live: () => told.push(['live', id]),
  };
  operations.set(id, operation);
  return operation;
}

/** What the session told its client, without the `message` that goes with every message, and without the socket. */
const news = (): Told[] =>
  told
    .filter(([what]) => what !== 'message' && what !== 'opened')
    .map(([what, ...details]) => (what === 'connected' ? [what, ...details.slice(1)] : [what, ...details]));
const say = (session: ClientSession, message: unknown, now = 0): void => session.receive(JSON.stringify(message), now);
const acknowledge = (session: ClientSession, now = 0): void => say(session, { type: 'connection_ack' }, now);
const fault = (run: () => void): unknown => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    return [(error as ProtocolError).fault, (error as ProtocolError).detail];
  }
  return undefined;
};

describe('handshake', () => {
  test('[GQL-61] the first message is connection_init, with a payload only if there is one', async () => {
    await start();
    expect(connection.take()).toEqual(['{"type":"connection_init"}']);
    await start({ connectionParams: { token: 'x' } });
    expect(connection.take()).toEqual(['{"type":"connection_init","payload":{"token":"x"}}']);
  });

  test('[GQL-62] operations wait for the acknowledgement and leave in their order', async () => {
    const session = await start();
    connection.take();
    session.subscribe(add('1'));
    session.subscribe(add('__proto__'));
    expect(connection.take()).toEqual([]);
    say(session, { type: 'connection_ack', payload: { hello: true } });
    expect(connection.take()).toEqual(['subscribe 1', 'subscribe __proto__']);
    expect(news()).toEqual([['connected', { hello: true }, false]]);
    session.subscribe(add('3'));
    expect(connection.take()).toEqual(['subscribe 3']);
  });

  test('a listener of message that closes hears of nothing else', () => {
    const session = open({}, { emit: () => connection.finish(), connected: () => told.push(['connected']) });
    acknowledge(session);
    expect(told).toEqual([]);
  });

  test('[GQL-62] an operation that was stopped before the acknowledgement is never sent', () => {
    const session = open();
    const operation = add('1');
    session.subscribe(operation);
    operations.delete('1');
    session.cancel(operation);
    acknowledge(session);
    expect(connection.take()).toEqual([]);
  });

  test('[GQL-77] a listener of connected that subscribes makes nothing leave twice', () => {
    const session: ClientSession = open({}, { connected: () => session.subscribe(add('2')) });
    add('1');
    acknowledge(session);
    expect(connection.take()).toEqual(['subscribe 1', 'subscribe 2']);
  });

  test.each(['next', 'error', 'complete'])('[GQL-63] a first message of type %s is a bad response', (type) => {
    const session = open();
    const payload = type === 'error' ? [{ message: 'x' }] : { query: '' };
    expect(fault(() => say(session, { id: '1', type, payload }))).toEqual([
      'malformed',
      `${type} before connection_ack`,
    ]);
  });

  test('[GQL-64] a second acknowledgement changes nothing', () => {
    const session = open();
    add('1');
    acknowledge(session);
    acknowledge(session);
    expect(connection.take()).toEqual(['subscribe 1']);
    expect(news()).toEqual([['connected', undefined, false]]);
  });

  test('[GQL-67] the acknowledgement has its time', async () => {
    expect(open({ connectionAckWaitTimeout: 3_000 }).deadline).toBe(Number.POSITIVE_INFINITY);
    const session = await start({ connectionAckWaitTimeout: 3_000 }, 1_000);
    expect(session.deadline).toBe(4_000);
    session.tick(3_999);
    expect(fault(() => session.tick(4_000))).toEqual(['initTimeout', 'Connection acknowledgement timeout']);
  });

  test('[GQL-67] once acknowledged, no time runs', async () => {
    const session = await start({ connectionAckWaitTimeout: 3_000 });
    acknowledge(session, 2_999);
    expect(session.deadline).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('operations', () => {
  let session: ClientSession;
  beforeEach(async () => {
    session = await start();
    acknowledge(session);
    connection.take();
    told.length = 0;
  });

  test('results, completion and errors reach their operation', () => {
    add('1');
    add('2');
    say(session, { id: '1', type: 'next', payload: { data: { n: 1 } } });
    say(session, { id: '2', type: 'error', payload: [{ message: 'no' }] });
    say(session, { id: '1', type: 'complete' });
    expect(news()).toEqual([
      ['next', '1', { data: { n: 1 } }],
      ['error', '2', [{ message: 'no' }]],
      ['complete', '1'],
    ]);
  });

  test('[GQL-65] messages of unknown operations are ignored', () => {
    say(session, { id: 'toString', type: 'next', payload: {} });
    say(session, { id: '__proto__', type: 'complete' });
    say(session, { id: 'x', type: 'error', payload: [{ message: 'no' }] });
    expect(news()).toEqual([]);
    expect(connection.take()).toEqual([]);
  });

  test('[GQL-71] stopping an operation that was sent sends complete', () => {
    const operation = add('1');
    session.subscribe(operation);
    session.cancel(operation);
    expect(connection.take()).toEqual(['subscribe 1', '{"id":"1","type":"complete"}']);
  });

  test('[GQL-83] operations wait while the connection is saturated, and can be stopped there', () => {
    connection.saturated = true;
    const second = add('2');
    session.subscribe(add('1'));
    session.subscribe(second);
    session.subscribe(add('3'));
    session.cancel(second);
    expect(connection.take()).toEqual([]);
    connection.saturated = false;
    session.drained(0);
    expect(connection.take()).toEqual(['subscribe 1', 'subscribe 3']);
  });

  test.each(['connection_init', 'subscribe'])('[GQL-87] %s from a server is a bad response', (type) => {
    expect(fault(() => say(session, { id: '1', type, payload: { query: '' } }))).toEqual([
      'malformed',
      `Unexpected message: {"id":"1","type":"${type}","payload":{"query":""}}`,
    ]);
  });

  test('[GQL-66] what is no message is a bad response and is not told', () => {
    expect(fault(() => session.receive('{', 0))).toEqual(['malformed', 'Unexpected message: {']);
    expect(fault(() => say(session, { type: 'shout' }))).toEqual(['malformed', 'Unexpected message: {"type":"shout"}']);
    expect(told).toEqual([]);
  });

  test('[CONN-40] a message over maxPayload is not read', () => {
    connection.limits = { ...connection.limits, maxPayload: 19 };
    say(session, { type: 'ping' });
    expect(fault(() => say(session, { type: 'ping', payload: {} }))).toEqual(['tooLarge', 'Message too large']);
    expect(news()).toHaveLength(2);
  });

  test('messages pass the reviver', () => {
    session = open({ jsonMessageReviver: (_key, value) => (value === 'one' ? 1 : value) });
    acknowledge(session);
    add('1');
    say(session, { id: '1', type: 'next', payload: { data: 'one' } });
    expect(news().at(-1)).toEqual(['next', '1', { data: 1 }]);
  });

  test('[GQL-84] a ping with a live id confirms that subscription, and is answered as any other', () => {
    add('1');
    const payload = { subwire: { live: '1' } };
    say(session, { type: 'ping', payload });
    say(session, { type: 'ping', payload: { subwire: { live: 'gone' } } });
    say(session, { type: 'ping', payload: { subwire: { live: 1 } } });
    expect(news().filter(([what]) => what === 'live')).toEqual([['live', '1']]);
    expect(connection.take()[0]).toBe(JSON.stringify({ type: 'pong', payload }));
  });
});

describe('liveness', () => {
  test('[GQL-68] a ping is answered with its payload, before the acknowledgement as well', () => {
    const session = open();
    say(session, { type: 'ping', payload: { n: 1 } });
    say(session, { type: 'ping' });
    expect(connection.take()).toEqual(['{"type":"pong","payload":{"n":1}}', '{"type":"pong"}']);
    expect(told).toEqual([
      ['message', { type: 'ping', payload: { n: 1 } }],
      ['ping', true, { n: 1 }],
      ['pong', false, { n: 1 }],
      ['message', { type: 'ping' }],
      ['ping', true, undefined],
      ['pong', false, undefined],
    ]);
  });

  test('[GQL-68] disablePong leaves pings to the application', () => {
    const session = open({ disablePong: true });
    say(session, { type: 'ping' });
    expect(connection.take()).toEqual([]);
    expect(news()).toEqual([['ping', true, undefined]]);
  });

  test('[GQL-69] a pong that answers nothing is accepted', () => {
    const session = open();
    say(session, { type: 'pong', payload: { n: 1 } });
    expect(news()).toEqual([['pong', true, { n: 1 }]]);
    expect(session.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test('[GQL-70] pings follow each other by keepAlive, from the start and from each pong', async () => {
    const session = await start({ keepAlive: 5_000 }, 1_000);
    connection.take();
    expect(session.deadline).toBe(6_000);
    session.tick(5_999);
    expect(connection.take()).toEqual([]);
    session.tick(6_000);
    expect(connection.take()).toEqual(['{"type":"ping"}']);
    expect(session.deadline).toBe(16_000);
    say(session, { type: 'pong' }, 6_042);
    expect(news()).toEqual([
      ['ping', false, undefined],
      ['latency', 42],
      ['pong', true, undefined],
    ]);
    expect(session.deadline).toBe(11_042);
  });

  test('[GQL-70] silence after a ping is a dead peer: dropped at once', async () => {
    const session = await start({ keepAlive: 5_000 });
    session.tick(5_000);
    session.tick(14_999);
    expect(connection.closed).toBeUndefined();
    session.tick(15_000);
    expect(connection.closed).toEqual(['heartbeat', 'Heartbeat timeout']);
    expect(connection.terminated).toBe(true);
  });

  test('[GQL-70] anything that came after the ping shows that the peer lives', async () => {
    const session = await start({ keepAlive: 5_000 });
    session.tick(5_000);
    connection.receivedAt = 5_001;
    session.tick(15_000);
    expect(connection.closed).toBeUndefined();
    expect(session.deadline).toBe(20_000);
  });

  test('[GQL-70] a wake-up pings at once, but not while an answer is awaited', () => {
    const session = open();
    session.probe?.(100);
    session.probe?.(200);
    expect(connection.take()).toEqual(['{"type":"ping"}']);
    expect(session.deadline).toBe(10_100);
    expect(connection.touched).toBe(1);
  });

  test('[GQL-85] a ping with a payload does not put off the answer that is due', () => {
    const session = open();
    session.probe?.(100);
    connection.now = 5_000;
    session.refresh({ token: 'new' }, () => {});
    expect(connection.take()[1]).toBe('{"type":"ping","payload":{"subwire":{"credentials":{"token":"new"}}}}');
    expect(session.deadline).toBe(10_100);
    say(session, { type: 'pong' }, 5_100);
    expect(news()).toContainEqual(['latency', 5_000]);
  });
});

describe('what listeners are told', () => {
  test('[GQL-74] of a socket before it is said who we are; params that cannot be JSON end the connection', async () => {
    const cause = new Error('No token');
    open(
      {},
      {
        init() {
          throw cause;
        },
      },
    );
    await setImmediate();
    expect(told).toEqual([
      ['opened', expect.objectContaining({ protocol: 'graphql-transport-ws' })],
      ['error', cause],
    ]);
    expect([connection.closed, connection.take()]).toEqual([['internal', 'No token'], []]);
  });

  test('[GQL-74] what a hook threw is told whole; in a close frame it stands only if there is room for it', async () => {
    open({}, { init: () => Promise.reject(new Error('x'.repeat(200))) });
    await setImmediate();
    expect(connection.closed).toEqual(['internal', 'Internal client error']);
  });

  test('[GQL-67] params that take their time: the acknowledgement has its time from when they were sent', async () => {
    const params = createGate();
    const init = (): Promise<string> => params.opened.then(() => '{"type":"connection_init"}');
    const session = open({ connectionAckWaitTimeout: 1_000 }, { init });
    await setImmediate();
    expect(connection.take()).toEqual([]);
    connection.now = 5_000;
    params.open();
    await setImmediate();
    expect(connection.take()).toEqual(['{"type":"connection_init"}']);
    expect(session.deadline).toBe(6_000);
  });

  test('a socket sends, closes and knows whether it is open', async () => {
    await start();
    const socket = told[0]?.[1] as ClientSocket;
    expect(socket.readyState).toBe(1);
    connection.take();
    socket.send('{"type":"ping"}');
    expect(connection.take()).toEqual(['{"type":"ping"}']);
    socket.close(4408, 'Request Timeout');
    expect([connection.finished, socket.readyState]).toEqual([[4408, 'Request Timeout'], 2]);
  });

  test('[GQL-66] what cannot be read is an error, another fault is none; the end is told by the connection', () => {
    const session = open();
    const error = new ProtocolError('malformed');
    session.fail?.(new ProtocolError('tooLarge'));
    session.fail?.(error);
    session.end(4004, 'malformed');
    expect(connection.take()).toEqual([]);
    expect(told).toEqual([['error', error]]);
  });
});
