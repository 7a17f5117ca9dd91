import { expect, test } from 'vitest';
import { requireProgram } from '../support/programs/program.ts';
import { startRedis } from '../support/programs/redis.ts';
import { runExample } from './example.ts';

test.each([
  ['graphql-subscriptions', ['symbols: ACME, UMBR', 'ACME 10', 'ACME 11.5', 'ACME 12']],
  [
    'stomp-chat',
    [
      'bob hears ada: hello',
      'bob hears ada: is this thing on?',
      'bob hears ada: bye',
      'bob does: wash',
      'bob does: dry',
    ],
  ],
])('the example %s runs by one command and ends by itself', { timeout: 60_000 }, async (name, lines) => {
  expect(await runExample(name)).toEqual(lines);
});

test('the example binary-topics: every client gets the bytes, GraphQL the values, and nobody what does not fit', {
  timeout: 60_000,
}, async () => {
  const lines = await runExample('binary-topics');
  const said = (name: string): string[] => lines.filter((line) => line.includes(` ${name}: `));
  for (const [name, bytes, type] of [
    ['packed', 20, 'application/msgpack'],
    ['concise', 20, 'application/cbor'],
    ['buffers', 15, 'application/x-protobuf'],
  ] as const) {
    // Two sockets: what arrives first is not settled, only the order on each.
    expect(said(name).filter((line) => line.startsWith('GraphQL'))).toEqual([
      `GraphQL ${name}: {"${name}":{"symbol":"ACME","price":10.5}}`,
      `GraphQL ${name}: {"${name}":{"symbol":"UMBR","price":2}}`,
    ]);
    expect(said(name).filter((line) => line.startsWith('STOMP'))).toEqual([
      `STOMP ${name}: 32 bytes of application/json`,
      `STOMP ${name}: 30 bytes of application/json`,
      `STOMP ${name}: ${bytes} bytes of ${type}`,
    ]);
  }
  expect(lines.filter((line) => line.startsWith('passed over: topic("packed"): price'))).toHaveLength(1);
  expect(lines.at(-1)).toMatch(/^refused: topic\("packed"\): price/);
});

test('the example own-protocol: rooms over two tokens, beside another protocol', { timeout: 60_000 }, async () => {
  const lines = await runExample('own-protocol/server');
  const of = (who: string): unknown[] =>
    lines.filter((line) => line.startsWith(`${who} hears `)).map((line) => JSON.parse(line.slice(10)));
  expect(of('ada')).toEqual([
    { type: 'welcome', user: 'ada' },
    { type: 'joined', room: 'lobby', members: [] },
    { type: 'presence', room: 'lobby', join: 'bob' },
    { type: 'chat', room: 'lobby', from: 'bob', text: 'Hello' },
    { type: 'presence', room: 'lobby', leave: 'bob' },
  ]);
  expect(of('bob').slice(1)).toEqual([
    { type: 'joined', room: 'lobby', members: ['ada'] },
    { type: 'chat', room: 'lobby', from: 'bob', text: 'Hello' },
    { type: 'error', of: 'join', message: 'You may not be in staff' },
    { type: 'error', of: 'shout', message: 'There is no type "shout"' },
    { type: 'error', of: 'chat', message: expect.stringMatching(/^chat: text: .*string/) },
    { type: 'pong' },
  ]);
});

test('the example testing: its tests pass', { timeout: 60_000 }, async () => {
  expect((await runExample('testing')).join('\n')).toMatch(/ pass 4$.* fail 0$/ms);
});

test('the example bridge: each side gets what the other sends, and nobody what is no reading', {
  timeout: 60_000,
}, async () => {
  const lines = await runExample('bridge');
  const said = (who: string): string[] =>
    lines.filter((line) => line.startsWith(who)).map((line) => line.slice(who.length).trim());
  // Two sockets: what arrives first is not settled, only the order on each.
  expect(said('topics')).toEqual(['{"topics":["readings"]}']);
  const roof = (celsius: number): string => `{"sensor":"roof","celsius":${celsius}}`;
  expect(said('STOMP')).toEqual([roof(21.5), 'not JSON at all', roof(0)]);
  expect(said('GraphQL')).toEqual([roof(21.5), roof(0)]);
  expect(said('passed over')).toEqual([expect.stringContaining('is not valid JSON')]);
  expect(said('mutation')).toEqual(['{"calibrate":true}']);
  expect(lines).toHaveLength(8);
});

test('the example resume: cut three times, both clients miss nothing; what is not remembered any more is said', {
  timeout: 60_000,
}, async () => {
  const lines = await runExample('resume');
  const of = (who: string): string[] => lines.filter((line) => line.startsWith(who));
  for (const who of ['GraphQL', 'STOMP']) {
    expect(of(who)).toEqual([
      ...Array.from({ length: 3 }, () => `${who} is back: nothing is missing`),
      `${who}: 70 prices, missed 0, twice 0`,
      `${who} is back: something is missing, it reads again`,
    ]);
  }
  expect(lines).toHaveLength(14);
});

test('the example cluster-local: clients of both processes hear what either process sends', {
  timeout: 60_000,
}, async () => {
  const lines = await runExample('cluster-local');
  expect(lines.sort()).toEqual(
    [1, 2, 3, 4].flatMap((client) => [1, 2].map((process) => `client ${client} hears: from process ${process}`)),
  );
});

requireProgram('redis', test)(
  'the example cluster-redis: the page of a server that is killed has missed nothing',
  {
    timeout: 60_000,
  },
  async () => {
    const redis = await startRedis();
    try {
      const lines = await runExample('cluster-redis', { REDIS_URL: `redis://127.0.0.1:${redis.port}` });
      expect(lines).toEqual([
        'page 1 is back: nothing is missing',
        'page 1: 220 ticks, missed 0, twice 0',
        'page 2: 220 ticks, missed 0, twice 0',
      ]);
    } finally {
      await redis.stop();
    }
  },
);
