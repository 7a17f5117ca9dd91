import { expect, test } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import type { StompBrokerOptions } from '../../../src/stomp/broker/stomp-broker.ts';
import { sharedLog } from '../../support/shared-backbone.ts';
import { createStompDesk } from '../../support/stomp-desk.ts';

type StompDesk = ReturnType<typeof createStompDesk>;

/** Servers of one cluster, each with a clock of its own. */
function servers(count: number, options: Partial<StompBrokerOptions> = {}): StompDesk[] {
  const log = sharedLog();
  return Array.from({ length: count }, () =>
    createStompDesk({
      bus: createBus({ backbone: log.backbone(), open: true }),
      authenticate: ({ login }) => (login === undefined ? true : { name: login }),
      ...options,
    }),
  );
}

const settle = async (desks: readonly StompDesk[]): Promise<void> => {
  for (const desk of [...desks, ...desks]) await desk.clock.settle();
};

test('[CLUSTER-4] what is sent to a user arrives at all connections of that user, on any server', async () => {
  const desks = servers(3);
  const [one, two, three] = desks as [StompDesk, StompDesk, StompDesk];
  const ada = [await two.open().connect('1.2', { login: 'ada' }), await three.open().connect('1.2', { login: 'ada' })];
  const bob = await three.open().connect('1.2', { login: 'bob' });
  for (const peer of [...ada, bob]) {
    await peer.send('SUBSCRIBE', { id: '1', destination: '/user/queue/mail', receipt: 'r' });
  }
  await settle(desks);
  for (const peer of [...ada, bob]) peer.brief();
  await one.broker.send('/user/ada/queue/mail', 'hello');
  await settle(desks);
  expect(ada.map((peer) => peer.brief())).toEqual([['MESSAGE hello'], ['MESSAGE hello']]);
  expect(bob.brief()).toEqual([]);
});

test('[CLUSTER-4] a request is answered from another server, by its reply-to', async () => {
  const desks = servers(2);
  const [one, other] = desks as [StompDesk, StompDesk];
  const worker = await other.open().connect();
  await worker.send('SUBSCRIBE', { id: '1', destination: '/topic/work' });
  const caller = await one.open().connect();
  await caller.send(
    'SEND',
    { destination: '/topic/work', 'reply-to': '/temp-queue/mine', 'correlation-id': '7' },
    '2+2',
  );
  await settle(desks);
  const [request] = worker.take();
  expect(request?.headers['reply-to']).toMatch(/^\/reply-queue\/.+\/mine$/);
  const answer = { destination: request?.headers['reply-to'] ?? '', 'correlation-id': '7' };
  await worker.send('SEND', answer, '4');
  await settle(desks);
  expect(caller.take().map(({ command, body, headers }) => [command, body, headers['correlation-id']])).toEqual([
    ['MESSAGE', '4', '7'],
  ]);
});

test('[CLUSTER-3] a queue beside other servers is refused with words, to the client and to the application', async () => {
  const [desk] = servers(1, { authorize: () => true }) as [StompDesk];
  const refusal = 'no queues here: the bus reaches other servers, and queues of this one would be its own';
  for (const [command, headers] of [
    ['SEND', { destination: '/queue/a', receipt: '1' }],
    ['SUBSCRIBE', { destination: '/queue/a', id: '1' }],
    ['SEND', { destination: '/queue/a', transaction: 't' }],
  ] as const) {
    const peer = await desk.open().connect();
    if ('transaction' in headers) await peer.send('BEGIN', { transaction: 't' });
    await peer.send(command, headers, '');
    expect(peer.brief().join(' ')).toContain(refusal);
    expect(String(peer.reported[0])).toContain("stompBroker({ queues: 'local' }) has them all the same");
  }
  await expect(desk.broker.send('/queue/a', 'x')).rejects.toThrow(refusal);
  expect(desk.broker.stats().queues).toBe(0);
});

test("[CLUSTER-3] queues: 'local' has them in this process; anything else is no option", async () => {
  const desks = servers(2, { queues: 'local', open: true });
  const [one, other] = desks as [StompDesk, StompDesk];
  const consumer = await one.open().connect();
  await consumer.send('SUBSCRIBE', { id: '1', destination: '/queue/a' });
  await one.broker.send('/queue/a', 'here');
  await other.broker.send('/queue/a', 'there');
  await settle(desks);
  expect(consumer.take().map(({ body }) => body)).toEqual(['here']);
  for (const queues of ['shared', true, {}]) {
    expect(() => servers(1, { queues } as never)).toThrow("queues must be 'local'");
  }
});
