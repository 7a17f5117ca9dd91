import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createInTurn } from '../../src/core/in-turn.ts';
import { RecordingConnection } from '../support/recording-connection.ts';

describe('[CONN-97] input waits for outcomes, in its order and in bounded time', () => {
  function scene() {
    const connection = new RecordingConnection();
    const turn = createInTurn(connection);
    const log: unknown[] = [];
    const wait = (outcome: unknown): void =>
      turn.wait(
        outcome,
        (value) => log.push(value),
        (error) => log.push(['rejected', error]),
      );
    return { connection, turn, log, wait };
  }

  test('it is held until the outcome was worked off', async () => {
    const { connection, turn, log, wait } = scene();
    wait(Promise.resolve(1));
    expect([connection.holds, turn.pending, turn.deadline]).toEqual([1, 1, connection.limits.hookTimeout]);
    await setImmediate();
    expect([connection.holds, turn.pending, turn.deadline, log]).toEqual([0, 0, Number.POSITIVE_INFINITY, [1]]);
  });

  test('a value that is there already comes later as well, and a rejection is told', async () => {
    const { connection, log, wait } = scene();
    wait(2);
    wait(Promise.reject('no'));
    expect(log).toEqual([]);
    await setImmediate();
    expect([log, connection.holds]).toEqual([[2, ['rejected', 'no']], 0]);
  });

  test('what is late is unavailable: each has its own time', () => {
    const { connection, turn, wait } = scene();
    wait(new Promise(() => {}));
    connection.now = 5_000;
    wait(new Promise(() => {}));
    turn.tick(9_999);
    expect(() => turn.tick(10_000)).toThrow('no answer within 10000 ms');
  });
});
