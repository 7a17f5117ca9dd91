import { describe, expect, test } from 'vitest';
import type { ReceivedMessage } from '../../../src/stomp/client/client.ts';
import { setup } from '../../support/stomp-client-desk.ts';

/** A subscription with this many messages, and what was sent since. */
async function received(ack: string, count: number) {
  const desk = setup({ warn: false });
  const messages: ReceivedMessage[] = [];
  const subscription = desk.client.subscribe('/queue/a', (message) => messages.push(message), { ack });
  const peer = await desk.online();
  for (let number = 1; number <= count; number++) {
    const id = String(number);
    peer.say('MESSAGE', { subscription: subscription.id, destination: '/queue/a', 'message-id': id, ack: id });
  }
  peer.take();
  const said = (): string[] => peer.lines().map((line) => line.replace(/ receipt:\S+/, ''));
  return {
    ...desk,
    peer,
    subscription,
    messages: messages as [ReceivedMessage, ReceivedMessage, ReceivedMessage],
    said,
  };
}

describe('[STOMP-117] acknowledging twice or late is false and harmless', () => {
  test('twice, by either word', async () => {
    const { messages, said } = await received('client-individual', 3);
    const [first, second, third] = messages;
    expect([second.ack(), second.ack(), second.nack()]).toEqual([true, false, false]);
    expect([first.nack(), first.ack(), third.ack()]).toEqual([true, false, true]);
    expect(said()).toEqual(['ACK id:2', 'NACK id:1', 'ACK id:3']);
  });

  test('in mode client one covers those before it, and not those after', async () => {
    const { messages, said } = await received('client', 3);
    const [first, second, third] = messages;
    expect([second.ack(), first.ack(), second.nack(), third.ack()]).toEqual([true, false, false, true]);
    expect(said()).toEqual(['ACK id:2', 'ACK id:3']);
  });

  test('after UNSUBSCRIBE, and after the connection is lost', async () => {
    const { messages, said, subscription, peer, back } = await received('client', 2);
    subscription.unsubscribe();
    expect([messages[0].ack(), messages[1].nack()]).toEqual([false, false]);
    expect(said()).toEqual([`UNSUBSCRIBE id:${subscription.id}`]);
    peer.socket.hangUp();
    await back();
    expect(messages[0].ack()).toBe(false);
  });

  test.each(['client', 'client-individual'])('ABORT makes it open again, COMMIT does not: %s', async (ack) => {
    const { client, messages, said } = await received(ack, 3);
    const [first, second, third] = messages;
    const aborted = client.begin();
    expect([aborted.ack(second), second.ack(), aborted.ack(second)]).toEqual([true, false, false]);
    aborted.abort();
    const committed = client.begin();
    expect([committed.ack(second), committed.nack(third)]).toEqual([true, true]);
    void committed.commit();
    expect([second.ack(), third.ack(), first.ack()]).toEqual([false, false, ack !== 'client']);
    expect(said()).toEqual([
      'BEGIN transaction:transaction-0',
      'ACK id:2 transaction:transaction-0',
      'ABORT transaction:transaction-0',
      'BEGIN transaction:transaction-1',
      'ACK id:2 transaction:transaction-1',
      'NACK id:3 transaction:transaction-1',
      'COMMIT transaction:transaction-1',
      ...(ack === 'client' ? [] : ['ACK id:1']),
    ]);
  });

  test('a header that is none is a TypeError, and leaves the message open', async () => {
    const { messages, said } = await received('client', 1);
    expect(() => messages[0].ack({ receipt: {} as string })).toThrow(/header "receipt" must be text/);
    expect(messages[0].ack({ attempts: 1 })).toBe(true);
    expect(said()).toEqual(['ACK id:1 attempts:1']);
  });
});
