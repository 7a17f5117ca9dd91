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
