import { expect, test } from 'vitest';
import { closeReason, type FaultTable } from '../../../src/core/fault.ts';
import { graphqlClientFaults } from '../../../src/graphql/client/close-codes.ts';
import { graphqlFaults } from '../../../src/graphql/server/faults.ts';

const rows = (table: FaultTable, detail?: string): string[] =>
  Object.entries(table).map(([fault, { code, reason }]) => `${fault} ${code}: ${reason(detail)}`);

test('a server closes with the codes of the protocol', () => {
  expect(rows(graphqlFaults)).toEqual([
    'malformed 4400: Invalid message received',
    'unacceptable 4406: Subprotocol not acceptable',
    'unauthorized 4401: Unauthorized',
    'forbidden 4403: Forbidden',
    'expired 4403: Credentials expired',
    'initTimeout 4408: Connection initialisation timeout',
    'heartbeat 4000: Heartbeat timeout',
    'duplicate 4409: Subscriber for  already exists',
    'tooLarge 1009: Message too large',
    'tooMany 1013: Too many requests',
    'tooSlow 1013: Messages were not read fast enough',
    'unavailable 1013: Temporarily unavailable',
    'goingAway 1001: Going away',
    'internal 4500: Internal server error',
  ]);
});

test('details go where they help, and never into the words that the protocol fixes', () => {
  const detailed = rows(graphqlFaults, 'detail').filter((row) => row.includes('detail'));
  expect(detailed.map((row) => row.split(' ', 1)[0])).toEqual([
    'forbidden',
    'duplicate',
    'tooLarge',
    'tooMany',
    'unavailable',
    'internal',
  ]);
});

test('[GQL-19] the reason of a duplicate id fits, however long the id is', () => {
  const reason = closeReason(graphqlFaults.duplicate.reason('漢'.repeat(500)));
  expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  expect(reason).toMatch(/^Subscriber for 漢+$/);
});

test('a client blames what is the other side’s, and itself, with codes of its own', () => {
  expect(graphqlClientFaults).toEqual({
    malformed: 4004,
    initTimeout: 4504,
    heartbeat: 4000,
    tooLarge: 1009,
    internal: 4005,
  });
});
