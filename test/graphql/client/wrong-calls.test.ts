import { expect, test } from 'vitest';
import { createClient } from '../../../src/graphql/client/client.ts';

test('[GQL-81] subscribe without a sink says what it takes', () => {
  const client = createClient({ url: 'ws://127.0.0.1:1/graphql', warn: false });
  const subscribe: (...parameters: unknown[]) => unknown = client.subscribe as never;
  expect(() => subscribe({ query: '{ a }' })).toThrow('needs a sink { next, error, complete }');
  expect(() => subscribe({ query: '{ a }' }, 'sink')).toThrow('got string');
});
