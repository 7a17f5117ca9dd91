import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { connectionLimits, type LimitTable, resolveLimits } from '../../src/core/limits.ts';
import { graphqlLimits } from '../../src/graphql/server/limits.ts';
import { mqttLimits } from '../../src/mqtt/server/limits.ts';
import { brokerLimits } from '../../src/stomp/broker/limits.ts';
import { relayLimits } from '../../src/stomp/relay/limits.ts';
import { stompLimits } from '../../src/stomp/server/limits.ts';

test('[CONN-10] what is not given has its default; undefined is not given', () => {
  const limits = resolveLimits(connectionLimits, { maxPayload: 5, pingInterval: undefined });
  expect(limits).toEqual({
    maxPayload: 5,
    highWaterMark: 1_048_576,
    maxUnread: 67_108_864,
    stallTimeout: 30_000,
    pingInterval: 25_000,
    pongTimeout: 10_000,
    messageTimeout: 60_000,
    closeTimeout: 10_000,
    messageRate: Number.POSITIVE_INFINITY,
    maxKept: 16_777_216,
    hookTimeout: 10_000,
  });
  expect(resolveLimits(connectionLimits, { maxPayload: Number.POSITIVE_INFINITY }).maxPayload).toBe(Infinity);
});

test.each([0, -1, Number.NaN, '5', null, {}, 5n])('[CONN-10] a limit of %s is a TypeError that names it', (value) => {
  const options = { pongTimeout: value } as never;
  expect(() => resolveLimits(connectionLimits, options)).toThrow(
    /^limits\.pongTimeout must be a number above 0 \(ms\)/,
  );
});

test.each(['maxPayloads', 'constructor', 'toString'])(
  '[CONN-10] %s is no limit, and the error lists those that are',
  (name) => {
    expect(() => resolveLimits(connectionLimits, { [name]: 1 } as never)).toThrow(
      new TypeError(`limits.${name} is not a limit. There are: ${Object.keys(connectionLimits).join(', ')}`),
    );
  },
);

test.each([null, 5, 'x'])('[CONN-10] limits of %s is a TypeError', (options) => {
  expect(() => resolveLimits(connectionLimits, options as never)).toThrow(/^limits must be an object/);
});

/** Rows of the table in spec-notes/limits.md: `| name | default | unit | fault | …`. */
function noted(): string[] {
  const lines = readFileSync(new URL('../../spec-notes/limits.md', import.meta.url), 'utf8').split('\n');
  return lines
    .filter((line) => /^\| `\w+` \|/.test(line) && line.split('|').length === 8)
    .map((line) =>
      line
        .split('|')
        .slice(1, 6)
        .map((cell) => cell.trim().replaceAll('`', ''))
        .join(' | '),
    );
}

function coded(where: string, table: LimitTable): string[] {
  return Object.entries(table).map(([name, limit]) => {
    const number = limit.default === Number.POSITIVE_INFINITY ? 'none' : limit.default.toLocaleString('en-US');
    return [name, where, number, limit.unit, limit.fault].join(' | ');
  });
}

/** The rows that a table of STOMP adds to those of every STOMP connection. */
const withoutCommon = (table: LimitTable): LimitTable =>
  Object.fromEntries(Object.entries(table).filter(([name]) => !Object.hasOwn(stompLimits, name)));

test('[CONN-41] spec-notes/limits.md lists every limit of the code, and nothing else', () => {
  const all = [
    ...coded('every connection', connectionLimits),
    ...coded('STOMP', stompLimits),
    ...coded('STOMP broker', withoutCommon(brokerLimits)),
    ...coded('STOMP relay', withoutCommon(relayLimits)),
    ...coded('MQTT', mqttLimits),
    ...coded('GraphQL', graphqlLimits),
  ];
  expect(noted()).toEqual(all);
});
