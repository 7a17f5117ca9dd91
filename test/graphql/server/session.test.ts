import { describe, expect, test } from 'vitest';
import { ProtocolError } from '../../../src/core/fault.ts';
import { resolveLimits } from '../../../src/core/limits.ts';
import type { SubscribeMessage } from '../../../src/graphql/protocol/messages.ts';
import { graphqlLimits } from '../../../src/graphql/server/limits.ts';
import {
  GraphqlSession,
  pullsPerTurn,
  type RunningOperation,
  type SessionHandler,
} from '../../../src/graphql/server/session.ts';
import { RecordingConnection } from '../../support/recording-connection.ts';

/** An operation that writes down what becomes of it. */
class RecordedOperation implements RunningOperation {
  readonly cost = 1_000;
  readonly id: string;
  readonly streams: boolean;
  readonly stream = null;
  places: { mark(): void } | undefined;
  readonly log: string[];

  constructor({ id, payload }: SubscribeMessage, log: string[]) {
    this.id = id;
    this.streams = payload.query === 'stream';
    this.log = log;
  }

  start(): void {
    this.log.push(`start ${this.id}`);
  }
  goOn(): void {
    this.log.push(`goOn ${this.id}`);
  }
  cancel(): void {
    this.log.push(`cancel ${this.id}`);
  }
}

function open(options: { acknowledged?: boolean; maxOperations?: number } = {}) {
  const connection = new RecordingConnection('graphql-transport-ws');
  const log: string[] = [];
  const operations: RecordedOperation[] = [];
  const handler: SessionHandler = {
    init: (payload) => void log.push(`init ${JSON.stringify(payload)}`),
    ping: () => void log.push('ping'),
    pong: () => void log.push('pong'),
    hooksDeadline: undefined,
    hooksTick: () => {},
    operation(message) {
      const operation = new RecordedOperation(message, log);
      operations.push(operation);
      return operation;
    },
    ending: () => void log.push('ending'),
    end: (code, reason) => void log.push(`end ${code} ${reason}`),
  };
  const limits = resolveLimits(graphqlLimits, { maxOperations: options.maxOperations, maxInitPayload: 100 });
  const session = new GraphqlSession(connection, handler, limits);
  const send = (message: unknown): void => session.receive(JSON.stringify(message));
  if (options.acknowledged !== false) {
    send({ type: 'connection_init' });
    session.acknowledge();
    log.length = 0;
  }
  const subscribe = (id: string, query = ''): void => send({ type: 'subscribe', id, payload: { query } });
  return { connection, session, log, send, subscribe, operations };
}

function faultOf(run: () => void): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
    return (error as ProtocolError).fault;
  }
  return 'none';
}

describe('before the ack', () => {
  test('[GQL-9] the client has initTimeout ms for connection_init, and then all the time', () => {
    const { session, send } = open({ acknowledged: false });
    expect(session.deadline).toBe(3_000);
    expect(faultOf(() => session.tick(2_999))).toBe('none');
    expect(faultOf(() => session.tick(3_000))).toBe('initTimeout');
    send({ type: 'connection_init', payload: { token: 't' } });
    expect(session.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test('[GQL-10] a second connection_init closes, answered or not', () => {
    const { connection, send, log } = open({ acknowledged: false });
    send({ type: 'connection_init', payload: null });
    send({ type: 'connection_init' });
    expect(connection.finished).toEqual([4429, 'Too many initialisation requests']);
    expect(log).toEqual(['init null']);
    const later = open();
    later.subscribe('1');
    later.send({ type: 'connection_init' });
    expect(later.connection.finished?.[0]).toBe(4429);
    expect(later.log).toEqual(['start 1', 'cancel 1']);
  });

  test('[GQL-13] subscribe is too early, also while connection_init is being looked at', () => {
    const { send, subscribe, log } = open({ acknowledged: false });
    expect(faultOf(() => subscribe('1'))).toBe('unauthorized');
    send({ type: 'connection_init' });
    expect(faultOf(() => subscribe('1'))).toBe('unauthorized');
    expect(log).toEqual(['init undefined']);
  });

  test('[GQL-16] [GQL-17] [GQL-28] ping, pong and a stray complete may come', () => {
    const { send, log } = open({ acknowledged: false });
    send({ type: 'ping' });
    send({ type: 'pong' });
    send({ type: 'complete', id: '1' });
    expect(log).toEqual(['ping', 'pong']);
  });

  test('[GQL-18] long messages are refused before they are parsed', () => {
    const { session, send } = open({ acknowledged: false });
    expect(faultOf(() => session.receive('ü'.repeat(51)))).toBe('tooLarge');
    expect(faultOf(() => session.receive(new Uint8Array(101)))).toBe('tooLarge');
    send({ type: 'connection_init' });
    session.acknowledge();
    expect(faultOf(() => session.receive('ü'.repeat(51)))).toBe('malformed');
  });
});

describe('operations', () => {
  test.each(['connection_ack', 'next', 'error'])('[GQL-8] %s is not for clients to send', (type) => {
    const payload = type === 'error' ? [{ message: '' }] : {};
    expect(faultOf(() => open().send({ type, id: '1', payload }))).toBe('malformed');
  });

  test('[GQL-14] [GQL-23] run side by side, each under an id of its own', () => {
    const { subscribe, log } = open();
    subscribe('__proto__');
    subscribe('toString', 'stream');
    expect(log).toEqual(['start __proto__', 'start toString']);
    expect(faultOf(() => subscribe('__proto__'))).toBe('duplicate');
  });

  test('[GQL-15] the id is free after the client’s complete, and the old operation cannot free the new one’s', () => {
    const { subscribe, send, session, operations, log } = open();
    subscribe('1');
    send({ type: 'complete', id: '1' });
    subscribe('1');
    expect(log).toEqual(['start 1', 'cancel 1', 'start 1']);
    session.forget(operations[0] as RunningOperation);
    expect(faultOf(() => subscribe('1'))).toBe('duplicate');
    session.forget(operations[1] as RunningOperation);
    expect(faultOf(() => subscribe('1'))).toBe('none');
  });

  test('[GQL-28] a complete of an unknown id is ignored', () => {
    const { send, log } = open();
    send({ type: 'complete', id: 'nobody' });
    expect(log).toEqual([]);
  });

  test('[GQL-33] one more than maxOperations is answered by an error, the others go on', () => {
    const { subscribe, connection, log } = open({ maxOperations: 2 });
    for (const id of ['1', '2', '3']) subscribe(id);
    expect(log).toEqual(['start 1', 'start 2']);
    expect(connection.take().map((text) => JSON.parse(String(text)))).toEqual([
      {
        id: '3',
        type: 'error',
        payload: [
          {
            message: 'Too many operations: at most 2 may run on one connection',
            extensions: { code: 'TOO_MANY_OPERATIONS' },
          },
        ],
      },
    ]);
  });

  test('[GQL-35] however many wait for a saturated connection, it is looked at once after each turn', () => {
    const { session, subscribe, connection, operations } = open();
    for (const id of ['1', '2', '3']) subscribe(id, 'stream');
    connection.saturated = true;
    for (const operation of operations) expect(session.takes(operation as RunningOperation)).toBe(false);
    expect(connection.queued).toHaveLength(1);
    connection.endTurn();
    expect(connection.queued).toHaveLength(0);
    for (const operation of operations) expect(session.takes(operation as RunningOperation)).toBe(false);
    expect(connection.queued).toHaveLength(1);
  });

  test('[GQL-42] none is started once the server drains; those with an end are waited for', () => {
    const { session, subscribe, operations, log } = open();
    expect(session.idle).toBe(true);
    subscribe('1', 'stream');
    expect(session.idle).toBe(true);
    subscribe('2');
    expect(session.idle).toBe(false);
    session.drain();
    subscribe('3');
    expect(log).toEqual(['start 1', 'start 2']);
    session.forget(operations[1] as RunningOperation);
    expect(session.idle).toBe(true);
  });

  test('[GQL-20] a fault cancels all of them, and the end tells the handler', () => {
    const { session, subscribe, log } = open();
    subscribe('1');
    subscribe('2');
    log.length = 0;
    session.fail();
    session.released();
    session.end(1006, 'gone');
    expect(log).toEqual(['cancel 1', 'cancel 2', 'ending', 'end 1006 gone']);
  });
});

describe('backpressure', () => {
  function running(count: number) {
    const opened = open({ maxOperations: count });
    for (let id = 0; id < count; id++) opened.subscribe(String(id));
    opened.log.length = 0;
    return { ...opened, operation: (index: number) => opened.operations[index] as RunningOperation };
  }

  test('[GQL-35] a saturated connection takes nothing, and tells when it takes more', () => {
    const { connection, session, operation, log } = running(2);
    expect(session.takes(operation(0))).toBe(true);
    connection.saturated = true;
    expect(session.takes(operation(0))).toBe(false);
    expect(session.takes(operation(1))).toBe(false);
    connection.endTurn();
    session.drained();
    expect(log).toEqual([]);
    connection.saturated = false;
    session.drained();
    session.drained();
    expect(log).toEqual(['goOn 0', 'goOn 1']);
  });

  test('[GQL-35] who reads too little for stallTimeout while something waits is cut', () => {
    const { connection, session, operation, log } = running(1);
    connection.saturated = true;
    session.takes(operation(0));
    expect(session.deadline).toBe(30_000);
    expect(faultOf(() => session.tick(29_999))).toBe('none');
    expect(faultOf(() => session.tick(30_000))).toBe('tooSlow');
    connection.saturated = false;
    session.tick(30_000);
    expect(log).toEqual(['goOn 0']);
    expect(session.deadline).toBe(Number.POSITIVE_INFINITY);
  });

  test('[GQL-35] what saturated only until the end of the turn is noticed without the transport', () => {
    const { connection, session, operation, log } = running(1);
    connection.saturated = true;
    session.takes(operation(0));
    connection.saturated = false;
    connection.endTurn();
    expect(log).toEqual(['goOn 0']);
  });

  test('[GQL-34] after so many pulls in one turn the others come first', () => {
    const { connection, session, operation, log } = running(1);
    for (let pull = 0; pull < pullsPerTurn; pull++) expect(session.mayPull(operation(0))).toBe(true);
    expect(session.mayPull(operation(0))).toBe(false);
    expect(log).toEqual([]);
    connection.endTurn();
    expect(log).toEqual(['goOn 0']);
    expect(session.mayPull(operation(0))).toBe(true);
  });

  test('who has ended is not told to go on', () => {
    const { connection, session, operation, log } = running(2);
    connection.saturated = true;
    session.takes(operation(0));
    session.takes(operation(1));
    session.forget(operation(0));
    connection.saturated = false;
    session.drained();
    expect(log).toEqual(['goOn 1']);
  });
});

test('a reviver is used', () => {
  const connection = new RecordingConnection();
  const seen: unknown[] = [];
  const handler = { init: (payload: unknown) => seen.push(payload) } as unknown as SessionHandler;
  const session = new GraphqlSession(connection, handler, resolveLimits(graphqlLimits), (key, value) =>
    key === 'payload' ? { revived: true } : value,
  );
  session.receive('{"type":"connection_init","payload":{}}');
  expect(seen).toEqual([{ revived: true }]);
});

test('[GQL-115] operations that want to know where they are are told every 25 s, unless nobody reads', () => {
  const { connection, session, subscribe, operations, log } = open();
  subscribe('1', 'stream');
  subscribe('2', 'stream');
  const [placed, other] = operations as [RecordedOperation, RecordedOperation];
  placed.places = { mark: () => void log.push('mark 1') };
  expect(other.places).toBeUndefined();
  log.length = 0;
  session.marks();
  session.marks();
  expect([session.deadline, connection.touched]).toEqual([25_000, 1]);
  const at = (now: number): void => {
    connection.now = now;
    session.tick(now);
  };
  at(24_999);
  expect(log).toEqual([]);
  at(25_000);
  expect([log, session.deadline]).toEqual([['mark 1'], 50_000]);
  connection.saturated = true;
  at(50_000);
  expect([log, session.deadline]).toEqual([['mark 1'], 75_000]);
  placed.places = undefined;
  at(75_000);
  expect(session.deadline).toBe(Number.POSITIVE_INFINITY);
});
