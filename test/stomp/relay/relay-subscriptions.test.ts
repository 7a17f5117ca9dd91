import { expect, test } from 'vitest';
import type { AckMode } from '../../../src/stomp/protocol/frame-fields.ts';
import { RelaySubscription, RelaySubscriptions } from '../../../src/stomp/relay/relay-subscriptions.ts';

function add(all: RelaySubscriptions, id: string | undefined, mode: AckMode = 'client', destination = '/queue/a') {
  const subscription = new RelaySubscription(id, all.name(id), destination, mode);
  all.add(subscription);
  return subscription;
}

const message = (id: string, ack?: string): Map<string, string> =>
  new Map([['message-id', id], ...(ack === undefined ? [] : [['ack', ack] as const])]);

const ids = (deliveries: readonly { messageId: string }[]): string[] => deliveries.map(({ messageId }) => messageId);

test('[RELAY-10] ids that need no escapes stay, others are encoded so that no two are alike', () => {
  const all = new RelaySubscriptions(100, () => true);
  const names = ['a', 'a:b', 'ü', 'a\nb', 'a%0Ab', '%', '%-1', 'a\\b', 'a\rb'].map((id) => add(all, id).brokerId);
  expect(names).toEqual(['a', 'a:b', 'ü', 'a%0Ab', 'a%250Ab', '%25', '%25-1', 'a%5Cb', 'a%0Db']);
  expect(add(all, undefined).brokerId).toBe('%-1');
  expect(add(all, undefined).brokerId).toBe('%-2');
  expect(all.ofClient('a\nb')?.id).toBe('a\nb');
  expect(all.ofBroker('a%0Ab')?.id).toBe('a\nb');
  expect(all.ofBroker('a\nb')).toBeUndefined();
});

test('[RELAY-21] an id in use and one subscription too many are refused', () => {
  const all = new RelaySubscriptions(2, () => true);
  const first = add(all, 'a');
  expect(() => all.name('a')).toThrow(expect.objectContaining({ fault: 'duplicate' }));
  add(all, 'b');
  expect(() => all.name('c')).toThrow(expect.objectContaining({ fault: 'tooMany' }));
  all.remove(first);
  expect(all.name('a')).toBe('a');
});

test('[RELAY-10] a subscription of 1.0 without an id is found by its destination', () => {
  const all = new RelaySubscriptions(100, () => true);
  add(all, 'named');
  const nameless = add(all, undefined, 'auto', '/topic/b');
  expect(all.nameless('/topic/b')).toBe(nameless);
  expect(all.nameless('/queue/a')).toBeUndefined();
});

test('[RELAY-8] mode client takes what came before on this subscription, client-individual nothing else', () => {
  const all = new RelaySubscriptions(100, () => true);
  const [client, individual] = [add(all, 'a'), add(all, 'b', 'client-individual')];
  const keys = ['1', '2', '3'].map((id) => all.deliver(client, message(id, `ack-${id}`), true));
  expect(keys).toEqual(['1', '2', '3']);
  const others = ['1', '2'].map((id) => all.deliver(individual, message(id), false));
  expect(others).toEqual(['1', '2']);
  expect(all.unacknowledged).toBe(5);
  expect(all.waitingFor('3')).toBe(client);
  const claimed = all.claim(client, '2');
  expect(ids(claimed)).toEqual(['1', '2']);
  expect(claimed[0]?.ack).toBe('ack-1');
  expect(ids(all.claim(individual, '2'))).toEqual(['2']);
  expect(all.unacknowledged).toBe(2);
  expect(all.waitingFor('9')).toBeUndefined();
});

test('[RELAY-21] what does not wait cannot be acknowledged', () => {
  const all = new RelaySubscriptions(100, () => true);
  const subscription = add(all, 'a');
  expect(() => all.claim(subscription, '1')).toThrow(expect.objectContaining({ fault: 'malformed' }));
  all.deliver(subscription, new Map(), false);
  expect(() => all.claim(subscription, '1')).toThrow(expect.objectContaining({ fault: 'malformed' }));
  expect(ids(all.claim(subscription, ''))).toEqual(['']);
});

test('[RELAY-9] what is restored waits in its old order, unless its subscription is gone', () => {
  const all = new RelaySubscriptions(100, () => true);
  const subscription = add(all, 'a');
  for (const id of ['1', '2', '3']) all.deliver(subscription, message(id), false);
  const claimed = all.claim(subscription, '2');
  all.restore(subscription, claimed);
  expect(all.unacknowledged).toBe(3);
  expect(ids(all.claim(subscription, '1'))).toEqual(['1']);
  expect(ids(all.claim(subscription, '3'))).toEqual(['2', '3']);
  const fresh = add(all, 'fresh');
  fresh.restore([{ key: '7', messageId: '7', ack: undefined, order: 7, cost: 0 }]);
  expect(fresh.awaits('7')).toBe(true);
  all.remove(subscription);
  all.restore(subscription, claimed);
  expect(all.unacknowledged).toBe(0);
  expect(subscription.size).toBe(0);
});

test('[RELAY-21] a removed subscription owes no acknowledgements, nor does any after the end', () => {
  const all = new RelaySubscriptions(100, () => true);
  const [one, two] = [add(all, 'a'), add(all, 'b')];
  all.deliver(one, message('1'), true);
  all.deliver(two, message('2'), true);
  all.remove(one);
  expect(all.unacknowledged).toBe(1);
  all.clear();
  expect(all.unacknowledged).toBe(0);
  expect(all.ofClient('b')).toBeUndefined();
});

test('[RELAY-24] what waits for an ACK is charged for, until nobody can ask for it any more', () => {
  let kept = 0;
  const all = new RelaySubscriptions(100, (bytes) => {
    kept += bytes;
    return kept <= 10_000;
  });
  const [one, two] = [add(all, 'a'), add(all, 'b')];
  for (const id of ['1', '2', '3']) all.deliver(one, message(id, `ack-${id}`), false);
  const three = kept;
  expect(three).toBeGreaterThan(600);
  all.deliver(one, message('3', 'ack-3'), false);
  expect([kept, all.unacknowledged]).toEqual([three, 3]);
  const claimed = all.claim(one, '2');
  expect(kept).toBe(three);
  all.restore(one, claimed);
  expect(kept).toBe(three);
  all.release(all.claim(one, '1'));
  expect(kept).toBe((three / 3) * 2);
  const late = all.claim(one, '2');
  all.remove(one);
  expect(kept).toBe(three / 3);
  all.restore(one, late);
  expect([kept, all.unacknowledged]).toEqual([0, 0]);
  expect(all.deliver(two, message('x'.repeat(8_000)), false)).toBeUndefined();
  expect(all.unacknowledged).toBe(0);
});
