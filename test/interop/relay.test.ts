import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RxStomp } from '@stomp/rx-stomp';
import { Client, type IFrame, type IMessage, type StompConfig } from '@stomp/stompjs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { attach } from '../../src/adapters/attach.ts';
import { listenTcp, tcp } from '../../src/adapters/tcp.ts';
import type { Endpoint } from '../../src/core/endpoint.ts';
import type { Authenticate } from '../../src/core/subprotocol.ts';
import { stompBroker } from '../../src/stomp/broker/stomp-broker.ts';
import { type StompRelay, type StompRelayOptions, stompRelay } from '../../src/stomp/relay/stomp-relay.ts';
import { certificate } from '../support/certificate.ts';
import { openBus } from '../support/open-bus.ts';
import { type ActiveMq, startActiveMq } from '../support/programs/activemq.ts';
import { requireProgram } from '../support/programs/program.ts';
import { type RabbitMq, startRabbitMq } from '../support/programs/rabbitmq.ts';
import { openRaw, type RawWebSocket } from '../support/raw-websocket.ts';

interface Running {
  readonly relay: StompRelay;
  readonly endpoint: Endpoint;
  readonly server: Server;
  readonly port: number;
  readonly reported: unknown[];
}

const leftovers: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of leftovers.splice(0).reverse()) await end();
});

async function startRelay(options: StompRelayOptions, authenticate?: Authenticate): Promise<Running> {
  const reported: unknown[] = [];
  const relay = stompRelay({ onError: (error) => reported.push(error), ...options });
  const server = createServer();
  const endpoint = attach(server, { protocols: [relay], authenticate, onError: (error) => reported.push(error) });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  leftovers.push(async () => {
    await endpoint.drain({ deadline: 0 });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { relay, endpoint, server, reported, port: (server.address() as AddressInfo).port };
}

const socketTo = (port: number) => () =>
  new WebSocket(`ws://127.0.0.1:${port}/ws`, [
    'v12.stomp',
    'v11.stomp',
    'v10.stomp',
  ]) as unknown as globalThis.WebSocket;

async function connectStompjs(port: number, config: StompConfig = {}): Promise<Client> {
  const client = new Client({ reconnectDelay: 0, webSocketFactory: socketTo(port), ...config });
  leftovers.push(() => client.deactivate({ force: true }));
  await new Promise<void>((resolve) => {
    client.onConnect = () => resolve();
    client.activate();
  });
  return client;
}

/** Everything that comes, in order, one promise at a time. */
function inbox<T>() {
  const waiting: ((value: T) => void)[] = [];
  const kept: T[] = [];
  return {
    kept,
    put(value: T): void {
      const next = waiting.shift();
      if (next) next(value);
      else kept.push(value);
    },
    next: (): Promise<T> =>
      kept.length > 0 ? Promise.resolve(kept.shift() as T) : new Promise((resolve) => waiting.push(resolve)),
  };
}

const receipt = (client: Client, id: string): Promise<IFrame> =>
  new Promise((resolve) => client.watchForReceipt(id, resolve));

async function connectRaw(port: number, version = '1.2', headers = ''): Promise<RawWebSocket> {
  const raw = await openRaw({ port, protocols: [] });
  leftovers.push(() => raw.destroy());
  raw.send(`CONNECT\naccept-version:${version}\nhost:nowhere\n${headers}\n\0`);
  expect(await raw.message()).toMatch(/^CONNECTED\n/);
  return raw;
}

let names = 0;
const fresh = (kind: string): string => `/${kind}/relay-${process.pid}-${++names}`;

interface Kind {
  readonly name: string;
  readonly program: 'rabbitmq' | 'activemq';
  readonly start: () => Promise<RabbitMq | ActiveMq>;
  readonly server: RegExp;
  readonly credentials: { readonly login?: string; readonly passcode?: string };
}

const kinds: readonly Kind[] = [
  {
    name: 'ActiveMQ',
    program: 'activemq',
    start: startActiveMq,
    server: /ActiveMQ/,
    credentials: { login: 'any', passcode: 'body' },
  },
  {
    name: 'RabbitMQ',
    program: 'rabbitmq',
    start: startRabbitMq,
    server: /RabbitMQ/,
    credentials: { login: 'guest', passcode: 'guest' },
  },
];

describe.each(kinds)('$name behind the relay', ({ name, program, start, server, credentials }) => {
  const brokerTest = requireProgram(program, test);
  let broker: RabbitMq | ActiveMq;

  beforeAll(async () => {
    broker = await start();
  }, 90_000);
  afterAll(() => broker.stop());

  const relayTo = (options: Partial<StompRelayOptions> = {}, authenticate?: Authenticate): Promise<Running> =>
    startRelay({ broker: `stomp://127.0.0.1:${broker.port}`, ...credentials, ...options }, authenticate);

  brokerTest('[RELAY-1] [RELAY-3] stompjs connects with a login of its own and talks over a topic', async () => {
    const { port, relay, endpoint } = await relayTo({}, ({ login, passcode }) =>
      login === 'alice' && passcode === 'wonder' ? { name: 'alice' } : false,
    );
    const client = await connectStompjs(port, {
      connectHeaders: { login: 'alice', passcode: 'wonder', host: 'nowhere' },
    });
    expect(client.connectedVersion).toBe('1.2');
    expect(relay.available).toBe(true);
    const messages = inbox<IMessage>();
    const destination = fresh('topic');
    client.subscribe(destination, messages.put, { receipt: 'subscribed' });
    await receipt(client, 'subscribed');
    client.publish({ destination, body: 'grüße', headers: { 'a:b': 'c\n\\d', persistent: 'true' } });
    const message = await messages.next();
    expect(message.body).toBe('grüße');
    expect(message.headers['destination']).toBe(destination);
    expect(endpoint.stats().open).toBe(1);
  });

  brokerTest('[RELAY-26] beside the embedded broker: /app, /user, hooks, and what the server sends', async () => {
    const heard: string[] = [];
    const rabbit = stompRelay({ broker: `stomp://127.0.0.1:${broker.port}`, ...credentials });
    const [queue, topicName] = [fresh('queue'), fresh('topic')];
    const stomp = stompBroker({
      bus: openBus(),
      relay: { '/queue': rabbit, '/topic': rabbit },
      authorize: () => true,
      onSend: ({ principal, text }) => ({ destination: topicName, body: `${principal?.name}: ${text()}` }),
      onConnect: ({ principal }) => void heard.push(`${principal?.name} came`),
      onSubscribed: ({ destination }) => void heard.push(destination),
      onDisconnect: ({ principal }) => void heard.push(`${principal?.name} went`),
    });
    const http = createServer();
    const endpoint = attach(http, { protocols: [stomp], authenticate: ({ login }) => ({ name: login ?? '' }) });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    leftovers.push(async () => {
      await endpoint.drain({ deadline: 0 });
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    });
    const client = await connectStompjs((http.address() as AddressInfo).port, { connectHeaders: { login: 'ann' } });
    const [queued, fanned, own] = [inbox<IMessage>(), inbox<IMessage>(), inbox<IMessage>()];
    client.subscribe(queue, queued.put);
    client.subscribe(topicName, fanned.put, { receipt: 'topic' });
    await receipt(client, 'topic');
    client.subscribe('/user/queue/news', own.put, { receipt: 'user' });
    await receipt(client, 'user');
    await stomp.send(queue, 'by the server', { headers: { kind: 'news' } });
    const message = await queued.next();
    expect([message.body, message.headers['kind']]).toEqual(['by the server', 'news']);
    client.publish({ destination: '/app/say', body: 'hello' });
    expect((await fanned.next()).body).toBe('ann: hello');
    await stomp.send('/user/ann/queue/news', 'for you');
    expect((await own.next()).body).toBe('for you');
    await client.deactivate();
    await expect.poll(() => heard).toEqual(['ann came', queue, topicName, '/user/queue/news', 'ann went']);
  });

  brokerTest('[RELAY-14] what the broker says of itself goes on to the client', async () => {
    const { port } = await relayTo();
    const raw = await openRaw({ port });
    leftovers.push(() => raw.destroy());
    raw.send('CONNECT\naccept-version:1.0,1.1\nhost:x\nheart-beat:7000,9000\n\n\0');
    const connected = await raw.message();
    expect(connected).toMatch(/^CONNECTED\nversion:1\.1\nheart-beat:10000,10000\n/);
    expect(connected).toMatch(server);
    expect(connected.match(/heart-beat/g)).toHaveLength(1);
  });

  brokerTest('[RELAY-8] an ACK in mode client reaches its own subscription and no other', async () => {
    const { port } = await relayTo();
    const [one, two] = [fresh('queue'), fresh('queue')];
    const client = await connectStompjs(port);
    const [ones, twos] = [inbox<IMessage>(), inbox<IMessage>()];
    client.subscribe(one, ones.put, { ack: 'client' });
    client.subscribe(two, twos.put, { ack: 'client' });
    client.publish({ destination: two, body: 'stays' });
    expect((await twos.next()).body).toBe('stays');
    for (const body of ['first', 'second', 'third']) client.publish({ destination: one, body });
    await ones.next();
    const second = await ones.next();
    await ones.next();
    second.ack({ receipt: 'acked' });
    await receipt(client, 'acked');
    client.publish({ destination: one, body: 'last', headers: { receipt: 'sent' } });
    await receipt(client, 'sent');
    await client.deactivate();

    const other = await connectStompjs(port);
    const [again, stayed] = [inbox<IMessage>(), inbox<IMessage>()];
    other.subscribe(two, stayed.put);
    expect((await stayed.next()).body).toBe('stays');
    other.subscribe(one, again.put);
    const bodies = [await again.next(), await again.next()].map(({ body }) => body);
    expect(bodies.sort()).toEqual(['last', 'third']);
  });

  brokerTest('[RELAY-9] a transaction is atomic, and its ABORT brings the ACKs back', async () => {
    const { port } = await relayTo();
    const destination = fresh('queue');
    const client = await connectStompjs(port);
    const messages = inbox<IMessage>();
    client.subscribe(destination, messages.put, { ack: 'client-individual' });
    const aborted = client.begin();
    client.publish({ destination, body: 'never', headers: { transaction: aborted.id } });
    aborted.abort();
    const committed = client.begin();
    for (const body of ['1', '2', '3']) {
      client.publish({ destination, body, headers: { transaction: committed.id } });
    }
    committed.commit();
    const first = await messages.next();
    expect([first.body, (await messages.next()).body, (await messages.next()).body]).toEqual(['1', '2', '3']);
    const undone = client.begin();
    first.ack({ transaction: undone.id });
    undone.abort();
    first.ack({ receipt: 'acked' });
    await receipt(client, 'acked');
    expect(client.connected).toBe(true);
  });

  brokerTest('[RELAY-13] the RECEIPT of DISCONNECT arrives before the close', async () => {
    const { port } = await relayTo();
    const raw = await connectRaw(port);
    const destination = fresh('queue');
    raw.send(
      `SEND\ndestination:${destination}\n\nx\0SEND\ndestination:${destination}\nreceipt:r\n\ny\0DISCONNECT\nreceipt:bye\n\n\0`,
    );
    expect(await raw.message()).toBe('RECEIPT\nreceipt-id:r\n\n\0');
    expect(await raw.message()).toBe('RECEIPT\nreceipt-id:bye\n\n\0');
    expect((await raw.closed()).code).toBe(1000);
  });

  brokerTest('[RELAY-10] a subscription id that has to be escaped works', async () => {
    const { port } = await relayTo();
    const raw = await connectRaw(port);
    const destination = fresh('topic');
    const body = 'x'.repeat(3);
    raw.send(`SUBSCRIBE\nid:a\\nb\\\\c%:d\ndestination:${destination}\nack:client\nreceipt:s\n\n\0`);
    expect(await raw.message()).toBe('RECEIPT\nreceipt-id:s\n\n\0');
    raw.send(`SEND\ndestination:${destination}\n\n${body}\0`);
    const message = await raw.message();
    expect(message).toMatch(/^MESSAGE\nsubscription:a\\nb\\\\c%\\cd\nack:1\n/);
    expect(message.endsWith(`\n\n${body}\0`)).toBe(true);
    raw.send('ACK\nid:1\nreceipt:a\n\n\0');
    expect(await raw.message()).toBe('RECEIPT\nreceipt-id:a\n\n\0');
    raw.send('UNSUBSCRIBE\nid:a\\nb\\\\c%:d\nreceipt:u\n\n\0');
    expect(await raw.message()).toBe('RECEIPT\nreceipt-id:u\n\n\0');
  });

  brokerTest.each(['1.0', '1.1'])(
    '[RELAY-4] a client of version %s subscribes, acknowledges and leaves',
    async (version) => {
      const { port } = await relayTo();
      const raw = await connectRaw(port, version);
      const destination = fresh('queue');
      const id = version === '1.0' ? '' : 'id:7\n';
      raw.send(`SUBSCRIBE\n${id}destination:${destination}\nack:client\nreceipt:s\n\n\0`);
      expect(await raw.message()).toBe('RECEIPT\nreceipt-id:s\n\n\0');
      raw.send(`SEND\ndestination:${destination}\n\nhello\0`);
      const message = await raw.message();
      expect(message.includes('\nsubscription:')).toBe(version !== '1.0');
      const messageId = /\nmessage-id:([^\n]+)/.exec(message)?.[1];
      raw.send(`ACK\nmessage-id:${messageId}\n${id && 'subscription:7\n'}receipt:a\n\n\0`);
      expect(await raw.message()).toBe('RECEIPT\nreceipt-id:a\n\n\0');
      raw.send(`UNSUBSCRIBE\n${id || `destination:${destination}\n`}receipt:u\n\n\0`);
      expect(await raw.message()).toBe('RECEIPT\nreceipt-id:u\n\n\0');
    },
  );

  brokerTest('[RELAY-15] a body that is not UTF-8 arrives as it is, in a binary message', async () => {
    const { port } = await relayTo();
    const client = await connectStompjs(port);
    const messages = inbox<IMessage>();
    const destination = fresh('topic');
    client.subscribe(destination, messages.put, { receipt: 'subscribed' });
    await receipt(client, 'subscribed');
    const octets = Uint8Array.from({ length: 256 }, (_, index) => index);
    client.publish({ destination, binaryBody: octets });
    expect((await messages.next()).binaryBody).toEqual(octets);
  });

  brokerTest('[RELAY-12] what the broker finds wrong reaches the client as ERROR, then the close', async () => {
    const { port } = await relayTo();
    const raw = await connectRaw(port);
    // Not a destination of RabbitMQ; an acknowledgement mode for a durable topic without a name in ActiveMQ.
    const wrong =
      name === 'RabbitMQ'
        ? 'SUBSCRIBE\nid:1\ndestination:/nothing/like/that\nreceipt:r\n\n\0'
        : `SUBSCRIBE\nid:1\ndestination:${fresh('queue')}\nselector:not ( a selector\nreceipt:r\n\n\0`;
    raw.send(wrong);
    expect(await raw.message()).toMatch(/^ERROR\n/);
    expect((await raw.closed()).code).toBe(1002);
  });

  brokerTest('[RELAY-7] a reader that stops does not make the broker run over, and loses nothing', async () => {
    const { port, endpoint } = await relayTo();
    const destination = fresh('topic');
    const slow = await connectRaw(port);
    slow.send(`SUBSCRIBE\nid:1\ndestination:${destination}\nreceipt:s\n\n\0`);
    await slow.message();
    slow.socket.pause();
    const sender = await connectStompjs(port);
    const body = 'x'.repeat(100_000);
    const count = 200;
    for (let index = 0; index < count; index++) sender.publish({ destination, body });
    sender.publish({ destination: fresh('queue'), body: '', headers: { receipt: 'all' } });
    await receipt(sender, 'all');
    slow.socket.resume();
    for (let index = 0; index < count; index++) expect((await slow.message()).length).toBeGreaterThan(100_000);
    expect(endpoint.stats().faults).toEqual({});
  });

  brokerTest('[RELAY-18] what a lost client did not acknowledge goes to the next one', async () => {
    const { port } = await relayTo();
    const destination = fresh('queue');
    const first = await connectStompjs(port);
    const ones = inbox<IMessage>();
    first.subscribe(destination, ones.put, { ack: 'client-individual' });
    for (const body of ['1', '2']) first.publish({ destination, body });
    await ones.next();
    const second = await ones.next();
    second.ack({ receipt: 'acked' });
    await receipt(first, 'acked');
    const gone = new Promise<void>((resolve) => {
      first.onWebSocketClose = () => resolve();
    });
    first.forceDisconnect();
    await gone;
    const other = await connectStompjs(port);
    const again = inbox<IMessage>();
    other.subscribe(destination, again.put);
    const message = await again.next();
    expect(message.body).toBe('1');
    expect(message.headers['redelivered']).toBe('true');
  });

  brokerTest('[RELAY-4] a header that 1.0 cannot carry breaks no frame there', async () => {
    const { port } = await relayTo();
    const destination = fresh('topic');
    const old = await connectRaw(port, '1.0');
    old.send(`SUBSCRIBE\ndestination:${destination}\nreceipt:s\n\n\0`);
    await old.message();
    const sender = await connectRaw(port);
    sender.send(`SEND\ndestination:${destination}\nbad:a\\nevil:b\ngood:c\n\nbody\0`);
    const message = await old.message();
    expect(message).toMatch(/\ngood:c\n/);
    expect(message).not.toMatch(/evil/);
    expect(message).toMatch(/\n\nbody\0$/);
  });

  brokerTest('[RELAY-16] what rx-stomp watches comes back when the broker does', { timeout: 90_000 }, async () => {
    let current = await start();
    leftovers.push(() => current.stop());
    const { port, relay } = await relayTo({
      broker: (url, protocols, attempt) => tcp({ port: current.port })(url, protocols, attempt),
    });
    const changes = inbox<boolean>();
    relay.on('availability', changes.put);
    expect(await changes.next()).toBe(true);
    const client = new RxStomp();
    client.configure({ webSocketFactory: socketTo(port), reconnectDelay: 100 });
    leftovers.push(() => client.deactivate({ force: true }));
    client.activate();
    const destination = fresh('topic');
    const messages = inbox<IMessage>();
    client.watch({ destination, subHeaders: { receipt: 'w' } }).subscribe(messages.put);
    await client.asyncReceipt('w');
    await current.stop();
    expect(await changes.next()).toBe(false);
    current = await start();
    expect(await changes.next()).toBe(true);
    await client.asyncReceipt('w');
    client.publish({ destination, body: 'back' });
    expect((await messages.next()).body).toBe('back');
  });
});

test('[RELAY-1] a broker behind TLS, such as our own', async () => {
  const { key, cert } = await certificate();
  const broker = await listenTcp({ port: 0, tls: { key, cert }, protocols: [stompBroker({ bus: openBus() })] });
  leftovers.push(() => broker.drain({ deadline: 0 }));
  const { port } = await startRelay({ broker: tcp({ host: 'localhost', port: broker.port, tls: { ca: cert } }) });
  const raw = await connectRaw(port);
  raw.send('SUBSCRIBE\nid:1\ndestination:/topic/a\nreceipt:s\n\n\0');
  expect(await raw.message()).toBe('RECEIPT\nreceipt-id:s\n\n\0');
  raw.send('SEND\ndestination:/topic/a\n\nhello\0');
  expect(await raw.message()).toMatch(/^MESSAGE\nsubscription:1\n(.+\n)+\nhello\0$/);
});

describe('who may log in at RabbitMQ', () => {
  const rabbitTest = requireProgram('rabbitmq', test);
  let rabbit: RabbitMq;

  beforeAll(async () => {
    rabbit = await startRabbitMq();
  }, 90_000);
  afterAll(() => rabbit.stop());

  const address = (): string => `stomp://127.0.0.1:${rabbit.port}`;

  async function refusedBy(port: number, login: string): Promise<{ error: string; code: number; reason: string }> {
    const raw = await openRaw({ port });
    leftovers.push(() => raw.destroy());
    raw.send(`CONNECT\naccept-version:1.2\nhost:x\n${login}\n\0`);
    const error = await raw.message();
    return { error, ...(await raw.closed()) };
  }

  rabbitTest('[RELAY-2] the own login of a client goes on where the relay has none', async () => {
    const { port } = await startRelay({ broker: address() });
    await connectRaw(port, '1.2', 'login:guest\npasscode:guest\n');
    const refused = await refusedBy(port, 'login:guest\npasscode:wrong\n');
    expect(refused.error).toMatch(/^ERROR\n(.+\n)*message:Bad CONNECT/);
    expect(refused.code).toBe(1008);
  });

  rabbitTest('[RELAY-2] a relay whose own login is refused says so to the application alone', async () => {
    const { port, reported } = await startRelay({ broker: address(), login: 'guest', passcode: 'wrong' });
    const refused = await refusedBy(port, 'login:guest\npasscode:guest\n');
    expect(refused.error).toMatch(/^ERROR\nmessage:Unavailable/);
    expect(refused.code).toBe(1013);
    expect(refused.reason).toMatch(/retry within \d+ ms$/);
    expect(String(reported)).toMatch(/refused the login of the relay/);
  });

  rabbitTest('[RELAY-5] several addresses are tried in turn', async () => {
    const { port, relay } = await startRelay({
      broker: ['stomp://127.0.0.1:9', address()],
      login: 'guest',
      passcode: 'guest',
    });
    await connectRaw(port);
    expect(relay.available).toBe(true);
  });

  rabbitTest('[RELAY-11] a reply queue that RabbitMQ makes by itself answers a request', async () => {
    const { port } = await startRelay({ broker: address(), login: 'guest', passcode: 'guest' });
    const destination = fresh('queue');
    const server = await connectStompjs(port);
    server.subscribe(destination, ({ headers, body }) =>
      server.publish({ destination: String(headers['reply-to']), body: `re: ${body}` }),
    );
    const client = await connectRaw(port);
    client.send(`SEND\ndestination:${destination}\nreply-to:/temp-queue/mine\n\nping\0`);
    const reply = await client.message();
    expect(reply).toMatch(/^MESSAGE\nsubscription:\/temp-queue\/mine\n/);
    expect(reply).toMatch(/re: ping\0$/);
  });

  rabbitTest('[RELAY-3] a virtual host that is not there is refused, whatever clients name', async () => {
    const { port } = await startRelay({ broker: address(), host: 'missing' });
    const refused = await refusedBy(port, 'login:guest\npasscode:guest\n');
    expect(refused.error).toMatch(/Virtual host 'missing' access denied/);
  });
});
