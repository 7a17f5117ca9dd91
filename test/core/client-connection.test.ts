import { expect, test } from 'vitest';
import { type ClientEnd, openConnection } from '../../src/core/client-connection.ts';
import { resolveClientLimits } from '../../src/core/client-limits.ts';
import { ProtocolError } from '../../src/core/fault.ts';
import type { Connection } from '../../src/core/subprotocol.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { FakeSocket } from '../support/fake-socket.ts';
import { ScriptedSession } from '../support/scripted-session.ts';

function open(script?: (session: ScriptedSession) => void, answersClose = true) {
  const clock = createFakeClock(1_000);
  const socket = new FakeSocket({ protocol: 'plain', batches: false, answersClose });
  const errors: unknown[] = [];
  const ends: ClientEnd[] = [];
  let session!: ScriptedSession;
  const connection = openConnection(socket, {
    clock,
    limits: resolveClientLimits({ highWaterMark: 1_000 }),
    faults: { malformed: 4400 },
    report: (error) => errors.push(error),
    ended: (end) => ends.push(end),
  });
  socket.receiver = connection;
  connection.start((opened) => {
    session = new ScriptedSession(opened as unknown as Connection);
    script?.(session);
    return session;
  });
  return { clock, socket, connection, session, errors, ends };
}

const text = (head: string) => ({ head, binary: false });

test('a message leaves at once, and nothing after the end', () => {
  const { clock, socket, connection } = open();
  clock.advance(50);
  connection.send(text('a'));
  expect([socket.sent, connection.sentAt]).toEqual([['a'], 1_050]);
  connection.finish();
  connection.send(text('b'));
  expect([socket.sent, socket.closing]).toEqual([['a'], { code: 1000, reason: '' }]);
});

test('[CONN-23] a fault closes with its code, or 1011 if it has none; the reason is the detail, or its name', () => {
  const { socket, connection, session, ends } = open();
  connection.close('malformed', 'why');
  connection.close('internal');
  expect([socket.closing, session.log]).toEqual([{ code: 4400, reason: 'why' }, ['fail malformed', 'end 4400 why']]);
  expect(ends).toEqual([
    { code: 4400, reason: 'why', fault: 'malformed', error: new ProtocolError('malformed', 'why') },
  ]);
  const other = open();
  other.connection.close('tooLarge');
  expect(other.socket.closing).toEqual({ code: 1011, reason: 'tooLarge' });
});

test('[CONN-23] what goes wrong after a normal close is no reason for it', () => {
  const { socket, connection, session, ends } = open(undefined, false);
  session.on.receive = () => {
    connection.finish(1000, 'enough');
    throw new ProtocolError('malformed');
  };
  connection.received('a');
  connection.close('heartbeat');
  connection.closed(1000, 'enough');
  expect([socket.closing, ends]).toEqual([{ code: 1000, reason: 'enough' }, [{ code: 1000, reason: 'enough' }]]);
  expect(session.log).toEqual(['receive a', 'end 1000 enough']);
});

test('[CONN-25] what a session throws in any call ends its connection', () => {
  const bug = new Error('bug');
  const fail = (): never => {
    throw bug;
  };
  const { socket, session, errors } = open();
  session.on.receive = fail;
  socket.receiver?.received('x');
  expect([socket.closing?.code, errors]).toEqual([1011, [bug]]);
  const thrown = open(() => {
    throw new ProtocolError('malformed', 'at once');
  });
  expect(thrown.socket.closing).toEqual({ code: 4400, reason: 'at once' });
  thrown.socket.receiver?.received('late');
});

test('[CONN-14] an outcome comes back unless the connection has ended; a rejection nobody handles is a bug', async () => {
  const { clock, connection, socket, errors } = open();
  const heard: unknown[] = [];
  connection.resume(Promise.resolve('yes'), (value, now) => heard.push([value, now]));
  connection.resume(Promise.reject('no'), fail, (error) => heard.push(error));
  function fail(): never {
    throw new Error('not called');
  }
  await clock.settle();
  expect(heard).toEqual([['yes', 1_000], 'no']);
  const bug = new Error('bug');
  connection.resume(Promise.reject(bug), fail);
  connection.resume(Promise.reject(bug), fail, fail);
  await clock.settle();
  expect([errors, socket.closing?.code]).toEqual([[bug], 1011]);
});

test('[CONN-17] who waits for the transport is told, though it says nothing', () => {
  const { clock, socket, connection, session } = open();
  socket.bufferedAmount = 501;
  expect([connection.mustWait(), session.log]).toEqual([true, []]);
  clock.advance(50);
  expect(session.log).toEqual([]);
  socket.bufferedAmount = 0;
  clock.advance(50);
  expect(session.log).toEqual(['drained']);
});

test('[CONN-26] a peer that does not answer the close is dropped', () => {
  const { clock, connection, socket } = open(undefined, false);
  connection.finish();
  clock.advance(9_990);
  expect(socket.terminated).toBe(false);
  clock.advance(10);
  expect([socket.terminated, clock.armed]).toEqual([true, 0]);
});
