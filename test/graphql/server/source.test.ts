import { describe, expect, test } from 'vitest';
import { createSubscription, type Sink, type SourceSink } from '../../../src/bus/subscription.ts';
import type { SlowSubscriber } from '../../../src/core/slow-subscriber.ts';
import { PulledSource } from '../../../src/graphql/server/pulled-source.ts';
import { type PushedReader, PushedSource } from '../../../src/graphql/server/pushed-source.ts';
import { Shares } from '../../../src/graphql/server/shares.ts';
import { returnSource } from '../../../src/graphql/server/source.ts';
import { ManualSource } from '../../support/graphql-schema.ts';
import { RecordingConnection } from '../../support/recording-connection.ts';

/** A reader that writes down what it is told; `slow` takes its time for each value. */
class RecordingReader implements PushedReader {
  readonly places = undefined;
  readonly connection = new RecordingConnection();
  readonly shares = new Shares();
  readonly log: unknown[] = [];
  slow = false;
  /** Values may be pulled in this turn. */
  pulls = true;

  work(source: { workNow(): void }): void {
    source.workNow();
  }
  handle(value: unknown): boolean {
    this.log.push(value);
    return !this.slow;
  }
  finished(): void {
    this.log.push('finished');
  }
  failed(error: unknown): void {
    this.log.push(error);
  }
  mayPull(): boolean {
    return this.pulls;
  }
  takes(): boolean {
    return !this.connection.saturated;
  }
}

function pushed(policy: SlowSubscriber = 'disconnect', early: readonly unknown[] = []) {
  const reader = new RecordingReader();
  let sink: SourceSink<unknown> | undefined;
  let stopped = 0;
  const subscription = createSubscription<unknown>((to) => {
    sink = to;
    for (const value of early) to.next(value);
    return () => stopped++;
  });
  const source = new PushedSource(reader, subscription, policy, 2);
  let turning = false;
  /** End the turns that follow, unless this is in one of them. */
  const turn = (): void => {
    if (turning) return;
    turning = true;
    while (reader.connection.queued.length > 0) reader.connection.endTurn();
    turning = false;
  };
  const { start } = source;
  source.start = () => {
    start.call(source);
    turn();
  };
  const inTurns: Sink<unknown> = {
    next(value) {
      sink?.next(value);
      turn();
    },
    error(error) {
      sink?.error(error);
      turn();
    },
    complete() {
      sink?.complete();
      turn();
    },
  };
  return { reader, source, subscription, sink: inTurns, atOnce: sink as SourceSink<unknown>, stopped: () => stopped };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('pushed', () => {
  test('values, those that came early first, and the end', () => {
    const { reader, source, sink, stopped } = pushed('disconnect', [1]);
    source.start();
    sink.next(2);
    sink.complete();
    sink.next(3);
    expect(reader.log).toEqual([1, 2, 'finished']);
    source.stop();
    expect(stopped()).toBe(1);
  });

  test('the end waits for what is being executed', () => {
    const { reader, source, sink } = pushed();
    reader.slow = true;
    source.start();
    sink.next(1);
    sink.next(2);
    sink.complete();
    expect(reader.log).toEqual([1]);
    source.goOn();
    expect(reader.log).toEqual([1, 2]);
    source.goOn();
    source.goOn();
    expect(reader.log).toEqual([1, 2, 'finished']);
  });

  test('an error ends it at once, and only once', () => {
    const { reader, source, sink } = pushed();
    source.start();
    sink.error('broken');
    source.error('again');
    source.next(1);
    source.complete();
    expect(reader.log).toEqual(['broken']);
  });

  /** While the first value is handled, this happens; a slow reader takes its time afterwards. */
  function during(pushes: ReturnType<typeof pushed>, happen: () => void): void {
    const { reader } = pushes;
    const handle = reader.handle.bind(reader);
    reader.handle = (value) => {
      reader.handle = handle;
      happen();
      return handle(value);
    };
  }

  test.each([false, true])(
    'what is pushed while a value is handled comes after it, and the end last; slow: %s',
    (slow) => {
      for (const early of [[], [1]]) {
        const pushes = pushed('disconnect', early);
        const { reader, source, sink } = pushes;
        reader.slow = slow;
        during(pushes, () => {
          sink.next(2);
          sink.next(3);
          sink.complete();
          reader.log.push('pushed');
        });
        source.start();
        if (early.length === 0) sink.next(1);
        for (let round = 0; slow && round < 3; round++) {
          expect(reader.log).toEqual(['pushed', 1, 2, 3].slice(0, 2 + round));
          source.goOn();
        }
        expect(reader.log).toEqual(['pushed', 1, 2, 3, 'finished']);
      }
    },
  );

  test('so it is while one that had waited is handled', () => {
    const pushes = pushed('dropOldest');
    const { reader, source, sink } = pushes;
    source.start();
    reader.connection.saturated = true;
    sink.next(1);
    reader.connection.saturated = false;
    during(pushes, () => {
      sink.next(2);
      sink.error('broken');
    });
    source.goOn();
    expect(reader.log).toEqual([1, 2, 'broken']);
  });

  test.each<[SlowSubscriber, unknown[]]>([
    ['disconnect', [new Error('More than 2 events were waiting to be executed'), 1]],
    ['dropOldest', [1, 2, 4, 5]],
    ['latest', [1, 2, 4, 5]],
  ])('[GQL-36] %s: what is pushed while a value is handled is bounded', (policy, log) => {
    const pushes = pushed(policy);
    const { reader, source, sink } = pushes;
    const { log: told } = reader;
    reader.failed = (error) => {
      told.push(error);
      source.stop();
    };
    during(pushes, () => {
      for (const value of [2, 3, 4, 5]) sink.next(value);
    });
    source.start();
    sink.next(1);
    expect(told).toEqual(log);
  });

  test('[GQL-36] what is pushed by a value that saturates the connection waits', () => {
    const pushes = pushed('latest');
    const { reader, source, sink } = pushes;
    during(pushes, () => {
      reader.connection.saturated = true;
      for (const value of [2, 3]) sink.next(value);
      sink.complete();
    });
    source.start();
    sink.next(1);
    expect(reader.log).toEqual([1]);
    reader.connection.saturated = false;
    source.goOn();
    expect(reader.log).toEqual([1, 3, 'finished']);
  });

  test('[GQL-36] while values wait, later ones queue behind them', () => {
    const { reader, source, sink } = pushed('dropOldest');
    source.start();
    reader.connection.saturated = true;
    sink.next(1);
    reader.connection.saturated = false;
    sink.next(2);
    expect(reader.log).toEqual([]);
    source.goOn();
    expect(reader.log).toEqual([1, 2]);
  });

  test('[GQL-36] one that is told to go on while it must wait waits', () => {
    const { reader, source, sink } = pushed('latest');
    source.start();
    reader.connection.saturated = true;
    sink.next(1);
    sink.next(2);
    source.goOn();
    expect(reader.log).toEqual([]);
    reader.connection.saturated = false;
    source.goOn();
    expect(reader.log).toEqual([2]);
  });

  test('[GQL-54] what is pushed is worked off in a later turn; more than maxBacklog in one turn, at once', () => {
    const { reader, source, atOnce } = pushed();
    source.start();
    for (const value of [1, 2, 3]) atOnce.next(value);
    expect(reader.log).toEqual([]);
    atOnce.next(4);
    expect(reader.log).toEqual([1]);
    atOnce.complete();
    while (reader.connection.queued.length > 0) reader.connection.endTurn();
    expect(reader.log).toEqual([1, 2, 3, 4, 'finished']);
  });

  test('[GQL-29] stopped by its reader, early or late, it lets go once', () => {
    const { source, sink, reader, stopped } = pushed();
    source.start();
    source.stop();
    source.stop();
    sink.next(1);
    expect(stopped()).toBe(1);
    expect(reader.log).toEqual([]);
    const early = pushed('disconnect', [1]);
    const handle = early.reader.handle.bind(early.reader);
    early.reader.handle = (value) => {
      early.source.stop();
      return handle(value);
    };
    early.source.start();
    expect(early.stopped()).toBe(1);
  });
});

describe('pulled', () => {
  test('one value at a time, and the next when the reader is through', async () => {
    const reader = new RecordingReader();
    reader.slow = true;
    const iterable = new ManualSource();
    const source = new PulledSource(reader, iterable, 'disconnect', 2);
    source.start();
    for (const value of [1, 2]) iterable.push(value);
    await settle();
    expect(reader.log).toEqual([1]);
    source.goOn();
    await settle();
    expect(reader.log).toEqual([1, 2]);
    expect(iterable.asked).toBe(2);
  });

  test('[GQL-29] what comes or breaks after the stop is dropped', async () => {
    const reader = new RecordingReader();
    const iterables = [new ManualSource(), new ManualSource()];
    for (const iterable of iterables) {
      const source = new PulledSource(reader, iterable, 'disconnect', 2);
      source.start();
      source.goOn();
      await source.stop();
      expect(source.stop()).toBeUndefined();
      source.goOn();
    }
    iterables[0]?.push(1);
    iterables[1]?.fail('late');
    await settle();
    expect(reader.log).toEqual([]);
    expect(iterables.map(({ asked, returned }) => [asked, returned])).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  /** A reader that does not take anything now. */
  async function saturated(iterable: AsyncIterable<unknown>, policy: SlowSubscriber) {
    const reader = new RecordingReader();
    reader.connection.saturated = true;
    const source = new PulledSource(reader, iterable, policy, 2);
    source.start();
    await settle();
    return { reader, source };
  }

  test('[GQL-35] a generator is not asked while the connection is saturated', async () => {
    let made = 0;
    const generator = (async function* () {
      for (;;) yield ++made;
    })();
    const { reader, source } = await saturated(generator, 'disconnect');
    expect(made).toBe(0);
    reader.connection.saturated = false;
    source.goOn();
    await Promise.resolve();
    await Promise.resolve();
    reader.connection.saturated = true;
    await settle();
    expect(reader.log.length).toBeLessThan(5);
    await source.stop();
  });

  test.each<[SlowSubscriber, unknown[]]>([
    ['dropOldest', [4, 5]],
    ['latest', [5]],
  ])('[GQL-55] any other iterator is, and %s says what is kept', async (policy, kept) => {
    const iterable = new ManualSource();
    const { reader, source } = await saturated(iterable, policy);
    for (const value of [1, 2, 3, 4, 5]) iterable.push(value);
    iterable.end();
    await settle();
    expect(iterable.asked).toBe(6);
    expect(reader.log).toEqual([]);
    reader.connection.saturated = false;
    source.goOn();
    expect(reader.log).toEqual([...kept, 'finished']);
    expect(await source.stop()).toBeUndefined();
    expect(iterable.returned).toBe(0);
  });

  test('[GQL-55] disconnect: more than maxBacklog that wait cut the client', async () => {
    const iterable = new ManualSource();
    const { reader, source } = await saturated(iterable, 'disconnect');
    for (const value of [1, 2]) iterable.push(value);
    await settle();
    expect(reader.connection.closed).toBeUndefined();
    iterable.push(3);
    await settle();
    expect(reader.connection.closed?.[0]).toBe('tooSlow');
    await source.stop();
    expect(iterable.returned).toBe(1);
  });

  test('[GQL-34] and it gives way after its pulls of a turn', async () => {
    const iterable = new ManualSource();
    const reader = new RecordingReader();
    reader.pulls = false;
    const source = new PulledSource(reader, iterable, 'disconnect', 2);
    source.start();
    expect(iterable.asked).toBe(0);
    reader.pulls = true;
    source.goOn();
    expect(iterable.asked).toBe(1);
  });

  test('an iterable without return has nothing to give back', async () => {
    expect(await returnSource({ [Symbol.asyncIterator]: () => new ManualSource() })).toBeUndefined();
  });
});
