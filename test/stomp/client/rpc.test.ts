import { describe, expect, test } from 'vitest';
import { createRpc, serveRpc } from '../../../src/stomp/client/rpc.ts';
import { setup } from '../../support/stomp-client-desk.ts';

const caught = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'resolved',
    (error) => error,
  );

describe('requests', () => {
  test('a request says where to reply, and its reply is found by the correlation-id', async () => {
    const { client, online } = setup();
    const peer = await online();
    const rpc = createRpc(client, { replyTo: '/temp-queue/mine' });
    const id = peer.take()[0]?.headers.get('id') as string;
    const [first, second] = [
      rpc.request({ destination: '/queue/time', body: 'UTC', headers: { zone: 'z' } }),
      rpc.request({ destination: '/queue/time' }),
    ];
    const sent = peer.take().map(({ headers }) => headers);
    expect(Object.fromEntries(sent[0]!)).toMatchObject({
      destination: '/queue/time',
      'reply-to': '/temp-queue/mine',
      zone: 'z',
    });
    const [one, two] = sent.map((headers) => headers.get('correlation-id') as string);
    peer.say('MESSAGE', { subscription: id, 'correlation-id': 'unknown' }, 'no');
    peer.say('MESSAGE', { subscription: id }, 'no');
    peer.say('MESSAGE', { subscription: id, 'correlation-id': two! }, 'second');
    peer.say('MESSAGE', { subscription: id, 'correlation-id': one! }, 'first');
    expect([(await first).body, (await second).body]).toEqual(['first', 'second']);
    rpc.dispose();
    expect(peer.lines()).toEqual([`UNSUBSCRIBE id:${id}`]);
  });

  test('replies to a subscription that the broker made by itself are taken', async () => {
    const { client, online } = setup();
    const peer = await online();
    const rpc = createRpc(client, { subscribe: false, timeout: Number.POSITIVE_INFINITY });
    const reply = rpc.request({ destination: '/queue/time' });
    const [sent] = peer.take();
    expect(sent?.command).toBe('SEND');
    expect(sent?.headers.get('reply-to')).toMatch(/^\/temp-queue\//);
    peer.say(
      'MESSAGE',
      { subscription: '/temp-queue/x', 'correlation-id': sent!.headers.get('correlation-id')! },
      'now',
    );
    expect((await reply).body).toBe('now');
    rpc.dispose();
  });

  test('replies of two rpcs of one client, and of one that is gone, cannot meet', async () => {
    const { client, online } = setup();
    const peer = await online();
    const rpcs = [createRpc(client, { subscribe: false }), createRpc(client, { subscribe: false })] as const;
    const replies = rpcs.map((rpc) => rpc.request({ destination: '/queue/time' }));
    const [first, second] = peer.take().map(({ headers }) => headers.get('correlation-id') as string);
    expect(first).not.toBe(second);
    peer.say('MESSAGE', { subscription: '/temp-queue/x', 'correlation-id': second! }, 'second');
    peer.say('MESSAGE', { subscription: '/temp-queue/x', 'correlation-id': first! }, 'first');
    expect((await Promise.all(replies)).map(({ body }) => body)).toEqual(['first', 'second']);
    for (const rpc of rpcs) rpc.dispose();
  });

  test('with RabbitMQ it subscribes to no /temp-queue: the broker does, and would refuse ours', async () => {
    for (const early of [true, false]) {
      const { client, accept, online } = setup();
      const headers = { version: '1.2', server: 'RabbitMQ/3.13.0' };
      const made = early ? undefined : await online(headers);
      const rpc = createRpc(client);
      const reply = rpc.request({ destination: '/queue/time' });
      const peer = made ?? (await accept(headers));
      const [sent, ...more] = peer.take();
      expect([sent?.command, more]).toEqual(['SEND', []]);
      const correlation = sent?.headers.get('correlation-id') as string;
      peer.say('MESSAGE', { subscription: '/temp-queue/x', 'correlation-id': correlation }, 'now');
      expect((await reply).body).toBe('now');
      rpc.dispose();
    }
  });

  test('it waits for the server before it decides, and subscribes before it asks', async () => {
    const { client, accept } = setup();
    const rpc = createRpc(client, { replyTo: '/temp-queue/mine' });
    const reply = caught(rpc.request({ destination: '/queue/time' }));
    const peer = await accept();
    expect(peer.lines().map((line) => line.split(' ')[0])).toEqual(['SUBSCRIBE', 'SEND']);
    rpc.dispose();
    expect(await reply).toMatchObject({ message: 'The rpc was disposed' });
  });

  test('a subscription that was asked for and is refused is said to the requests', async () => {
    const { client, online, back } = setup({ warn: false, onError: () => {} });
    const peer = await online();
    const rpc = createRpc(client, { replyTo: '/queue/closed', subscribe: true });
    peer.say('ERROR', { message: 'Forbidden', 'receipt-id': peer.take()[0]?.headers.get('receipt') as string });
    await back();
    expect(await caught(rpc.request({ destination: '/queue/time' }))).toMatchObject({
      message: 'The server refused the subscription to /queue/closed',
      cause: { message: 'Forbidden' },
    });
    expect(() => createRpc(client, { replyto: '/a' } as object)).toThrow(/did you mean "replyTo"/);
  });

  test('a request fails when the connection is lost, it is stopped, cannot be sent, or the rpc is disposed', async () => {
    const { client, online, back } = setup();
    let peer = await online();
    const rpc = createRpc(client);
    const lost = caught(rpc.request({ destination: '/queue/time' }));
    peer.socket.hangUp(1006);
    expect(await lost).toMatchObject({ name: 'ConnectionLost' });
    peer = await back();
    const stop = new AbortController();
    const stopped = caught(rpc.request({ destination: '/queue/time', signal: stop.signal }));
    stop.abort(new Error('enough'));
    expect(await stopped).toMatchObject({ message: 'enough' });
    const bad = caught(rpc.request({ destination: '/queue/time', headers: { '': 'x' } }));
    expect(await bad).toMatchObject({ name: 'TypeError' });
    const disposed = caught(rpc.request({ destination: '/queue/time' }));
    rpc.dispose();
    expect(await disposed).toMatchObject({ message: 'The rpc was disposed' });
  });

  test('what was rejected is not sent any more', async () => {
    const { client, online, back } = setup();
    let peer = await online();
    const rpc = createRpc(client, { replyTo: '/temp-queue/mine' });
    peer.socket.hangUp(1006);
    const lost = caught(rpc.request({ destination: '/app/charge-card' }));
    rpc.dispose();
    expect(await lost).toMatchObject({ message: 'The rpc was disposed' });
    peer = await back();
    expect(peer.lines().filter((line) => line.startsWith('SEND'))).toEqual([]);
  });

  test('a reply may take only so long', async () => {
    const { client, online } = setup();
    await online();
    const rpc = createRpc(client, { timeout: 5 });
    expect(await caught(rpc.request({ destination: '/queue/time' }))).toMatchObject({ name: 'TimeoutError' });
    expect(() => createRpc(client, { timeout: 0 })).toThrow(/timeout/);
    rpc.dispose();
  });
});

describe('serving', () => {
  test('what the handler returns goes to where the request wants it', async () => {
    const { client, online, clock } = setup();
    const peer = await online();
    const problems: unknown[] = [];
    const stop = serveRpc(
      client,
      '/queue/time',
      ({ body }) => {
        if (body === 'bad') throw new Error('mine');
        return body === 'long' ? { body: 'parts', headers: { k: 'v' } } : `echo ${body}`;
      },
      (error) => problems.push(error),
    );
    const id = peer.take()[0]?.headers.get('id') as string;
    const request = { subscription: id, destination: '/queue/time', 'reply-to': '/temp-queue/x' };
    peer.say('MESSAGE', { ...request, 'correlation-id': '7' }, 'a');
    peer.say('MESSAGE', request, 'long');
    peer.say('MESSAGE', request, 'bad');
    peer.say('MESSAGE', { subscription: id, destination: '/queue/time' }, 'nowhere to reply');
    await clock.settle();
    expect(peer.lines()).toEqual([
      'SEND destination:/temp-queue/x correlation-id:7 content-length:6',
      'SEND destination:/temp-queue/x k:v content-length:5',
    ]);
    expect(problems).toEqual([expect.objectContaining({ message: 'mine' })]);
    stop();
    expect(peer.lines()).toEqual([`UNSUBSCRIBE id:${id}`]);
  });

  test('a reply that is none goes to onError, and nothing is sent', async () => {
    const { client, online, clock } = setup({ warn: false, onError: () => {} });
    const peer = await online();
    const problems: unknown[] = [];
    const replies: unknown[] = [5, undefined, { a: 1 }, new ArrayBuffer(1)];
    serveRpc(
      client,
      '/queue/time',
      () => replies.shift() as string,
      (error) => problems.push(String(error)),
    );
    peer.take();
    for (let count = 0; count < 4; count++) {
      peer.say('MESSAGE', { subscription: 'subscription-0', destination: '/queue/time', 'reply-to': '/temp-queue/x' });
    }
    await clock.settle();
    expect(problems).toEqual([
      'TypeError: body must be text or bytes; got a number: make it text',
      'TypeError: body must be text or bytes; got null: make it text',
      'TypeError: body must be text or bytes; got an object: JSON.stringify it',
    ]);
    expect(peer.take().map(({ body }) => [...body])).toEqual([[0]]);
  });
});
