import { expect, test } from 'vitest';
import { resolveLimits } from '../../../src/core/limits.ts';
import { relayLimits } from '../../../src/stomp/relay/limits.ts';
import { RelaySubscription } from '../../../src/stomp/relay/relay-subscriptions.ts';
import { RelayTransactions } from '../../../src/stomp/relay/relay-transactions.ts';

const limits = resolveLimits(relayLimits, { maxTransactions: 2, maxTransactionFrames: 2 });

test('[RELAY-21] a transaction is open from BEGIN to its end', () => {
  const transactions = new RelayTransactions(limits);
  expect(transactions.size).toBe(0);
  expect(() => transactions.step('t')).toThrow(expect.objectContaining({ fault: 'malformed' }));
  transactions.begin('t');
  expect(transactions.size).toBe(1);
  expect(() => transactions.begin('t')).toThrow(expect.objectContaining({ fault: 'duplicate' }));
  transactions.end('t');
  expect(() => transactions.end('t')).toThrow(expect.objectContaining({ fault: 'malformed' }));
  transactions.begin('t');
  expect(transactions.size).toBe(1);
});

test('[RELAY-21] transactions and their frames are counted', () => {
  const transactions = new RelayTransactions(limits);
  transactions.begin('1');
  transactions.begin('2');
  expect(() => transactions.begin('3')).toThrow(expect.objectContaining({ fault: 'tooMany' }));
  transactions.step('1');
  transactions.step('1');
  expect(() => transactions.step('1')).toThrow(expect.objectContaining({ fault: 'tooMany' }));
});

test('[RELAY-9] what a transaction acknowledged comes out at its end, in order', () => {
  const transactions = new RelayTransactions(limits);
  const subscription = new RelaySubscription('1', '1', '/queue/a', 'client');
  const claims = ['a', 'b'].map((key, order) => ({
    subscription,
    deliveries: [{ key, messageId: key, ack: undefined, order, cost: 0 }],
  }));
  transactions.begin('t');
  for (const claim of claims) transactions.claim('t', claim);
  expect(transactions.end('t')).toEqual(claims);
});
