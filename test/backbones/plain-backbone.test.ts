import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { PlainBackbone, type PlainEvents } from '../../src/backbones/plain-backbone.ts';
import { createFakeClock } from '../support/fake-clock.ts';

/** A broker whose fences a test lets pass, one after the other. */
function started() {
  const fences: { pass(): void; fail(error: Error): void }[] = [];
  const sent: string[] = [];
  let events: PlainEvents | undefined;
  const backbone = new PlainBackbone(
    {
      name: 'plain',
      abilities: { ids: true, positions: false, patterns: 'broker', queues: false, history: false, maxBody: 100 },
      check() {},
      connect(given) {
        events = given;
        return {
          subscribe(name) {
            sent.push(name);
            return { unsubscribe: () => void sent.push(`-${name}`) };
          },
          fence: () => new Promise<void>((pass, fail) => void fences.push({ pass, fail })),
          send: async () => {},
          close: async () => {},
        };
      },
    },
    createFakeClock(),
  );
  const gaps: unknown[] = [];
  backbone.open({ message() {}, gap: (name) => void gaps.push(name), state() {}, unreadable() {} });
  const live: string[] = [];
  const subscribe = (name: string): void => void backbone.subscribe(name).then(() => live.push(name));
  return { backbone, events: events as PlainEvents, fences, live, subscribe, gaps, sent };
}

test('[CLUSTER-6] what is subscribed to while a fence is under way waits for the next one', async () => {
  const { events, fences, live, subscribe } = started();
  subscribe('before');
  events.connected();
  subscribe('meanwhile');
  fences[0]?.pass();
  await setImmediate();
  expect(live).toEqual(['before']);
  subscribe('later');
  await setImmediate();
  expect([live, fences.length]).toEqual([['before'], 2]);
  fences[1]?.pass();
  await setImmediate();
  expect([live, fences.length]).toEqual([['before', 'meanwhile'], 3]);
  fences[2]?.pass();
  await setImmediate();
  expect(live).toEqual(['before', 'meanwhile', 'later']);
});

test('[CLUSTER-6] the same name anew while its fence is under way is another subscription', async () => {
  const { backbone, events, fences, live, subscribe } = started();
  events.connected();
  fences[0]?.pass();
  await setImmediate();
  void backbone.subscribe('a');
  await setImmediate();
  await backbone.unsubscribe('a');
  subscribe('a');
  fences[1]?.pass();
  await setImmediate();
  expect([live, fences.length]).toEqual([[], 3]);
  fences[2]?.pass();
  await setImmediate();
  expect(live).toEqual(['a']);
});

test('[CLUSTER-6] a connection that is lost before its fence leaves nothing live, and the next one says a gap', async () => {
  const { events, fences, live, subscribe, gaps } = started();
  subscribe('a');
  events.connected();
  fences[0]?.pass();
  await setImmediate();
  subscribe('b');
  await setImmediate();
  events.lost(new Error('cut'));
  fences[1]?.fail(new Error('cut'));
  await setImmediate();
  expect([live, gaps]).toEqual([['a'], []]);
  events.connected();
  fences[2]?.pass();
  await setImmediate();
  expect([live, gaps]).toEqual([['a', 'b'], [undefined]]);
});
