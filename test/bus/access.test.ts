import { expect, test, vi } from 'vitest';
import { AccessRules, closedTopic } from '../../src/bus/access.ts';
import { type BusOptions, createBus } from '../../src/bus/bus.ts';
import { topic } from '../../src/bus/topic.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';

/** What STOMP and MQTT clients may do: `rw-w` is read and write for STOMP, and write for MQTT. */
function access(bus: ReturnType<typeof createBus>, name: string): string {
  const may = (protocol: string): string =>
    (bus.permits(name, protocol, 'read') ? 'r' : '') + (bus.permits(name, protocol, 'write') ? 'w' : '');
  return `${may('stomp')}-${may('mqtt')}`;
}

test('[BUS-1] what is not declared is closed', () => {
  const bus = createBus();
  expect(access(bus, 'prices')).toBe('-');
  bus.declare(topic('prices'));
  expect(access(bus, 'prices')).toBe('-');
});

test.each([
  ['none', '-'],
  ['read', 'r-r'],
  ['write', 'w-w'],
  ['readwrite', 'rw-rw'],
  [{ stomp: 'readwrite', mqtt: 'read' }, 'rw-r'],
  [{ mqtt: 'write', stomp: undefined }, '-w'],
  [{}, '-'],
] as const)('[BUS-1] a declared topic with clients: %j', (clients, expected) => {
  const prices = topic('prices', { clients });
  const buses = [createBus({ topics: [prices] }), createBus(), createBus(), createBus({ open: { prices: clients } })];
  buses[1]?.declare(prices);
  buses[2]?.declare('prices', { clients });
  for (const bus of buses) expect([access(bus, 'prices'), access(bus, 'other')]).toEqual([expected, '-']);
});

test('[BUS-1] families: an exact name goes first, then the narrowest family, then what is open', () => {
  const bus = createBus({ open: { '**': 'read', 'log.**': 'none' } });
  bus.declare('room.**', { clients: 'readwrite' });
  bus.declare('room.*', { clients: 'write' });
  bus.declare('room.*.secret', { clients: 'none' });
  bus.declare('room.1', { clients: 'none' });
  const seen = ['room', 'room.1', 'room.2', 'room.2.a', 'room.2.secret', 'other.x', 'log', 'log.a'];
  expect(seen.map((name) => access(bus, name))).toEqual(['rw-rw', '-', 'w-w', 'rw-rw', '-', 'r-r', '-', '-']);
});

test('[BUS-1] open: true opens what is not declared, and nothing else', () => {
  const bus = createBus({ open: true, topics: [topic('closed')] });
  expect([access(bus, 'any.thing'), access(bus, 'closed'), access(bus, '$x')]).toEqual(['rw-rw', '-', '-']);
});

test('[BUS-1] names of Object.prototype are protocols and topics as any others', () => {
  const bus = createBus({ open: { ['constructor']: 'read', ['toString']: { stomp: 'read' } } as never });
  expect([access(bus, 'constructor'), access(bus, 'toString'), access(bus, 'valueOf')]).toEqual(['r-r', 'r-', '-']);
  expect(bus.permits('toString', 'constructor', 'read')).toBe(false);
});

test('[BUS-1] a refusal says the three ways out, and is short whatever the name', () => {
  expect(closedTopic('prices', 'read')).toBe(
    "clients may not read the topic \"prices\": declare it with { clients: 'read' }, open it with createBus({ open: { 'prices': 'read' } }), or let authorize answer true",
  );
  expect(closedTopic('x'.repeat(1_000), 'write').length).toBeLessThan(400);
  expect(closedTopic('$user/ann', 'write')).toMatch(/private/);
});

test.each([
  [() => createBus({ open: { '$user/**': 'read' } }), /private/],
  [() => createBus({ open: { '$**': 'read' } }), /private/],
  [() => createBus().declare('$user/*', { clients: 'read' }), /private/],
  [() => createBus().declare('$user'), /private/],
  [() => topic('$x', { clients: 'read' }), /private/],
])('[BUS-2] private names cannot be opened: %s', (call, message) => {
  expect(call).toThrow(message);
});

test('[BUS-2] wildcards hear no private name; who names the prefix does', async () => {
  const bus = createBus({ open: true });
  const heard: string[] = [];
  for (const name of ['**', '*.*', '*/**', '$user/**'])
    bus.listen(name, (message) => heard.push(`${name} ${message.topic}`));
  bus.listen('$user/**', () => heard.push('a client'), { protocol: 'stomp' });
  bus.listen('$user/ann', () => heard.push('a client'), { protocol: 'stomp' });
  await bus.publish('$user/ann', encodeUtf8('x'));
  expect(heard).toEqual(['$user/** $user/ann']);
});

test('[BUS-2] a private prefix belongs to one protocol', () => {
  const bus = createBus();
  bus.claim('$user/', 'stomp');
  bus.claim('$user/', 'stomp');
  bus.claim('$share/', 'mqtt');
  for (const prefix of ['$user/', '$u', '$user/ann/']) {
    expect(() => bus.claim(prefix, 'mqtt')).toThrow(/cannot belong to mqtt: '\$user\/' belongs to stomp/);
  }
  for (const prefix of ['user/', '', '$', 5]) expect(() => bus.claim(prefix as string, 'x')).toThrow(/begins with \$/);
  expect(() => bus.claim('$x/', undefined as never)).toThrow(/the name of a protocol/);
  expect(bus.permits('$user/ann', 'stomp', 'read')).toBe(false);
});

test('[BUS-3] a declaration counts at once for those who listen already, by name and by wildcard', async () => {
  const bus = createBus({ open: true });
  const heard: string[] = [];
  for (const [name, protocol] of [
    ['pay', 'stomp'],
    ['pay', 'mqtt'],
    ['pay', undefined],
    ['*', 'stomp'],
    ['**', 'mqtt'],
    ['*', undefined],
  ] as const) {
    bus.listen(name, () => heard.push(`${name} ${protocol}`), { protocol });
  }
  const publish = async (): Promise<string[]> => {
    await bus.publish('pay', encodeUtf8(''));
    return heard.splice(0).sort();
  };
  expect(await publish()).toHaveLength(6);
  expect(await publish()).toHaveLength(6);
  bus.declare(topic('pay', { clients: { mqtt: 'read' } }));
  expect(await publish()).toEqual(['* undefined', '** mqtt', 'pay mqtt', 'pay undefined']);
});

test('[BUS-3] the rules are asked once per message and protocol, not per receiver', async () => {
  const bus = createBus({ open: { 'room.*': 'read' } });
  let heard = 0;
  for (let count = 0; count < 1_000; count++) {
    bus.listen('room.1', () => heard++, { protocol: 'stomp' });
    bus.listen('room.*', () => heard++, { protocol: 'stomp' });
  }
  const asked = vi.spyOn(AccessRules.prototype, 'permits');
  for (let count = 0; count < 10; count++) await bus.publish('room.1', encodeUtf8(''));
  expect([heard, asked.mock.calls.length]).toEqual([20_000, 1]);
  bus.declare('other');
  await bus.publish('room.1', encodeUtf8(''));
  expect(asked.mock.calls.length).toBe(2);
  asked.mockRestore();
});

test('[BUS-12] a topic is a value: two buses share nothing', async () => {
  const prices = topic<number>('prices', { clients: 'read' });
  const [one, two] = [createBus({ topics: [prices] }), createBus()];
  expect([access(one, 'prices'), access(two, 'prices')]).toEqual(['r-r', '-']);
  expect([one.stats().declared, two.stats().declared]).toEqual([1, 0]);
  await one.publish(prices, 1);
  await expect(two.publish(prices, 1)).rejects.toThrow(
    'topic "prices" says clients: \'read\', but this bus does not have it: createBus({ topics: [prices] }) or bus.declare(prices)',
  );
  expect(two.stats().published).toBe(0);
  await two.publish(topic<number>('prices'), 1);
  await two.publish(topic<number>('other', { clients: 'none' }), 1);
});

test('[BUS-12] a family has the topics that say the same; others are told', async () => {
  const bus = createBus();
  bus.declare('room.*', { clients: { stomp: 'read', mqtt: 'write' } });
  await bus.publish(topic<number>('room.1', { clients: { mqtt: 'write', stomp: 'read' } }), 1);
  await expect(bus.publish(topic<number>('room.1', { clients: 'read' }), 1)).rejects.toThrow(
    "topic \"room.1\" says clients: 'read', but it is declared with clients: { mqtt: 'write', stomp: 'read' }",
  );
});

test('[BUS-12] a second declaration with the same access is fine, with another one a TypeError that names both', () => {
  const bus = createBus();
  for (let reload = 0; reload < 2; reload++) {
    bus.declare(topic('a', { clients: 'read', decode: (value) => value }));
    bus.declare('r/*', { clients: { stomp: 'read', mqtt: 'none' } });
    bus.declare('r.*', { clients: { stomp: 'read' } });
  }
  expect(() => bus.declare(topic('a'))).toThrow(
    new TypeError("\"a\" is declared with clients: 'read' already, and now with clients: 'none'"),
  );
  expect(() => bus.declare('r.*', { clients: 'read' })).toThrow(/\{ stomp: 'read' \} already, .* 'read'/);
  expect(bus.stats().declared).toBe(2);
});

test('[BUS-7] access that is changed by its owner later changes nothing', () => {
  const clients: { stomp: 'read' | 'readwrite' } = { stomp: 'read' };
  const bus = createBus({ topics: [topic('a', { clients })] });
  clients.stomp = 'readwrite';
  expect(access(bus, 'a')).toBe('r-');
});

test.each<[BusOptions, RegExp]>([
  [{ open: 'all' as never }, /^open must be true or names/],
  [{ open: ['a'] as never }, /^open must be true or names/],
  [{ open: { a: 'all' as never } }, /^open\["a"\] must be .* got 'all'/],
  [{ open: { '': 'read' } }, /must not be empty/],
  [{ open: { '/topic/**': 'read' } }, /does not begin with \//],
  [{ open: { 'a.**.b': 'read' } }, /\*\* before its end/],
  [{ topics: 'prices' as never }, /^topics must be a list/],
  [{ topics: ['prices'] as never }, /^topics must be a list/],
])('[BUS-7] createBus(%j) names the option', (options, message) => {
  expect(() => createBus(options)).toThrow(TypeError);
  expect(() => createBus(options)).toThrow(message);
});
