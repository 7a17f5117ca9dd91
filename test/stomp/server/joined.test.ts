import { expect, test } from 'vitest';
import { createEndpoint } from '../../../src/core/endpoint.ts';
import { type StompBrokerOptions, stompBroker } from '../../../src/stomp/broker/stomp-broker.ts';
import { type StompRelayOptions, stompRelay } from '../../../src/stomp/relay/stomp-relay.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { FakeSocket } from '../../support/fake-socket.ts';
import { FakeTransport } from '../../support/fake-transport.ts';
import { openBus } from '../../support/open-bus.ts';
import { Peer } from '../../support/relay-scene.ts';

/** The embedded broker, with `/queue` and `/amq` at a broker behind it. */
async function scene(
  options: Partial<StompBrokerOptions> = {},
  version = '1.2',
  relay: Partial<StompRelayOptions> = {},
) {
  const clock = createFakeClock();
  const transport = new FakeTransport();
  const rabbit = stompRelay({ broker: transport.transport, clock, onError() {}, ...relay });
  const broker = stompBroker({ bus: openBus(), relay: { '/queue': rabbit, '/amq': rabbit }, ...options });
  const endpoint = createEndpoint({ protocols: [broker], clock, onError() {} });
  const socket = new FakeSocket({ protocol: '' });
  const handshake = { url: '/ws', headers: {}, remoteAddress: '127.0.0.1', secure: false };
  socket.receiver = endpoint.accept(socket, handshake, broker);
  const client = new Peer(socket, clock);
  client.say(`CONNECT\naccept-version:${version}\nhost:here\n\n\0`);
  const behind = transport.dials.map((dial) => new Peer(dial.open('', true), clock));
  clock.flushTurn();
  for (const each of behind) each.say('CONNECTED\nversion:1.2\nsession:theirs\nserver:RabbitMQ\n\n\0');
  const [queue, amq] = behind as [Peer, Peer];
  const said = client.heard();
  for (const each of behind) each.heard();
  const settle = async () => {
    await clock.settle();
    return client.heard().map(String);
  };
  return { client, queue, amq, said, broker, settle, clock, transport, rabbit, endpoint };
}

test('[STOMP-87] CONNECTED comes once all brokers are there, and is our own', async () => {
  const { said } = await scene();
  expect(said).toHaveLength(1);
  expect(String(said[0])).toContain('\nserver:subwire\n');
  expect(String(said[0])).not.toContain('theirs');
});

test('[STOMP-87] topics are here, queues there, on one connection; receipts in the order of the frames', async () => {
  const { client, queue, amq, settle } = await scene();
  client.say('SUBSCRIBE\nid:t\ndestination:/topic/a\n\n\0SUBSCRIBE\nid:q\ndestination:/queue/a\nack:client\n\n\0');
  expect(queue.heard().map(String)[0]).toContain('SUBSCRIBE\nid:q\ndestination:/queue/a\n');
  client.say(
    'SEND\ndestination:/queue/a\nreceipt:1\n\nq\0',
    'SEND\ndestination:/topic/a\nreceipt:2\n\nt\0',
    'SEND\ndestination:/amq/queue/x\nreceipt:3\n\nx\0',
  );
  expect((await settle()).join()).toMatch(/^MESSAGE\n.*\n\nt\0$/s);
  expect(queue.heard()).toEqual(['SEND\ndestination:/queue/a\nreceipt:1\n\nq\0']);
  expect(amq.heard()).toEqual(['SEND\ndestination:/amq/queue/x\nreceipt:1\n\nx\0']);
  amq.say('RECEIPT\nreceipt-id:1\n\n\0');
  expect(await settle()).toEqual([]);
  queue.say('RECEIPT\nreceipt-id:1\n\n\0MESSAGE\nsubscription:q\nmessage-id:m\nack:A\ndestination:/queue/a\n\nq\0');
  const [first, second, third, message] = (await settle()).join('').split('\0');
  expect([first, second, third].map((frame) => /receipt-id:(\d)/.exec(frame ?? '')?.[1])).toEqual(['1', '2', '3']);
  expect(message).toContain('\nack:1\n');
  client.say('ACK\nid:1\n\n\0');
  expect(queue.heard()).toEqual(['ACK\nid:A\n\n\0']);
});

test('[STOMP-87] an id is in use on the whole connection, and UNSUBSCRIBE finds its broker', async () => {
  const { client, queue, settle } = await scene();
  client.say('SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0SUBSCRIBE\nid:2\ndestination:/topic/a\n\n\0');
  queue.heard();
  client.say('UNSUBSCRIBE\nid:1\n\n\0UNSUBSCRIBE\nid:2\n\n\0');
  expect(queue.heard()).toEqual(['UNSUBSCRIBE\nid:1\n\n\0']);
  client.say('SUBSCRIBE\nid:3\ndestination:/queue/a\n\n\0SUBSCRIBE\nid:3\ndestination:/topic/a\n\n\0');
  expect((await settle()).join()).toContain('ERROR\nmessage:Already in use');
});

test('[STOMP-87] a transaction belongs to the broker of its first frame, and to no other', async () => {
  const { client, queue, settle } = await scene();
  client.say(
    'BEGIN\ntransaction:t\nreceipt:b\n\n\0BEGIN\ntransaction:none\n\n\0COMMIT\ntransaction:none\nreceipt:n\n\n\0',
  );
  expect(queue.heard()).toEqual([]);
  client.say('SEND\ndestination:/queue/a\ntransaction:t\n\nx\0COMMIT\ntransaction:t\n\n\0');
  expect(queue.heard().join('')).toBe(
    'BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\nx\0COMMIT\ntransaction:t\n\n\0',
  );
  expect((await settle()).join('')).toBe('RECEIPT\nreceipt-id:b\n\n\0RECEIPT\nreceipt-id:n\n\n\0');
  client.say('BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\nx\0');
  client.say('SEND\ndestination:/topic/a\ntransaction:t\n\nx\0');
  expect((await settle()).join()).toContain('a transaction over destinations of two brokers');
});

test('[STOMP-87] the application answers and sends by itself, whatever is behind the rest', async () => {
  const { client, broker, settle } = await scene({
    onSend: ({ text }: { text(): string }) => ({ body: `${text()}!` }),
  });
  client.say('SEND\ndestination:/app/echo\nreply-to:/temp-queue/r\n\nhello\0');
  expect((await settle()).join()).toContain('hello!');
  client.say('SUBSCRIBE\nid:u\ndestination:/user/queue/news\n\n\0');
  await broker.send('/topic/a', 'x');
  await expect(broker.send('/queue/a', 'x')).rejects.toThrow('stompRelay({ system: { login, passcode } })');
});

/** The server's own connection, which is dialed with the first message. */
async function ownConnection({ transport, clock }: Awaited<ReturnType<typeof scene>>) {
  await clock.settle();
  const peer = new Peer(transport.last.open('', true), clock);
  await clock.settle();
  return peer;
}

/** What the peer heard, as text, and the name of the receipt in it. */
function said(peer: Peer) {
  const text = peer
    .heard()
    .map((each) => (typeof each === 'string' ? each : new TextDecoder().decode(each)))
    .join('');
  return { text, receipt: `RECEIPT\nreceipt-id:${/receipt:(.*)/.exec(text)?.[1]}\n\n\0` };
}

const system = { login: 'server', passcode: 'secret' };

test('[RELAY-26] the server sends to the broker by a connection of its own, and knows when it is there', async () => {
  const all = await scene({}, '1.2', { system });
  const sent = all.broker.send('/queue/a', 'x', { headers: { kind: 'news' } });
  const own = await ownConnection(all);
  expect(said(own).text).toMatch(/^CONNECT\n(?=.*\nlogin:server\n)(?=.*\npasscode:secret\n)/s);
  own.say('CONNECTED\nversion:1.2\n\n\0');
  await all.clock.settle();
  const { text, receipt } = said(own);
  expect(text).toMatch(
    /^SEND\n.*\ndestination:\/queue\/a\nkind:news\ncontent-type:text\/plain;charset=utf-8\n.*\n\nx\0$/s,
  );
  own.say(receipt);
  await sent;
  const { length } = all.transport.dials;
  const second = all.broker.send('/queue/b', 'y');
  await all.clock.settle();
  expect(all.transport.dials).toHaveLength(length);
  own.say('ERROR\nmessage:access refused\n\n\0');
  await expect(second).rejects.toMatchObject({ fault: 'forbidden', message: expect.stringMatching(/access refused$/) });
});

test('[RELAY-26] an answer of onSend goes to the broker as well; clients do not reach that connection', async () => {
  const all = await scene({ onSend: () => ({ destination: '/queue/out', body: 'answer' }) }, '1.2', { system });
  all.client.say('SEND\ndestination:/app/x\nreceipt:1\n\n?\0');
  const own = await ownConnection(all);
  own.heard();
  own.say('CONNECTED\nversion:1.2\n\n\0');
  await all.clock.settle();
  const { text, receipt } = said(own);
  expect(text).toMatch(/^SEND\n.*\ndestination:\/queue\/out\n.*\n\nanswer\0$/s);
  expect(await all.settle()).toEqual([]);
  own.say(receipt);
  expect(await all.settle()).toEqual(['RECEIPT\nreceipt-id:1\n\n\0']);
});

test('[RELAY-26] headers of the protocol stay here, and a server that is gone opens nothing', async () => {
  const all = await scene({}, '1.2', { system });
  const sent = all.broker.send('/queue/a', 'x', {
    headers: { transaction: 't', receipt: 'mine', id: '1', kept: 'yes' },
  });
  const own = await ownConnection(all);
  own.heard();
  own.say('CONNECTED\nversion:1.2\n\n\0');
  await all.clock.settle();
  const { text, receipt } = said(own);
  expect(text).not.toMatch(/transaction|mine/);
  expect(text).toContain('\nkept:yes\n');
  own.say(receipt);
  await sent;

  const gone = await scene({}, '1.2', { system });
  const { length } = gone.transport.dials;
  gone.rabbit.handler.dispose?.();
  await expect(gone.broker.send('/queue/a', 'x')).rejects.toMatchObject({ fault: 'unavailable' });
  expect(gone.transport.dials).toHaveLength(length);
});

test('[RELAY-26] while the broker is away a message is refused, and the next one tries again', async () => {
  const all = await scene({}, '1.2', { system });
  const lost = all.broker.send('/queue/a', 'x');
  await all.clock.settle();
  all.transport.last.refuse();
  await expect(lost).rejects.toMatchObject({ fault: 'unavailable' });
  // It is looked at on its own account now.
  all.transport.last.open('', true);
  await all.clock.settle();
  const again = all.broker.send('/queue/a', 'x');
  const own = await ownConnection(all);
  own.say('CONNECTED\nversion:1.2\n\n\0');
  await all.clock.settle();
  own.say(said(own).receipt);
  await again;
  all.rabbit.handler.dispose?.();
  await expect(all.broker.send('/queue/a', 'x')).rejects.toMatchObject({ fault: 'unavailable' });
});

test('[STOMP-87] DISCONNECT waits for each broker, and the loss of one ends the client', async () => {
  const one = await scene();
  one.client.say('DISCONNECT\nreceipt:bye\n\n\0');
  expect(await one.settle()).toEqual([]);
  one.queue.say('RECEIPT\nreceipt-id:1\n\n\0');
  expect(await one.settle()).toEqual([]);
  one.amq.say('RECEIPT\nreceipt-id:1\n\n\0');
  expect(await one.settle()).toEqual(['RECEIPT\nreceipt-id:bye\n\n\0']);
  expect(one.client.socket.closing?.code).toBe(1000);

  const two = await scene();
  two.queue.socket.receiver?.closed(1006, '');
  await two.settle();
  expect(two.client.socket.closing?.code).toBe(1013);
});

test.each([
  [{ '': {} }, /relay\[""\]: a prefix such as/],
  [{ '/queue/': {} }, /without a slash at its end/],
  [{ '/queue': { open() {} } }, /must be a stompRelay\({ broker }\); got an object/],
  [{ '/queue': 'stomp://rabbit' }, /got a string/],
])('[STOMP-87] relay: %j is a TypeError', (relay, words) => {
  expect(() => stompBroker({ bus: openBus(), relay: relay as never })).toThrow(words);
});

test('[STOMP-54] [STOMP-87] an ACK of what waits neither here nor there is malformed', async () => {
  const { client, settle } = await scene();
  client.say('ACK\nid:nothing\n\n\0');
  expect((await settle()).join()).toContain('ACK of a message that does not wait for one');
});

test('[STOMP-87] an ERROR of a broker behind ends the connection, in its words', async () => {
  const { client, queue, settle } = await scene();
  client.say('SUBSCRIBE\nid:q\ndestination:/queue/a\n\n\0');
  queue.say('ERROR\nmessage:no such queue\n\nwords\0');
  const [error] = await settle();
  expect(error).toMatch(/^ERROR\n.*message:no such queue\n.*\n\nwords\0$/s);
});

test('[RELAY-25] [STOMP-87] what a broker behind remembers is ended there, without a subscription here', async () => {
  const { client, queue, settle } = await scene();
  client.say('UNSUBSCRIBE\nid:q\ndestination:/queue/a\nx-queue-name:mine\ndurable:true\n\n\0');
  expect((await settle()).join()).toBe('');
  expect(queue.heard().join()).toContain('UNSUBSCRIBE\nid:q\n');
});
