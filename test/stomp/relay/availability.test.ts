import { expect, test } from 'vitest';
import { connectionLimits, resolveLimits } from '../../../src/core/limits.ts';
import { Availability } from '../../../src/stomp/relay/availability.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { FakeTransport } from '../../support/fake-transport.ts';

function scene(addresses = 1) {
  const clock = createFakeClock();
  const transports = Array.from({ length: addresses }, () => new FakeTransport());
  const reported: unknown[] = [];
  const heard: [boolean, string][] = [];
  const availability = new Availability({
    transports: transports.map(({ transport }) => transport),
    names: transports.map((_, place) => `stomp://broker-${place}`),
    clock,
    limits: resolveLimits(connectionLimits),
    connectTimeout: 5_000,
    report: (error) => reported.push(error),
  });
  const [transport] = transports as [FakeTransport];
  return {
    clock,
    transports,
    transport,
    reported,
    heard,
    availability,
    hear: (available: boolean, reason: string) => heard.push([available, reason]),
  };
}

test('[RELAY-16] nobody looks before somebody listens; then one look is taken', () => {
  const { clock, transport, availability, heard, hear } = scene();
  expect(availability.available).toBeUndefined();
  expect(transport.dials).toHaveLength(0);
  availability.on(hear);
  availability.on(hear);
  expect(transport.dials).toHaveLength(1);
  const socket = transport.last.open('');
  clock.flushTurn();
  expect(socket.sent).toEqual([]);
  expect(socket.closing?.code).toBe(1000);
  expect(heard).toEqual([
    [true, ''],
    [true, ''],
  ]);
  availability.on(hear);
  clock.advance(60_000);
  expect(transport.dials).toHaveLength(1);
});

test('[RELAY-16] a broker that is away is looked at until it is back', () => {
  const { clock, transport, availability, heard, hear } = scene();
  availability.on(hear);
  transport.last.refuse(new Error('connect ECONNREFUSED'));
  expect(heard).toEqual([[false, 'connect ECONNREFUSED']]);
  for (let looks = 1; looks < 5; looks++) {
    clock.advance(5_000);
    expect(transport.dials.length).toBeGreaterThan(looks);
    transport.last.refuse();
  }
  expect(heard).toHaveLength(1);
  clock.advance(5_000);
  transport.last.open('');
  clock.flushTurn();
  expect(heard).toEqual([
    [false, 'connect ECONNREFUSED'],
    [true, ''],
  ]);
  const { length } = transport.dials;
  clock.advance(60_000);
  expect(transport.dials).toHaveLength(length);
});

test('[RELAY-16] it is away only when none of its addresses answers', () => {
  const { clock, transports, availability, heard, hear } = scene(2);
  availability.on(hear);
  transports[0]?.last.refuse();
  expect(heard).toEqual([]);
  clock.advance(10);
  transports[1]?.last.refuse();
  expect(availability.available).toBe(false);
  expect(heard).toHaveLength(1);
});

test('[RELAY-16] a client that gets through ends the doubt', () => {
  const { clock, transport, availability, heard, hear } = scene();
  availability.doubt();
  availability.doubt();
  expect(transport.dials).toHaveLength(1);
  availability.on(hear);
  availability.reached(0);
  expect(transport.last.abandoned).toBe(true);
  expect(heard).toEqual([[true, '']]);
  clock.advance(60_000);
  expect(transport.dials).toHaveLength(1);
});

test('[RELAY-16] a look that a client has overtaken changes nothing', () => {
  const { clock, transport, availability } = scene();
  availability.doubt();
  transport.last.open('');
  availability.reached(0);
  availability.doubt();
  clock.flushTurn();
  expect(transport.dials).toHaveLength(2);
  expect(transport.last.abandoned).toBe(false);
});

test('[RELAY-16] a listener that throws harms nobody, one that stopped hears nothing', () => {
  const { transport, availability, heard, hear, reported } = scene();
  availability.on(() => {
    throw new Error('listener');
  });
  const stop = availability.on(hear);
  availability.on(hear);
  stop();
  transport.last.refuse();
  expect(String(reported)).toBe('Error: listener');
  expect(heard).toHaveLength(1);
});

test('[RELAY-16] nothing is looked at after the end', () => {
  const { clock, transport, availability, heard, hear } = scene();
  availability.on(hear);
  transport.last.refuse();
  availability.dispose();
  clock.advance(60_000);
  expect(transport.dials).toHaveLength(1);
  availability.reached(0);
  expect(heard).toHaveLength(1);
});

test('[RELAY-16] whoever listens hears which address it is about', () => {
  const { clock, transports, availability } = scene(2);
  const heard: unknown[] = [];
  availability.on((available, _, address) => heard.push([available, address]));
  transports[0]?.last.refuse();
  clock.advance(10);
  transports[1]?.last.refuse();
  clock.advance(5_000);
  transports[0]?.last.refuse();
  clock.advance(10);
  transports[1]?.last.open('');
  clock.flushTurn();
  availability.reached(0);
  expect(heard).toEqual([
    [false, 'stomp://broker-1'],
    [true, 'stomp://broker-1'],
  ]);
});
