import { expect, test } from 'vitest';
import { setup } from '../../support/stomp-client-desk.ts';

const destination = '/topic/n';

/** A subscription that comes back, connected, and what it was told. */
async function subscribed(headers: Record<string, string> = {}, connected?: Record<string, string>) {
  const desk = setup({ warn: false });
  const told: unknown[] = [];
  const { id } = desk.client.subscribe(destination, (message) => told.push(message.body), {
    ...headers,
    onRecovery: (recovered) => told.push(recovered),
  });
  const peer = await desk.online(connected);
  return { ...desk, id, told, peer };
}

type Desk = Awaited<ReturnType<typeof subscribed>>;

/** Its SUBSCRIBE: what it asks for, and how to answer it. */
function asked(peer: Desk['peer']) {
  const [frame] = peer.take().filter(({ command }) => command === 'SUBSCRIBE');
  const receipt = { 'receipt-id': frame?.headers.get('receipt') as string };
  return {
    since: frame?.headers.get('since'),
    headers: frame?.headers,
    answer: (more: Record<string, string> = {}) => peer.say('RECEIPT', { ...receipt, ...more }),
  };
}

test('[STOMP-133] it asks where it begins, and comes back from there, or from the last message', async () => {
  const { peer, back, told, id } = await subscribed({ ack: 'client' });
  const first = asked(peer);
  expect(first.since).toBe('now');
  expect([...(first.headers?.keys() ?? [])]).toEqual(['receipt', 'id', 'destination', 'since', 'ack']);
  first.answer({ position: 'e-5' });
  expect(told).toEqual([]);
  peer.socket.hangUp();
  const second = await back();
  const again = asked(second);
  expect(again.since).toBe('e-5');
  again.answer({ recovered: 'true', position: 'e-5' });
  second.say('MESSAGE', { subscription: id, destination, 'message-id': 'e-6' }, 'six');
  expect(told).toEqual([true, 'six']);
  second.socket.hangUp();
  const third = await back();
  const last = asked(third);
  expect(last.since).toBe('e-6');
  last.answer({ recovered: 'false', position: 'f-1' });
  third.socket.hangUp();
  const fourth = await back();
  expect(asked(fourth).since).toBe('f-1');
  expect(told).toEqual([true, 'six', false]);
});

test('[STOMP-133] since begins behind a message of before, and what came of that is told', async () => {
  const { peer, told } = await subscribed({ since: 'e-7' });
  const { since, headers, answer } = asked(peer);
  expect(since).toBe('e-7');
  expect([...(headers ?? [])].filter(([name]) => name === 'since')).toHaveLength(1);
  answer({ recovered: 'true' });
  expect(told).toEqual([true]);
});

test('[STOMP-133] a broker that knows nothing of it is told apart: false, and nothing breaks', async () => {
  const { peer, back, told, id, clock } = await subscribed();
  asked(peer).answer();
  peer.say('MESSAGE', { subscription: id, destination, 'message-id': 'T_0@@x@@1' }, 'one');
  expect(told).toEqual(['one']);
  peer.socket.hangUp();
  const second = await back();
  const { since, answer } = asked(second);
  expect(since).toBe('T_0@@x@@1');
  answer();
  expect(told).toEqual(['one', false]);
  // It gives no receipts either.
  second.socket.hangUp();
  const third = await back();
  asked(third);
  await clock.advance(31_000);
  expect(told).toEqual(['one', false, false]);
});

test('[STOMP-133] a message that overtakes the receipt counts more than where it began; lost ones are told at once', async () => {
  const { peer, back, told, id } = await subscribed();
  const { answer } = asked(peer);
  peer.say('MESSAGE', { subscription: id, destination, 'message-id': 'e-9' }, 'nine');
  answer({ position: 'e-8' });
  peer.say('MESSAGE', { subscription: id, destination, 'message-id': 'e-12', 'messages-lost': 'true' }, 'twelve');
  expect(told).toEqual(['nine', false, 'twelve']);
  peer.socket.hangUp();
  expect(asked(await back()).since).toBe('e-12');
});

test('[STOMP-133] without onRecovery nothing of it is sent', async () => {
  const { client, online } = setup({ warn: false });
  client.subscribe(destination, () => {}, { ack: 'client' });
  const peer = await online();
  expect(peer.lines()).toEqual([expect.stringMatching(/^SUBSCRIBE id:\S+ destination:\S+ ack:client$/)]);
});

test('[STOMP-133] what onRecovery throws harms nothing but itself', async () => {
  const { client, online, problems } = setup({ warn: false });
  client.subscribe(destination, () => {}, {
    since: 'e-1',
    onRecovery() {
      throw new Error('mine');
    },
  });
  const peer = await online();
  asked(peer).answer({ recovered: 'true' });
  expect(problems.map(String)).toEqual(['Error: mine']);
  expect(client.state.getSnapshot().status).toBe('connected');
});

test.each<[object, RegExp]>([
  [{ onRecovery: true }, /onRecovery must be a function/],
  [{ onRecovery: Promise.resolve() }, /onRecovery must be a function/],
  [{ onRecovery() {}, since: {} }, /header "since" must be text/],
  [{ onRecovery() {}, ack: {} }, /header "ack" must be text/],
  [[['onRecovery', () => {}]], /header "onRecovery" must be text/],
])('[STOMP-133] a subscription that cannot come back throws and says why (%#)', (headers, words) => {
  const { client } = setup({ warn: false });
  expect(() => client.subscribe(destination, () => {}, headers as never)).toThrow(words);
});
