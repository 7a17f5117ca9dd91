import { expect, test } from 'vitest';
import { RelayScene } from '../../support/relay-scene.ts';

const connect = (more = '', version = '1.2'): string =>
  `CONNECT\naccept-version:${version}\nhost:client.example\n${more}\n\0`;

test('[RELAY-1] the broker is dialled once authenticate has let the client in, for each client anew', async () => {
  const admit: ((admitted: { name: string } | false) => void)[] = [];
  const scene = new RelayScene({ authenticate: () => new Promise((resolve) => admit.push(resolve)) });
  const [one, two] = [scene.client(), scene.client()];
  one.say(connect());
  two.say(connect());
  expect(scene.transport.dials).toEqual([]);
  admit[0]?.({ name: 'alice' });
  admit[1]?.(false);
  await scene.clock.settle();
  expect(scene.transport.dials).toHaveLength(1);
  expect(two.heard()[0]).toMatch(/^ERROR\nmessage:Unauthorized/);
  expect(two.socket.closing?.code).toBe(1008);
  const three = scene.client();
  three.say(connect());
  admit[2]?.({ name: 'alice' });
  await scene.clock.settle();
  expect(scene.transport.dials).toHaveLength(2);
});

test('[RELAY-2] [RELAY-3] the login and host of the relay replace those of the client', () => {
  const scene = new RelayScene({ login: 'web', passcode: 'secret', host: '/app' });
  scene.client().say(connect('login:alice\npasscode:hers\nclient-id:c1\nheart-beat:1,2\nreceipt:no\n'));
  expect(scene.accept().heard()).toEqual([
    'CONNECT\naccept-version:1.2,1.1\nhost:/app\nheart-beat:10000,10000\nlogin:web\npasscode:secret\n\n\0',
  ]);
});

test('[RELAY-23] of other headers of CONNECT only those go on that the application names', () => {
  const scene = new RelayScene({ connectHeaders: ['client-id', 'absent'] });
  scene.client().say(connect('client-id:c1\nreceipt:no\nx-admin:true\n'));
  expect(scene.accept().heard()).toEqual([
    'CONNECT\naccept-version:1.2,1.1\nhost:/\nheart-beat:10000,10000\nclient-id:c1\n\n\0',
  ]);
});

test('[RELAY-23] an application may choose the headers of CONNECT, whatever the client says', async () => {
  const scene = new RelayScene({
    authenticate: () => ({ name: 'ann' }),
    connectHeaders: ({ principal, headers, handshake }) => ({
      'client-id': `${principal?.name}@${handshake.url}`,
      tries: Number(headers.get('tries')) + 1,
      left: undefined,
    }),
  });
  scene.client().say(connect('client-id:bob\ntries:1\nx-admin:true\n'));
  await scene.clock.settle();
  expect(scene.accept().heard()[0]).toMatch(/heart-beat:10000,10000\nclient-id:ann@\/ws\ntries:2\n\n\0$/);
});

test.each([
  ['the name of a login', () => ({ login: 'root' }), /"login" belongs to the protocol/],
  ['what is no object', () => 'client-id' as never, /must be an object/],
])('[RELAY-23] a function that answers %s is a bug of the application', (_what, connectHeaders, words) => {
  const scene = new RelayScene({ connectHeaders });
  const client = scene.client();
  client.say(connect());
  expect(String(scene.reported[0])).toMatch(words);
  expect(client.socket.closing).toBeDefined();
  expect(scene.transport.dials).toEqual([]);
});

test.each([[['host']], [[5]], ['client-id'], [['']]])('[RELAY-23] connectHeaders %j is a TypeError', (given) => {
  expect(() => new RelayScene({ connectHeaders: given as never })).toThrow(/^connectHeaders/);
});

test('[RELAY-2] a relay with a login and no passcode shows an empty one, never that of the client', () => {
  const scene = new RelayScene({ login: 'web' });
  scene.client().say(connect('login:alice\npasscode:hers\n'));
  expect(scene.accept().heard()[0]).toMatch(/\nlogin:web\npasscode:\n\n\0$/);
});

test("[RELAY-2] [RELAY-3] without a login of the relay the broker gets the client's own", () => {
  const scene = new RelayScene();
  scene.client().say(connect('login:alice\npasscode:hers\nodd:a\rb\n'));
  expect(scene.accept().heard()).toEqual([
    'CONNECT\naccept-version:1.2,1.1\nhost:/\nheart-beat:10000,10000\nlogin:alice\npasscode:hers\n\n\0',
  ]);
});

test("[RELAY-2] a refusal of the client's own login goes on, and is final", () => {
  const scene = new RelayScene();
  const client = scene.client();
  client.say(connect('login:alice\npasscode:hers\n'));
  scene.accept().say('ERROR\nmessage:Bad CONNECT\n\nAccess refused\n\0');
  expect(client.heard()).toEqual(['ERROR\nmessage:Bad CONNECT\ncontent-length:15\n\nAccess refused\n\0']);
  expect(client.socket.closing).toEqual({ code: 1008, reason: 'Unauthorized: Bad CONNECT' });
  expect(scene.transport.dials).toHaveLength(1);
});

test("[RELAY-2] a refusal of the relay's login is told to the application, and no other address is tried", () => {
  const scene = new RelayScene({ login: 'web', passcode: 'old' });
  const client = scene.client();
  client.say(connect());
  scene.accept().say('ERROR\nmessage:Bad CONNECT\n\nAccess refused for web\0');
  expect(client.heard()[0]).toMatch(/^ERROR\nmessage:Unavailable, The broker is not available retry within 5000 ms\n/);
  expect(client.socket.closing?.code).toBe(1013);
  expect(String(scene.reported)).toBe(
    'Error: The broker refused the login of the relay: Bad CONNECT Access refused for web',
  );
  scene.clock.advance(60_000);
  expect(scene.transport.dials).toHaveLength(1);
});

test('[RELAY-14] what CONNECTED says goes on, but for what is agreed on each side by itself', () => {
  const scene = new RelayScene({ heartbeat: { outgoing: 3_000, incoming: 4_000 } });
  const client = scene.client();
  client.say(connect('heart-beat:0,0\n', '1.1,1.2'));
  scene.accept().say('CONNECTED\nversion:1.1\nserver:Broker/1\nsession:s\nheart-beat:5,5\nodd:a\rb\n\n\0');
  expect(client.heard()).toEqual(['CONNECTED\nversion:1.2\nheart-beat:3000,4000\nserver:Broker/1\nsession:s\n\n\0']);
});

test('[RELAY-4] a broker that speaks neither 1.2 nor 1.1 is no broker for us', () => {
  const scene = new RelayScene();
  const client = scene.client();
  client.say(connect('', '1.0'));
  scene.accept().say('CONNECTED\nsession:s\n\n\0');
  expect(client.socket.closing?.code).toBe(1013);
  expect(String(scene.reported)).toMatch(/STOMP 1\.0 was not offered/);
  expect(scene.relay.available).toBeUndefined();
});

test('[RELAY-5] addresses are tried in turn until one says CONNECTED; the next client begins there', () => {
  const tried: string[] = [];
  const scene = new RelayScene();
  const address =
    (name: string) =>
    (...args: Parameters<typeof scene.transport.transport>) => {
      tried.push(name);
      return scene.transport.transport(...args);
    };
  const several = new RelayScene({ broker: [address('a'), address('b'), address('c')], connectTimeout: 2_000 });
  const client = several.client();
  client.say(connect());
  scene.transport.last.refuse();
  several.clock.advance(10);
  expect(tried).toEqual(['a', 'b']);
  // This one opens and stays silent.
  const silent = scene.transport.last.open('', false);
  several.clock.advance(2_100);
  expect(silent.terminated).toBe(true);
  expect(tried).toEqual(['a', 'b', 'c']);
  several.accept(scene.transport.last).say('CONNECTED\nversion:1.2\n\n\0');
  expect(client.heard()[0]).toMatch(/^CONNECTED/);
  several.client().say(connect());
  expect(tried).toEqual(['a', 'b', 'c', 'c']);
  scene.transport.last.refuse();
  several.clock.advance(10);
  scene.transport.last.refuse();
  several.clock.advance(10);
  expect(tried).toEqual(['a', 'b', 'c', 'c', 'a', 'b']);
});

test('[RELAY-6] beats are agreed with the broker apart from those with the client', () => {
  const scene = new RelayScene({ brokerHeartbeat: { outgoing: 2_000, incoming: 3_000 } });
  const { broker, client } = scene.connected({ brokerHeaders: 'heart-beat:1000,1000\n', answersClose: false });
  scene.clock.advance(1_600);
  expect(broker.socket.take()).toEqual(['\n']);
  expect(client.socket.take()).toEqual([]);
  broker.say('\n');
  scene.clock.advance(6_200);
  expect(client.socket.closing).toBeUndefined();
  scene.clock.advance(200);
  expect(broker.socket.terminated).toBe(true);
  expect(client.socket.closing?.code).toBe(1013);
});

test('[RELAY-6] a broker that is not read for a while still gets its beats, and is not taken for dead', () => {
  const scene = new RelayScene({
    brokerHeartbeat: { outgoing: 2_000, incoming: 2_000 },
    connection: { highWaterMark: 1_000 },
  });
  const { broker, client } = scene.connected({ brokerHeaders: 'heart-beat:2000,2000\n' });
  client.say('SUBSCRIBE\nid:1\ndestination:/a\n\n\0');
  broker.heard();
  client.socket.bufferedAmount = 600;
  broker.say('MESSAGE\nsubscription:1\nmessage-id:1\ndestination:/a\n\n\0');
  expect(broker.socket.paused).toBe(true);
  scene.clock.advance(8_100);
  expect(broker.socket.take()).toEqual(['\n', '\n', '\n', '\n', '\n']);
  expect(broker.socket.terminated).toBe(false);
});

test('[RELAY-12] the code of an ERROR says whether it is worth coming back', () => {
  const codeOf = (error: string): number | undefined => {
    const { client, broker } = new RelayScene().connected();
    broker.say(`ERROR\nmessage:${error}\n\n\0`);
    expect(client.heard()).toEqual([`ERROR\nmessage:${error}\n\n\0`]);
    return client.socket.closing?.code;
  };
  expect(codeOf('access_refused')).toBe(1008);
  expect(codeOf('User alice is not authorized to read from queue')).toBe(1008);
  expect(codeOf('connection_forced')).toBe(1013);
  expect(codeOf('precondition_failed')).toBe(1002);
});

test('[RELAY-12] [RELAY-19] the ERROR names the receipt as the client did', () => {
  const { client, broker } = new RelayScene().connected();
  client.say('SEND\ndestination:/a\nreceipt:mine\n\n\0SEND\ndestination:/a\nreceipt:other\n\n\0');
  broker.say('ERROR\nmessage:no\nreceipt-id:1\n\n\0');
  expect(client.heard()).toEqual(['ERROR\nmessage:no\nreceipt-id:mine\n\n\0']);
  const another = new RelayScene().connected();
  another.client.say('SEND\ndestination:/a\nreceipt:mine\n\n\0');
  another.broker.say('ERROR\nmessage:no\nreceipt-id:unknown\n\n\0');
  expect(another.client.heard()).toEqual(['ERROR\nmessage:no\n\n\0']);
});

test('[RELAY-16] the loss of the broker ends its client with a hint when to come back', () => {
  const scene = new RelayScene();
  const { client, broker } = scene.connected();
  broker.socket.hangUp(1006);
  expect(client.heard()[0]).toMatch(/^ERROR\nmessage:Unavailable/);
  expect(client.socket.closing).toEqual({
    code: 1013,
    reason: 'Unavailable: The broker is not available retry within 5000 ms',
  });
});

test('[RELAY-16] what the broker says wrong is told to the application', () => {
  const scene = new RelayScene();
  const { client, broker } = scene.connected({ answersClose: false });
  broker.say('MESSAGE\nno colon\n\n\0');
  expect(client.socket.closing?.code).toBe(1013);
  expect(String(scene.reported)).toMatch(/The connection to the broker was given up: .*colon/);
  expect(broker.socket.terminated).toBe(true);
});

test('[RELAY-18] a client that is lost takes its connection to the broker with it', () => {
  const { client, broker } = new RelayScene().connected();
  client.socket.hangUp(1006);
  expect(broker.heard()).toEqual(['DISCONNECT\n\n\0']);
  expect(broker.socket.closing?.code).toBe(1000);
});

test('[RELAY-18] a client that goes while the broker is dialled leaves nothing behind', () => {
  const scene = new RelayScene();
  const client = scene.client();
  client.say(connect());
  client.socket.hangUp(1006);
  expect(scene.transport.last.abandoned).toBe(true);
  const waiting = scene.client();
  waiting.say(connect());
  const broker = scene.accept();
  waiting.socket.hangUp(1006);
  expect(broker.heard()).toEqual(['CONNECT\naccept-version:1.2,1.1\nhost:/\nheart-beat:10000,10000\n\n\0']);
  expect(broker.socket.closing?.code).toBe(1000);
});

test('[RELAY-18] a client that is lost after its DISCONNECT sends no second one', () => {
  const { client, broker } = new RelayScene().connected();
  client.say('DISCONNECT\nreceipt:r\n\n\0');
  client.socket.hangUp(1006);
  expect(broker.heard()).toEqual(['DISCONNECT\nreceipt:1\n\n\0']);
  expect(broker.socket.closing?.code).toBe(1000);
});

test('[RELAY-18] a DISCONNECT whose connection breaks is no receipt that failed', () => {
  const { client, broker } = new RelayScene().connected();
  client.say('SEND\ndestination:/a\nreceipt:r\n\n\0');
  broker.socket.hangUp(1006);
  expect(client.heard()[0]).not.toMatch(/receipt-id/);
});

test('[RELAY-7] [RELAY-19] receipts come back, ACKs go on, and a broker that was full is told when it is not', () => {
  const { client, broker } = new RelayScene({ brokerLimits: { highWaterMark: 1_000 } }).connected();
  client.say('SUBSCRIBE\nid:1\ndestination:/a\nack:client\nreceipt:r\n\n\0');
  broker.say('RECEIPT\nreceipt-id:1\n\n\0MESSAGE\nsubscription:1\nmessage-id:m\nack:A\ndestination:/a\n\n\0');
  expect(client.heard()[0]).toBe('RECEIPT\nreceipt-id:r\n\n\0');
  broker.heard();
  broker.socket.bufferedAmount = 600;
  client.say('ACK\nid:1\n\n\0SEND\ndestination:/a\n\n\0');
  expect(broker.heard()).toEqual(['ACK\nid:A\n\n\0']);
  broker.socket.bufferedAmount = 0;
  broker.socket.receiver?.drained();
  expect(broker.heard()).toEqual(['SEND\ndestination:/a\n\n\0']);
});

test('[RELAY-13] the broker is asked for the receipt of DISCONNECT, or closes', () => {
  const one = new RelayScene().connected();
  one.client.say('DISCONNECT\nreceipt:r\n\n\0');
  one.broker.say('RECEIPT\nreceipt-id:1\n\n\0');
  expect(one.client.heard()).toEqual(['RECEIPT\nreceipt-id:r\n\n\0']);
  const other = new RelayScene().connected();
  other.client.say('DISCONNECT\nreceipt:r\n\n\0');
  other.broker.socket.hangUp(1000);
  expect(other.client.heard()).toEqual(['RECEIPT\nreceipt-id:r\n\n\0']);
});

test('[RELAY-7] a client that reads slowly holds back its broker, and lets go', () => {
  const { client, broker } = new RelayScene({ connection: { highWaterMark: 1_000 } }).connected();
  client.say('SUBSCRIBE\nid:1\ndestination:/a\n\n\0');
  client.socket.bufferedAmount = 600;
  broker.say('MESSAGE\nsubscription:1\nmessage-id:m\ndestination:/a\n\n\0');
  expect(broker.socket.paused).toBe(true);
  client.socket.bufferedAmount = 0;
  client.socket.receiver?.drained();
  expect(broker.socket.paused).toBe(false);
});
