import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { buildSchema } from 'graphql';
import { connectAsync, connect as connectMqtt, type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { listenTcp, type TcpEndpoint } from '../../src/adapters/tcp.ts';
import { createBus } from '../../src/bus/bus.ts';
import { topic } from '../../src/bus/topic.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';
import { createClient } from '../../src/graphql/client/client.ts';
import { graphqlServer } from '../../src/graphql/index.ts';
import { mqttBroker } from '../../src/mqtt/index.ts';
import { createStompClient } from '../../src/stomp/client/client.ts';
import { stompBroker } from '../../src/stomp/index.ts';
import { type HttpEndpoint, httpEndpoint } from '../support/http-endpoint.ts';
import { Mailbox } from '../support/mailbox.ts';
import { requireProgram } from '../support/programs/program.ts';

interface Price {
  readonly price: number;
}

const prices = topic<Price>('prices/eur', { clients: 'readwrite' });
const bus = createBus({ topics: [prices], open: { '**': 'readwrite' } });
const mqtt = mqttBroker({ bus });
const graphql = graphqlServer({
  schema: buildSchema('type Query { a: Int } type Subscription { price: Float }'),
  roots: { subscription: { price: () => bus.subscribe(prices) } },
});
const stomp = stompBroker({ bus });
const authenticate = ({ login }: { readonly login?: string | undefined }) =>
  login === undefined ? true : { name: login };

let http: HttpEndpoint;
let tcp: TcpEndpoint;
const clients: MqttClient[] = [];

beforeAll(async () => {
  http = await httpEndpoint({ path: '/ws', protocols: [graphql, stomp, mqtt], authenticate });
  tcp = await listenTcp({ port: 0, protocols: [mqtt], authenticate });
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
});

afterAll(async () => {
  await tcp.close();
  await http.stop();
});

const ways = {
  WebSocket: () => `ws://127.0.0.1:${http.port}/ws`,
  TCP: () => `mqtt://127.0.0.1:${tcp.port}`,
};

async function connect(url: string, protocolVersion: 4 | 5, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await connectAsync(url, { protocolVersion, reconnectPeriod: 0, ...options });
  clients.push(client);
  return client;
}

/** What a client hears, one by one. */
function mailboxOf(client: MqttClient): Mailbox<readonly [topic: string, body: string, qos: number, retain: boolean]> {
  const mailbox = new Mailbox<readonly [string, string, number, boolean]>();
  client.on('message', (name, body, { qos, retain }) => mailbox.put([name, body.toString(), qos, retain]));
  return mailbox;
}

describe.each(Object.entries(ways))('mqtt.js over %s', (_, url) => {
  describe.each([4, 5] as const)('version %i', (version) => {
    test('each QoS both ways, wildcards, unsubscribe', async () => {
      const base = `t${version}/${url().slice(0, 2)}`;
      const client = await connect(url(), version);
      const mailbox = mailboxOf(client);
      expect(await client.subscribeAsync({ [`${base}/+`]: { qos: 2 } })).toMatchObject([{ qos: 2 }]);
      for (const qos of [0, 1, 2] as const) await client.publishAsync(`${base}/a.b`, `q${qos}`, { qos });
      for (const qos of [0, 1, 2]) expect(await mailbox.next()).toEqual([`${base}/a.b`, `q${qos}`, qos, false]);
      await client.unsubscribeAsync(`${base}/+`);
      await client.publishAsync(`${base}/a`, 'unheard', { qos: 1 });
      await client.subscribeAsync(`${base}/b`);
      await client.publishAsync(`${base}/b`, 'heard');
      expect(await mailbox.next()).toEqual([`${base}/b`, 'heard', 0, false]);
    });

    test('a large message, a retained one, and a will', async () => {
      const base = `r${version}/${url().slice(0, 2)}`;
      const body = 'x'.repeat(300_000);
      const one = await connect(url(), version, {
        will: { topic: `${base}/will`, payload: Buffer.from('gone'), qos: 1, retain: false },
      });
      await one.publishAsync(`${base}/big`, body, { qos: 1, retain: true });
      const other = await connect(url(), version);
      const mailbox = mailboxOf(other);
      await other.subscribeAsync(`${base}/#`, { qos: 1 });
      expect(await mailbox.next()).toEqual([`${base}/big`, body, 1, true]);
      one.stream.destroy();
      expect(await mailbox.next()).toEqual([`${base}/will`, 'gone', 1, false]);
      await other.publishAsync(`${base}/big`, '', { retain: true });
    });

    test('a session that waits for its client', async () => {
      const name = `s${version}/${url().slice(0, 2)}`;
      const options: IClientOptions = {
        ...{ clientId: name, clean: false, username: 'ann', password: 'x' },
        ...(version === 5 && { properties: { sessionExpiryInterval: 60 } }),
      };
      const first = await connect(url(), version, options);
      await first.subscribeAsync(name, { qos: 1 });
      await first.endAsync();
      const sender = await connect(url(), version);
      for (const body of ['1', '2']) await sender.publishAsync(name, body, { qos: 1 });
      const mailbox = new Mailbox<string>();
      const again = connectMqtt(url(), { protocolVersion: version, reconnectPeriod: 0, ...options });
      clients.push(again);
      again.on('message', (_name, body) => mailbox.put(body.toString()));
      const sessionPresent = await new Promise((resolve) =>
        again.once('connect', (connack) => resolve(connack.sessionPresent)),
      );
      expect(sessionPresent).toBe(true);
      expect([await mailbox.next(), await mailbox.next()]).toEqual(['1', '2']);
    });
  });

  test('MQTT 5: user properties, content type, response topic, and aliases of the client', async () => {
    const client = await connect(url(), 5, { autoAssignTopicAlias: true });
    const heard = new Mailbox<object>();
    client.on('message', (_name, _body, { properties }) =>
      heard.put({ ...properties, ...{ userProperties: { ...properties?.userProperties } } }),
    );
    await client.subscribeAsync('props/a', { qos: 1, properties: { subscriptionIdentifier: 7 } });
    const properties = {
      ...{ contentType: 'text/plain', responseTopic: 'answers', correlationData: Buffer.from('id') },
      userProperties: { colour: 'red' },
    };
    for (let count = 0; count < 2; count++) {
      await client.publishAsync('props/a', 'x', { qos: 1, properties });
      expect(await heard.next()).toMatchObject({ ...properties, subscriptionIdentifier: 7 });
    }
  });

  test('refused: wrong credentials and shared subscriptions', async () => {
    const client = await connect(url(), 5);
    await expect(client.subscribeAsync('$share/g/a')).rejects.toThrow('Shared Subscriptions not supported');
    await expect(client.subscribeAsync('$SYS/#')).rejects.toThrow('Not authorized');
  });
});

test('paho in a page: subscribe, publish, hear', async () => {
  const scope = globalThis as { WebSocket?: unknown; localStorage?: unknown };
  const before = { WebSocket: scope.WebSocket, localStorage: scope.localStorage };
  const kept = new Map<string, string>();
  scope.WebSocket = WebSocket;
  scope.localStorage = {
    ...{
      setItem: (key: string, value: string) => kept.set(key, value),
      getItem: (key: string) => kept.get(key) ?? null,
    },
    removeItem: (key: string) => kept.delete(key),
  };
  try {
    const { default: Paho } = await import('paho-mqtt');
    const client = new Paho.Client('127.0.0.1', http.port, '/ws', 'paho');
    const mailbox = new Mailbox<string>();
    client.onMessageArrived = ({ destinationName, payloadString }) =>
      mailbox.put(`${destinationName} ${payloadString}`);
    await new Promise<void>((resolve, reject) => client.connect({ onSuccess: () => resolve(), onFailure: reject }));
    await new Promise<void>((resolve) => client.subscribe('paho/#', { qos: 1, onSuccess: () => resolve() }));
    client.send('paho/a', 'hello', 2, false);
    expect(await mailbox.next()).toBe('paho/a hello');
    client.disconnect();
  } finally {
    Object.assign(scope, before);
  }
});

describe("mosquitto's clients over TCP", () => {
  const mosquittoTest = requireProgram('mosquitto-clients', test);
  for (const version of ['mqttv311', 'mqttv5']) {
    mosquittoTest(`${version}: mosquitto_sub hears mosquitto_pub at each QoS`, async () => {
      const where = ['-h', '127.0.0.1', '-p', String(tcp.port), '-V', version];
      for (const qos of ['0', '1', '2']) {
        const name = `${version}/${qos}`;
        await promisify(execFile)('mosquitto_pub', [...where, '-t', name, '-m', `kept ${qos}`, '-q', qos, '-r']);
        const before = bus.stats().listeners;
        const listener = spawn('mosquitto_sub', [
          ...where,
          '-t',
          `${version}/+`,
          '-q',
          qos,
          '-C',
          '2',
          '-F',
          '%t %q %r %p',
        ]);
        const closed = once(listener, 'close');
        let heard = '';
        listener.stdout.on('data', (data) => {
          heard += data;
        });
        while (bus.stats().listeners === before) await new Promise((resolve) => setTimeout(resolve, 5));
        await promisify(execFile)('mosquitto_pub', [...where, '-t', name, '-m', 'live', '-q', qos]);
        await closed;
        expect(heard.trim().split('\n')).toEqual([`${name} ${qos} 1 kept ${qos}`, `${name} ${qos} 0 live`]);
        await promisify(execFile)('mosquitto_pub', [...where, '-t', name, '-n', '-r']);
      }
    });
  }
});

describe('one topic, three protocols', () => {
  test('what one of them says all of them hear, and on the wire it is the same bytes of the body', async () => {
    const url = `ws://127.0.0.1:${http.port}/ws`;
    const captured: Buffer[] = [];
    const raw = new WebSocket(url, 'mqtt');
    raw.on('message', (data: Buffer) => captured.push(Buffer.from(data)));
    await once(raw, 'open');
    raw.send(Buffer.from('100d00044d5154540402003c000161', 'hex'));
    await once(raw, 'message');
    raw.send(Buffer.from('820f0001000a7072696365732f65757200', 'hex'));
    await once(raw, 'message');
    captured.length = 0;

    const seen = { graphql: new Mailbox<unknown>(), stomp: new Mailbox<string>(), mqtt: new Mailbox<string>() };
    const graphqlClient = createClient({ url });
    graphqlClient.subscribe(
      { query: 'subscription { price }' },
      { next: ({ data }: { data?: unknown }) => seen.graphql.put(data), error: () => {}, complete: () => {} },
    );
    const stompClient = createStompClient({ url });
    await stompClient.subscribe('/topic/prices/eur', ({ body }) => seen.stomp.put(body));
    const mqttClient = await connect(url, 5);
    mqttClient.on('message', (_name, body) => seen.mqtt.put(body.toString()));
    await mqttClient.subscribeAsync('prices/+');
    while (bus.stats().listeners < 4) await new Promise((resolve) => setTimeout(resolve, 5));

    const said = ['{"price":1}', '{"price":2}', '{"price":3}'];
    await mqttClient.publishAsync('prices/eur', said[0] as string, { qos: 1 });
    await stompClient.publish({
      destination: '/topic/prices/eur',
      body: said[1] as string,
      receipt: true,
    });
    await bus.publish(prices, { price: 3 });
    for (const [index, text] of said.entries()) {
      expect(await seen.mqtt.next()).toBe(text);
      expect(await seen.stomp.next()).toBe(text);
      expect(await seen.graphql.next()).toEqual({ price: index + 1 });
    }
    const wanted = said.map((text) =>
      Buffer.concat([
        Buffer.from([0x30, 12 + text.length, 0, 10]),
        Buffer.from('prices/eur'),
        encodeUtf8(text),
      ]).toString('hex'),
    );
    expect(Buffer.concat(captured).toString('hex')).toBe(wanted.join(''));
    raw.terminate();
    await stompClient.dispose();
    await graphqlClient.dispose();
  });
});
