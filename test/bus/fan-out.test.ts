import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AccessRules } from '../../src/bus/access.ts';
import { FanOut, type ListenHandle } from '../../src/bus/fan-out.ts';
import { createMessage } from '../../src/bus/message.ts';

const messageOf = (topic: string) =>
  createMessage({ topic, body: new Uint8Array(), position: { epoch: 'e', offset: 1 } });

function fanOutOf() {
  const upstream = new Set<string>();
  const access = new AccessRules(undefined);
  const fanOut = new FanOut(
    {
      subscribe(name) {
        upstream.add(name);
        return Promise.resolve();
      },
      unsubscribe: (name) => upstream.delete(name),
      report(error) {
        throw error;
      },
    },
    access,
  );
  return { fanOut, upstream, access };
}

const matches = (name: string, topic: string): boolean =>
  name === topic || name === '**' || (name === 'a.*' && topic.startsWith('a.'));

test('whoever comes and goes, a message reaches those that listen, in the order they came, and nobody else', () => {
  const name = fc.constantFrom('a', 'a.b', 'a.*', '**');
  const step = fc.oneof(
    fc.record({ kind: fc.constant('listen' as const), name }),
    fc.record({ kind: fc.constant('stop' as const), which: fc.nat(40) }),
    fc.record({ kind: fc.constant('deliver' as const), topic: fc.constantFrom('a', 'a.b', 'c') }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { fanOut, upstream } = fanOutOf();
      const held = new Map<number, { name: string; listening: ListenHandle }>();
      let heard: number[] = [];
      let count = 0;
      for (const each of steps) {
        if (each.kind === 'listen') {
          const id = ++count;
          held.set(id, { name: each.name, listening: fanOut.listen(each.name, () => heard.push(id)) });
        } else if (each.kind === 'stop') {
          held.get(each.which)?.listening.stop();
          held.delete(each.which);
        } else {
          heard = [];
          fanOut.deliver(messageOf(each.topic));
          const those = [...held].filter(([, { name }]) => matches(name, each.topic)).map(([id]) => id);
          expect([...heard].sort()).toEqual([...those].sort());
          const exact = those.filter((id) => held.get(id)?.name === each.topic);
          expect(heard.slice(0, exact.length)).toEqual(exact);
        }
        expect(fanOut.size).toBe(held.size);
        expect(upstream).toEqual(new Set([...held.values()].map(({ name }) => name)));
      }
    }),
  );
});

test('ten thousand may leave while a message is delivered: those behind hear nothing of it', () => {
  const { fanOut } = fanOutOf();
  const heard: string[] = [];
  const leaving: ListenHandle[] = [];
  fanOut.listen('a', () => {
    heard.push('first');
    for (const each of leaving) each.stop();
  });
  for (let index = 0; index < 10_000; index++) leaving.push(fanOut.listen('a', () => heard.push('left')));
  fanOut.listen('a', () => heard.push('last'));
  fanOut.deliver(messageOf('a'));
  fanOut.deliver(messageOf('a'));
  expect([heard, fanOut.size]).toEqual([['first', 'last', 'first', 'last'], 2]);
});

test.each(['a', 'a.*'])('[BUS-6] listeners of %s that stopped are dropped, whoever stays', (name) => {
  const { fanOut } = fanOutOf();
  const heard: number[] = [];
  fanOut.listen(name, () => heard.push(1));
  let most = 0;
  for (let round = 0; round < 10; round++) {
    const all = Array.from({ length: 1_000 }, () => fanOut.listen(name, () => heard.push(0)));
    for (const each of all) {
      each.stop();
      most = Math.max(most, fanOut.kept - 2 * fanOut.size);
    }
    expect(fanOut.kept).toBeLessThanOrEqual(2);
  }
  expect(most).toBeLessThanOrEqual(1);
  fanOut.deliver(messageOf(name.replace('*', 'b')));
  expect([heard, fanOut.size]).toEqual([[1], 1]);
});

test('[BUS-6] names and patterns without a listener leave nothing behind', () => {
  const { fanOut } = fanOutOf();
  for (let count = 0; count < 1_000; count++) {
    fanOut.listen(`a.${count}`, () => {}).stop();
    fanOut.listen(`a.${count}.*`, () => {}).stop();
  }
  expect([fanOut.kept, fanOut.size, fanOut.topics, fanOut.patterns]).toEqual([0, 0, 0, 0]);
});

test('[BUS-5] a pattern that is refused leaves nothing behind', () => {
  const { fanOut, upstream } = fanOutOf();
  let refused = 0;
  for (let mask = 1; mask < 512; mask++) {
    const name = Array.from({ length: 9 }, (_, at) => ((mask >> at) & 1 ? '*' : 'a')).join('.');
    try {
      fanOut.listen(name, () => {});
    } catch (error) {
      expect(error).toMatchObject({ fault: 'tooMany' });
      refused++;
    }
  }
  expect([refused, fanOut.size, fanOut.patterns, upstream.size]).toEqual([255, 256, 256, 256]);
});
