import { expect, test } from 'vitest';
import { type StompRelayOptions, stompRelay } from '../../../src/stomp/relay/stomp-relay.ts';
import { RelayScene } from '../../support/relay-scene.ts';

const connect = 'CONNECT\naccept-version:1.2\nhost:x\n\n\0';

const wrong: readonly [options: object | undefined, message: RegExp][] = [
  [undefined, /^broker must be an address/],
  [{ broker: [] }, /^broker must be an address/],
  [{ broker: 61_613 }, /^broker must be an address/],
  [{ broker: 'rabbit:61613' }, /^broker must be an address such as stomp:/],
  [{ broker: 'nonsense' }, /^broker must be an address such as stomp:/],
  [{ broker: 'stomp://' }, /^broker must be an address such as stomp:/],
  [{ broker: 'stomp://rabbit/vhost' }, /^broker must be an address such as stomp:/],
  [{ broker: 'stomp://user@rabbit' }, /credentials; give them as login and passcode/],
  [{ broker: 'stomp://rabbit:0' }, /port must be/],
  [{ login: 'a\nb' }, /^login must be text/],
  [{ login: 'a', passcode: 7 }, /^passcode must be text/],
  [{ host: 'a\0' }, /^host must be text/],
  [{ passcode: 'secret' }, /^passcode needs a login/],
  [{ system: 'guest' }, /^system must be \{ login, passcode \}/],
  [{ system: { login: 'a\nb' } }, /^system\.login must be text/],
  [{ system: { user: 'a' } }, /^system has no option "user"/],
  [{ authorize: true }, /^authorize must be a function; got boolean/],
  [{ onError: 'log' }, /^onError must be a function; got string/],
  [
    { autorize: () => false },
    /^stompRelay\(\) has no option "autorize": did you mean "authorize"\? There are: broker, login/,
  ],
  [{ connectTimeout: 0 }, /^connectTimeout must be a number of ms above 0; got 0/],
  [{ connectTimeout: '5' }, /^connectTimeout must be a number of ms above 0; got 5/],
  [{ heartbeat: { outgoing: -1 } }, /^heartbeat\.outgoing must be a whole number/],
  [{ heartbeat: { incoming: 0.5 } }, /^heartbeat\.incoming must be a whole number/],
  [{ brokerHeartbeat: { sending: 1 } }, /^brokerHeartbeat has no option "sending"\. There are: outgoing, incoming/],
  [{ limits: { maxFrames: 1 } }, /^limits\.maxFrames is not a limit/],
  [{ brokerLimits: { maxPayload: 0 } }, /^limits\.maxPayload must be a number above 0/],
];

test.each(wrong)('options that are wrong are named: %j', (options, message) => {
  const all = options && ('broker' in options ? options : { broker: 'stomp://rabbit', ...options });
  expect(() => stompRelay(all as StompRelayOptions)).toThrow(
    expect.objectContaining({ message: expect.stringMatching(message) }),
  );
});

test('addresses may name a port or not, speak TLS or not, and be IPv6', () => {
  const relay = stompRelay({
    broker: ['stomp://rabbit', 'stomps://rabbit:61615', 'stomps://rabbit', 'stomp://[::1]:61613/'],
  });
  expect(relay.names).toEqual(['v12.stomp', 'v11.stomp', 'v10.stomp', 'stomp']);
  expect(relay.acceptsUnnamed).toBe(true);
  expect(relay.available).toBeUndefined();
});

test('stats() tells of clients, those of now and since the start', () => {
  const scene = new RelayScene();
  expect(scene.relay.stats()).toMatchObject({ clients: 0, accepted: 0, refused: 0 });
  const { client } = scene.connected();
  scene.connected();
  expect(scene.relay.stats()).toMatchObject({ clients: 2, accepted: 2, refused: 0 });
  client.socket.receiver?.closed(1006, '');
  expect(scene.relay.stats()).toMatchObject({ clients: 1, accepted: 2, refused: 0 });
});

test('there is one event', () => {
  const { relay } = new RelayScene();
  expect(() => relay.on('availabilty' as 'availability', () => {})).toThrow(/there is availability/);
});

test('[RELAY-16] a listener hears of the broker without any client', () => {
  const scene = new RelayScene();
  const heard: unknown[] = [];
  scene.relay.on('availability', (available, reason) => heard.push([available, reason]));
  scene.transport.last.refuse();
  expect(heard).toEqual([[false, 'connect ECONNREFUSED']]);
  expect(scene.relay.available).toBe(false);
});

test('[RELAY-16] while the broker is known to be away, clients are told at once', () => {
  const scene = new RelayScene();
  const first = scene.client();
  first.say(connect);
  scene.transport.last.refuse();
  expect(first.socket.closing?.code).toBe(1013);
  scene.transport.last.refuse();
  expect(scene.relay.available).toBe(false);
  const { length } = scene.transport.dials;
  const second = scene.client();
  second.say(connect);
  expect(scene.transport.dials).toHaveLength(length);
  expect(second.socket.closing).toEqual({
    code: 1013,
    reason: 'Unavailable: The broker is not available retry within 5000 ms',
  });
  scene.clock.advance(5_000);
  scene.accept();
  expect(scene.relay.available).toBe(true);
  const third = scene.client();
  third.say(connect);
  scene.accept().say('CONNECTED\nversion:1.2\n\n\0');
  expect(third.heard()[0]).toMatch(/^CONNECTED/);
});

test('[RELAY-16] the hint grows with the clients', () => {
  const scene = new RelayScene();
  const clients = Array.from({ length: 6_000 }, () => scene.client());
  for (const each of clients) each.say(connect);
  const client = clients.at(-1);
  scene.transport.last.refuse();
  expect(client?.socket.closing?.reason).toMatch(/retry within 6000 ms$/);
});

test('[RELAY-18] a relay whose endpoint is gone looks for no broker', async () => {
  const scene = new RelayScene();
  scene.relay.on('availability', () => {});
  scene.transport.last.refuse();
  await scene.endpoint.drain();
  scene.clock.advance(60_000);
  expect(scene.transport.dials).toHaveLength(1);
  expect(scene.clock.armed).toBe(0);
});

test('a logger and a listener that throw end nothing', () => {
  const thrower = (): never => {
    throw new Error('logger');
  };
  const scene = new RelayScene({ onError: thrower });
  scene.relay.on('availability', thrower);
  expect(() => scene.transport.last.refuse()).not.toThrow();
  expect(scene.relay.available).toBe(false);
});

test('errors go to the console where nobody asks for them', async () => {
  const errors: unknown[] = [];
  const original = console.error;
  console.error = (...words: unknown[]) => errors.push(words.join(' '));
  try {
    const scene = new RelayScene({ login: 'web', onError: undefined });
    scene.client().say(connect);
    scene.accept().say('ERROR\nmessage:no\n\n\0');
  } finally {
    console.error = original;
  }
  expect(errors).toEqual(['subwire: Error: The broker refused the login of the relay: no']);
});

test('[STOMP-124] a relay counts subscriptions by destination and connections by user', async () => {
  const scene = new RelayScene({ authenticate: ({ login }) => ({ name: login ?? '' }) });
  for (const login of ['ann', 'ann', '__proto__']) {
    const client = scene.client();
    client.say(`CONNECT\naccept-version:1.2\nhost:here\nlogin:${login}\n\n\0`);
    await scene.clock.settle();
    scene.accept().say('CONNECTED\nversion:1.2\n\n\0');
    client.say('SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0');
  }
  const { byDestination, byUser } = scene.relay.stats();
  expect([[...byDestination], [...byUser]]).toEqual([
    [['/topic/a', 3]],
    [
      ['ann', 2],
      ['__proto__', 1],
    ],
  ]);
});
