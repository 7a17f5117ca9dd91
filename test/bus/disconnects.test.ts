import { expect, test } from 'vitest';
import { type Bus, createBus } from '../../src/bus/bus.ts';
import type { Disconnection } from '../../src/core/disconnection.ts';
import { refuse } from '../../src/core/refuse.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';
import { createFakeClock } from '../support/fake-clock.ts';
import { sharedLog } from '../support/shared-backbone.ts';

const topic = '$bus/disconnect';

function servers(count: number) {
  const clock = createFakeClock();
  const log = sharedLog();
  const all = Array.from({ length: count }, () => server(log, clock));
  return { clock, log, all, add: () => server(log, clock) };
}

function server(log: ReturnType<typeof sharedLog>, clock: ReturnType<typeof createFakeClock>) {
  const backbone = log.backbone();
  const errors: string[] = [];
  const bus = createBus({ backbone, clock, onError: (error) => errors.push((error as Error).message) });
  const told: Disconnection[] = [];
  return { backbone, bus, errors, told, hear: () => bus.on('disconnect', (each) => told.push(each)) };
}

const who = ({ told }: { readonly told: readonly Disconnection[] }): string[] =>
  told.map(({ principal, words }) => `${principal} ${words?.code ?? '-'} ${words?.reason ?? '-'}`);

test('[CLUSTER-1] disconnect reaches all servers, once each, and its words with it', async () => {
  const { clock, all } = servers(3);
  for (const { hear } of all) hear();
  await clock.settle();
  await all[0]?.bus.disconnect({ principal: 'ada' }, { code: 4403, reason: 'closed' });
  await all[1]?.bus.disconnect({ principal: 'bob' }, refuse({ reason: 'later' }));
  await all[2]?.bus.disconnect({ principal: '' });
  clock.advance(1_000);
  await clock.settle();
  for (const each of all) expect(who(each)).toEqual(['ada 4403 closed', 'bob - later', ' - -']);
  expect(all.map(({ told }) => told.every(({ openedBefore }) => openedBefore === Infinity))).toEqual([
    true,
    true,
    true,
  ]);
});

test('[CLUSTER-1] the own connections end at once, though the backbone is away, and the caller hears that others did not', async () => {
  const { clock, all } = servers(2);
  for (const { hear } of all) hear();
  await clock.settle();
  const [one, other] = all as [(typeof all)[0], (typeof all)[0]];
  one.backbone.away = true;
  const saying = one.bus.disconnect({ principal: 'ada' });
  expect(who(one)).toEqual(['ada - -']);
  await expect(saying).rejects.toMatchObject({ name: 'BackboneError', reason: 'unavailable', stored: 'no' });
  expect(who(other)).toEqual([]);
});

test('[CLUSTER-2] who was away is told what was said meanwhile, once, and of connections that are as old alone', async () => {
  const { clock, all } = servers(3);
  for (const { hear } of all) hear();
  await clock.settle();
  const [one, two, away] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]];
  away.backbone.away = true;
  const at = clock.wall();
  await one.bus.disconnect({ principal: 'ada' });
  await two.bus.disconnect({ principal: 'bob' });
  clock.advance(60_000);
  expect(who(away)).toEqual([]);
  for (let times = 0; times < 2; times++) {
    away.backbone.away = false;
    await clock.settle();
    clock.advance(1_000);
    await clock.settle();
  }
  expect(who(away).sort()).toEqual(['ada - -', 'bob - -']);
  for (const { openedBefore } of away.told) expect(openedBefore).toBe(at + 5_000);
  for (const each of [one, two]) expect(who(each)).toEqual(['ada - -', 'bob - -']);
});

test('[CLUSTER-2] a server that starts is told what was said within 5 min', async () => {
  const { clock, all, add } = servers(1);
  all[0]?.hear();
  await clock.settle();
  await all[0]?.bus.disconnect({ principal: 'early' });
  clock.advance(200_000);
  await all[0]?.bus.disconnect({ principal: 'late' });
  clock.advance(101_000);
  const started = add();
  started.hear();
  await clock.settle();
  clock.advance(1_000);
  await clock.settle();
  expect(who(started)).toEqual(['late - -']);
});

test('[CLUSTER-1] what is wrong names itself before anything is done, and a closed bus says so', async () => {
  const { clock, log, all } = servers(1);
  const [{ bus, told, hear }] = all as [(typeof all)[0]];
  hear();
  await clock.settle();
  const before = log.published.length;
  for (const match of [undefined, null, 'ada', {}, { principal: 5 }, () => true, Promise.resolve({ principal: 'a' })]) {
    await expect(bus.disconnect(match as never)).rejects.toThrow("bus.disconnect() needs { principal: 'name' }");
  }
  const ada = { principal: 'ada' };
  await expect(bus.disconnect(ada, { code: 401, reason: '' })).rejects.toThrow('needs a close code');
  await expect(bus.disconnect(ada, { code: 1006, reason: '' })).rejects.toThrow('code must be');
  await expect(bus.disconnect(ada, 'banned' as never)).rejects.toThrow('refuse() needs words');
  expect(() => bus.on('disconect' as never, (() => {}) as never)).toThrow(
    "knows the events 'gap', 'state' and 'disconnect'",
  );
  expect(() => bus.claim('$bus/', 'mine')).toThrow('belongs to the bus itself');
  expect([told, log.published.length]).toEqual([[], before]);
  await bus.close();
  await expect(bus.disconnect(ada)).rejects.toThrow('The bus is closed: disconnect() comes too late');
});

test.each([
  'rubbish',
  'null',
  '{}',
  '{"id":"a","principal":5,"at":1}',
  '{"id":"a","principal":"ada"}',
  '{"id":"a","principal":"ada","at":1,"code":4403}',
  '{"id":"a","principal":"ada","at":1,"code":1006,"reason":""}',
  '{"id":"a","principal":"ada","at":1,"code":"4403","reason":""}',
  '{"id":"a","principal":"ada","at":1,"reason":{}}',
])('[CLUSTER-1] what a foreign writer puts there is reported and ends nothing: %s', async (text) => {
  const { clock, log, all } = servers(1);
  all[0]?.hear();
  await clock.settle();
  log.write(topic, encodeUtf8(text));
  await clock.settle();
  expect([all[0]?.told, all[0]?.errors.length]).toEqual([[], 1]);
});

test('[CLUSTER-2] many who ask at once get one answer, of 1,000 at the most, and nothing is left to do', async () => {
  const { clock, log, all } = servers(1);
  const [{ bus, hear }] = all as [(typeof all)[0]];
  hear();
  await clock.settle();
  await Promise.all(Array.from({ length: 1_200 }, (_, index) => bus.disconnect({ principal: `user ${index}` })));
  const before = log.published.length;
  for (let count = 0; count < 100; count++) log.write(topic, encodeUtf8('{"ask":true}'));
  await clock.settle();
  clock.advance(1_000);
  await clock.settle();
  expect(log.published.length - before).toBe(1_000);
  await bus.close();
  expect(clock.armed).toBeLessThanOrEqual(1);
});

test('[CLUSTER-1] one process alone asks nobody', async () => {
  const bus: Bus = createBus();
  const told: string[] = [];
  bus.on('disconnect', ({ principal }) => told.push(principal));
  await bus.disconnect({ principal: 'ada' });
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect([told, bus.stats().published]).toEqual([['ada'], 1]);
});
