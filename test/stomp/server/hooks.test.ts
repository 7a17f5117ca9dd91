import { describe, expect, test } from 'vitest';
import { RelayScene } from '../../support/relay-scene.ts';
import { createStompDesk, type StompDeskOptions, type StompPeer } from '../../support/stomp-desk.ts';

const authenticate: StompDeskOptions['authenticate'] = ({ login }) => ({ name: login });

/** Hooks that write down what they are told. */
function recorder() {
  const told: string[] = [];
  const tell =
    (name: string) =>
    ({ principal, destination, code }: Record<string, unknown>): void => {
      const who = (principal as { readonly name?: string } | undefined)?.name ?? 'nobody';
      told.push([name, who, destination ?? code].filter((each) => each !== undefined).join(' '));
    };
  const hooks = {
    onConnect: tell('connect') as never,
    onDisconnect: tell('disconnect') as never,
    onSubscribed: tell('subscribed') as never,
    onUnsubscribed: tell('unsubscribed') as never,
  };
  return { told, hooks };
}

describe('[STOMP-99] presence', () => {
  test.each<[string, (peer: StompPeer) => unknown, string]>([
    ['DISCONNECT', (peer) => peer.send('DISCONNECT'), '1000'],
    ['a loss', (peer) => peer.socket.hangUp(), '1006'],
    ['a fault', (peer) => peer.send('SHOUT'), '1002'],
    ['the server', (peer) => peer.connection.leave('', false), '1001'],
  ])('%s: each hook is called once', async (_, end) => {
    const { told, hooks } = recorder();
    const { open, clock } = createStompDesk({ authenticate, ...hooks });
    const peer = await open().connect('1.2', { login: 'ann' });
    for (const [id, destination] of Object.entries({ t: '/topic/a', q: '/queue/a', u: '/user/queue/a' })) {
      await peer.send('SUBSCRIBE', { id, destination, ack: 'client' });
    }
    await peer.send('UNSUBSCRIBE', { id: 't' });
    await end(peer);
    peer.connection.closed(1006, '');
    await clock.settle();
    expect(told.slice(0, 5)).toEqual([
      'connect ann',
      'subscribed ann /topic/a',
      'subscribed ann /queue/a',
      'subscribed ann /user/queue/a',
      'unsubscribed ann /topic/a',
    ]);
    expect(told.slice(5).map((each) => each.replace(/ \d+$/, ''))).toEqual([
      'unsubscribed ann /queue/a',
      'unsubscribed ann /user/queue/a',
      'disconnect ann',
    ]);
  });

  test('who was not let in was never there', async () => {
    const { told, hooks } = recorder();
    const { open } = createStompDesk({ authenticate: () => false, ...hooks });
    const peer = open();
    await peer.send('CONNECT', { 'accept-version': '1.2', host: 'a' });
    peer.connection.closed(1006, '');
    expect(told).toEqual([]);
  });

  test('a hook that throws or rejects is reported, and changes nothing', async () => {
    const bad = (): never => {
      throw new Error('thrown');
    };
    const { open, broker } = createStompDesk({
      onConnect: bad,
      onSubscribed: () => Promise.reject(new Error('rejected')),
      onUnsubscribed: bad,
    });
    const peer = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/a', receipt: 's' });
    await broker.send('/topic/a', 'x');
    await peer.send('UNSUBSCRIBE', { id: '0', receipt: 'u' });
    expect(peer.brief()).toEqual(['RECEIPT s', 'MESSAGE x', 'RECEIPT u']);
    expect(peer.reported.map(String)).toEqual(['Error: thrown', 'Error: rejected', 'Error: thrown']);
  });

  test('behind a relay as well', () => {
    const { told, hooks } = recorder();
    const { client } = new RelayScene(hooks).connected();
    client.say('SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0SUBSCRIBE\nid:2\ndestination:/queue/b\n\n\0');
    client.say('UNSUBSCRIBE\nid:1\n\n\0');
    client.socket.receiver?.closed(1006, '');
    expect(told).toEqual([
      'connect nobody',
      'subscribed nobody /queue/a',
      'subscribed nobody /queue/b',
      'unsubscribed nobody /queue/a',
      'unsubscribed nobody /queue/b',
      'disconnect nobody 1006',
    ]);
  });
});

describe('[STOMP-98] rewrite', () => {
  const rewrite: StompDeskOptions['rewrite'] = ({ principal, text }) => ({
    headers: { from: principal?.name ?? 'nobody', admin: undefined, count: 1 },
    body: `${text()}!`,
    contentType: 'text/x-loud',
  });

  test.each([
    ['at once', rewrite],
    ['later', ((request) => Promise.resolve(rewrite(request))) as typeof rewrite],
  ])('stamps and strips, %s, wherever the message goes', async (_, hook) => {
    const { open } = createStompDesk({
      authenticate,
      rewrite: hook,
      onSend: ({ headers, text }) => ({ body: `${headers.get('from')} ${text()}`, destination: '/topic/app' }),
    });
    const peer = await open().connect('1.2', { login: 'ann' });
    for (const destination of ['/topic/a', '/queue/a', '/topic/app']) {
      await peer.send('SUBSCRIBE', { id: destination, destination });
    }
    const forged = { from: 'bob', admin: 'true', kept: '1', 'content-type': 'text/plain' };
    for (const destination of ['/topic/a', '/queue/a', '/app/a'])
      await peer.send('SEND', { destination, ...forged }, 'hi');
    await peer.send('BEGIN', { transaction: 't' });
    await peer.send('SEND', { destination: '/topic/a', transaction: 't', ...forged }, 'later');
    await peer.send('COMMIT', { transaction: 't' });
    const messages = peer.take();
    expect(messages.map(({ body }) => body)).toEqual(['hi!', 'hi!', 'ann hi!', 'later!']);
    for (const { headers } of [messages[0]!, messages[1]!, messages[3]!]) {
      expect(headers).toMatchObject({ from: 'ann', kept: '1', count: '1', 'content-type': 'text/x-loud' });
      expect(headers).not.toHaveProperty('admin');
    }
  });

  test('the same behind a relay, where nothing that a hook does to its copy goes on', () => {
    const { client, broker } = new RelayScene({
      authorize: ({ headers }) => {
        (headers as Map<string, string>).set('by', 'accident');
        return true;
      },
      rewrite: () => ({ headers: { from: 'ann' }, body: 'other' }),
    }).connected();
    client.say('SEND\ndestination:/queue/a\nfrom:bob\ncontent-length:2\n\nhi\0');
    expect(broker.heard()).toEqual(['SEND\ndestination:/queue/a\nfrom:ann\ncontent-length:5\n\nother\0']);
  });

  test.each([
    [{ headers: { 'message-id': '1' } }, 'header "message-id" belongs to the protocol'],
    [{ headers: { receipt: undefined } }, 'header "receipt" belongs to the protocol'],
    [{ headers: { a: {} } }, 'header "a" must be text'],
    [{ body: {} }, 'body must be text'],
    ['text', 'must be an object'],
    [[], 'must be an object'],
    [new Error('no'), 'must be an object'],
  ])('%j is a bug of the hook, and nothing is sent', async (answer, words) => {
    const { open, broker } = createStompDesk({ rewrite: () => answer as never });
    const peer = await open().connect();
    await peer.send('SEND', { destination: '/queue/a', receipt: 'r' }, 'x');
    expect([peer.closed?.code, broker.stats().queued]).toEqual([1011, 0]);
    expect(String(peer.reported[0])).toContain(words);
  });
});

describe('[STOMP-126] onFrame', () => {
  test('sees what comes and goes in the version of the client, without what is secret', async () => {
    const seen: unknown[] = [];
    const { open, broker } = createStompDesk({
      onFrame: ({ direction, command, headers, body, session }) => {
        const shown = ['passcode', 'Authorization', 'x-token', 'a:b', 'receipt-id', 'message'];
        const given = shown.map((name) => headers.get(name)).filter((value) => value !== undefined);
        expect(session).toMatch(/./);
        seen.push([direction, command, ...given, body]);
        throw new Error('a log that is full');
      },
    });
    const peer = await open().connect('1.1', {
      login: 'ann',
      passcode: 'one',
      Authorization: 'two',
      'x-token': 'three',
    });
    await peer.send('SUBSCRIBE', { id: 's', destination: '/topic/a', receipt: 'r' });
    await broker.send('/topic/a', 'hello', { headers: { 'a:b': 'c\n' } });
    await peer.raw('\n\n');
    await peer.send('SHOUT');
    expect(seen).toEqual([
      ['received', 'CONNECT', '…', '…', '…', ''],
      ['sent', 'CONNECTED', ''],
      ['received', 'SUBSCRIBE', ''],
      ['sent', 'RECEIPT', 'r', ''],
      ['sent', 'MESSAGE', 'c\n', 'hello'],
      ['received', 'SHOUT', ''],
      ['sent', 'ERROR', expect.stringContaining('SHOUT'), expect.any(String)],
    ]);
    expect(peer.reported).toHaveLength(seen.length);
    expect(peer.brief()).toEqual(['RECEIPT r', 'MESSAGE hello', expect.stringMatching(/^ERROR/)]);
  });

  test('one that rejects is reported, and rejects nowhere else', async () => {
    const { open } = createStompDesk({ onFrame: (async () => Promise.reject(new Error('full'))) as never });
    const peer = await open().connect();
    expect(peer.reported.map(String)).toEqual(['Error: full', 'Error: full']);
  });

  test('the same at a relay', () => {
    const seen: string[] = [];
    const scene = new RelayScene({ onFrame: ({ direction, command }) => void seen.push(`${direction} ${command}`) });
    const { client, broker } = scene.connected();
    client.say('SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0');
    broker.heard();
    broker.say('MESSAGE\nsubscription:1\nmessage-id:1\ndestination:/topic/a\n\nhello\0');
    expect(seen).toEqual(['received CONNECT', 'sent CONNECTED', 'received SUBSCRIBE', 'sent MESSAGE']);
  });

  test('it must be a function', () => {
    expect(() => createStompDesk({ onFrame: true as never })).toThrow(/^onFrame must be a function/);
  });
});

describe('[STOMP-125] a hidden tab that answers pings and beats once a minute', () => {
  const limits = { pingInterval: 25_000, pongTimeout: 10_000 };

  test.each([
    [true, limits, undefined],
    [false, limits, 4000],
    // Nobody pings: beats are all that there is.
    [true, { pingInterval: Number.POSITIVE_INFINITY }, 4000],
  ])('spring: %s with %j', async (spring, connection, code) => {
    const { open, clock } = createStompDesk({ spring, connection });
    const peer = await open().connect('1.2', { 'heart-beat': '10000,0' });
    for (let second = 0; second < 300; second++) {
      const { pings } = peer.socket;
      clock.advance(1_000);
      if (peer.socket.pings > pings) peer.connection.ponged();
      if (second % 60 === 59 && !peer.closed) await peer.raw('\n');
    }
    expect(peer.closed?.code).toBe(code);
  });

  test('one that answers nothing is cut', async () => {
    const { open, clock } = createStompDesk({ spring: true, connection: limits });
    const peer = await open().connect('1.2', { 'heart-beat': '10000,0' });
    clock.advance(36_000);
    expect(peer.closed?.code).toBe(4000);
  });
});
