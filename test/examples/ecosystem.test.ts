import { expect, test } from 'vitest';
import { runExample } from './example.ts';

test.each([
  [
    'apollo-server',
    [
      'HTTP      {"data":{"hello":"world"}}',
      'WebSocket {"data":{"hello":"world"}}',
      'WebSocket {"data":{"price":{"symbol":"ACME","price":10}}}',
      'closed    1001',
    ],
  ],
  [
    'yoga',
    [
      'plugin    execute, for ben',
      'HTTP      {"data":{"me":"ben"}}',
      'plugin    execute, for ann',
      'WebSocket {"data":{"me":"ann"}}',
      'plugin    subscribe, for ann',
      'plugin    execute, for ben',
      'WebSocket [{"data":{"price":{"symbol":"ACME","price":10}}}]',
    ],
  ],
  [
    'express',
    [
      'stranger: The connection ended: 4403 Forbidden',
      'me: ann',
      'POST /orders: 201',
      'received: {"item":"tea","by":"ann"}',
    ],
  ],
  [
    'fastify',
    ['POST /orders: 201', 'received: {"data":{"orders":{"item":"tea"}}}', 'closed: 1001', 'the server is closed'],
  ],
  ['hono', ['me: ann', 'POST /orders: 201', 'received: {"data":{"orders":{"item":"tea"}}}']],
  [
    'persisted-operations',
    [
      '{"hello":"Hello Ann"}',
      '{"countdown":2}',
      '{"countdown":1}',
      '{"countdown":0}',
      'refused: [{"message":"PersistedQueryNotFound","extensions":{"code":"PERSISTED_QUERY_NOT_FOUND"}}]',
    ],
  ],
  [
    'auth',
    [
      'server:  token 1',
      'client:  connected',
      'note:    on connection 1',
      'server:  token 2',
      'client:  4403 Credentials expired',
      'server:  token 3',
      'client:  connected again',
      'note:    on connection 2',
      'me:      ann',
      'client:  1000 Normal Closure',
    ],
  ],
])('the example %s runs by one command and ends by itself', { timeout: 60_000 }, async (name, lines) => {
  expect(await runExample(name)).toEqual(lines);
});
