import { expect, test } from 'vitest';
import { type Batch, Outbox } from '../../src/backbones/outbox.ts';
import { BackboneError } from '../../src/bus/backbone.ts';
import { createFakeClock } from '../support/fake-clock.ts';

interface Sent {
  readonly batch: Batch;
  done(): void;
  failed(error: unknown): void;
}

function desk({ up = true } = {}) {
  const clock = createFakeClock();
  const sent: Sent[] = [];
  const outbox = new Outbox({
    name: 'test',
    timers: clock,
    send: (batch) =>
      new Promise((resolve, reject) => {
        sent.push({
          batch,
          done: () => resolve(batch.messages.map((_, index) => ({ epoch: 'e', offset: index }))),
          failed: reject,
        });
      }),
  });
  outbox.up = up;
  const outcomes: Record<string, unknown> = {};
  const publish = (topic: string, timeout?: number, bytes = 1): void => {
    outbox.publish(topic, new Uint8Array(bytes), undefined, timeout).then(
      (position) => {
        outcomes[topic] = position?.offset;
      },
      (error: BackboneError) => {
        outcomes[topic] = `${error.reason} ${error.stored}`;
      },
    );
  };
  const topics = (): string[][] => sent.map(({ batch }) => batch.messages.map(({ topic }) => topic));
  return { clock, outbox, sent, outcomes, publish, topics };
}

test('what is published in one turn leaves together, and what comes meanwhile with the next batch', async () => {
  const { clock, publish, topics, sent, outcomes } = desk();
  publish('a');
  publish('b');
  await clock.settle();
  publish('c');
  publish('d');
  await clock.settle();
  expect(topics()).toEqual([['a', 'b']]);
  sent[0]?.done();
  await clock.settle();
  expect([topics(), outcomes]).toEqual([
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
    { a: 0, b: 1 },
  ]);
});

test('a batch has at most 500 messages and 1 MiB, but for one message that is larger', async () => {
  const { clock, publish, sent, topics } = desk();
  for (let count = 0; count < 501; count++) publish(`${count}`);
  publish('large', undefined, 2_000_000);
  publish('half', undefined, 600_000);
  publish('another half', undefined, 600_000);
  for (let round = 0; round < 5; round++) {
    await clock.settle();
    sent[round]?.done();
  }
  await clock.settle();
  expect(topics().map((batch) => [batch.length, batch.at(-1)])).toEqual([
    [500, '499'],
    [1, '500'],
    [1, 'large'],
    [1, 'half'],
    [1, 'another half'],
  ]);
});

test('a batch whose outcome is unknown comes again as it was, before all others', async () => {
  const { clock, publish, sent, topics, outcomes } = desk();
  publish('a');
  await clock.settle();
  publish('b');
  sent[0]?.failed(new Error('connection lost'));
  await clock.settle();
  clock.advance(1_000);
  await clock.settle();
  expect(topics()).toEqual([['a'], ['a']]);
  expect(sent[1]?.batch.id).toBe(sent[0]?.batch.id);
  sent[1]?.done();
  await clock.settle();
  expect([topics().at(-1), outcomes]).toEqual([['b'], { a: 0 }]);
});

test('each publish has its own deadline, and says what is known: not sent, or perhaps stored', async () => {
  const { clock, publish, outcomes, sent, topics, outbox } = desk();
  publish('sent', 100);
  await clock.settle();
  publish('waits', 100);
  publish('patient', 1_000);
  clock.advance(110);
  await clock.settle();
  expect(outcomes).toEqual({ sent: 'timeout unknown', waits: 'timeout no' });
  sent[0]?.done();
  await clock.settle();
  expect([topics().at(-1), outbox.size]).toEqual([['patient'], 1]);
});

test('while the broker is away publishes wait, then are unavailable; back in time they leave', async () => {
  const { clock, publish, outcomes, outbox, topics } = desk({ up: false });
  publish('early', 100);
  publish('late');
  clock.advance(9_000);
  await clock.settle();
  expect([outcomes, topics()]).toEqual([{ early: 'unavailable no' }, []]);
  outbox.up = true;
  await clock.settle();
  expect(topics()).toEqual([['late']]);
});

test('too much waits: full at once, by number and by bytes', async () => {
  const many = desk({ up: false });
  for (let count = 0; count < 10_000; count++) many.publish(`${count}`);
  many.publish('more');
  await many.clock.settle();
  expect(many.outcomes).toEqual({ more: 'full no' });
  const large = desk({ up: false });
  large.publish('large', undefined, 16_000_000);
  large.publish('more', undefined, 1_000_000);
  await large.clock.settle();
  expect(large.outcomes).toEqual({ more: 'full no' });
});

test('what the broker refuses is refused, and the next batch leaves', async () => {
  const { clock, publish, sent, outcomes, topics } = desk();
  publish('a');
  await clock.settle();
  publish('b');
  sent[0]?.failed(new BackboneError('tooLarge', 'test: too large'));
  await clock.settle();
  expect([outcomes, topics().at(-1)]).toEqual([{ a: 'tooLarge no' }, ['b']]);
});

test('closed, everything is rejected, and no timer is left', async () => {
  const { clock, publish, outcomes, outbox } = desk();
  publish('a');
  await clock.settle();
  publish('b');
  outbox.close();
  outbox.close();
  publish('c');
  await clock.settle();
  expect([outcomes, clock.armed]).toEqual([{ a: 'closed unknown', b: 'closed no', c: 'closed no' }, 0]);
});
