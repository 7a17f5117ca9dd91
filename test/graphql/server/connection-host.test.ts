import { describe, expect, test, vi } from 'vitest';
import type { Principal } from '../../../src/core/subprotocol.ts';
import type { GraphqlContext } from '../../../src/graphql/server/options.ts';
import { serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema } from '../../support/graphql-schema.ts';

const data = (id: string, value: unknown) => ({ id, type: 'next', payload: { data: value } });
const complete = (id: string) => ({ id, type: 'complete' });
/** JSON that can be read, and is too deep to be written by `JSON.stringify`. */
const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`;

describe('hooks of a connection', () => {
  test('[GQL-11] what onConnect leaves in the context is there for later hooks', async () => {
    const { schema } = createTestSchema();
    const { connect } = serveGraphql<Record<string, unknown>, { user?: unknown }>({
      schema,
      onConnect(context) {
        context.extra.user = context.connectionParams?.['user'];
        expect(context).toMatchObject({ connectionInitReceived: true, acknowledged: false });
        return true;
      },
      context: ({ extra }) => ({ name: extra.user }),
    });
    const peer = connect({ acknowledged: false });
    peer.send({ type: 'connection_init', payload: { user: 'ann' } });
    expect(await peer.take()).toEqual([{ type: 'connection_ack' }]);
    peer.subscribe('1', '{ me }');
    expect(await peer.take()).toEqual([data('1', { me: 'ann' }), complete('1')]);
  });

  test('[GQL-10] [GQL-20] a second connection_init while onConnect is pending: its answer comes to nothing', async () => {
    let admit = (_: boolean): void => {};
    const onDisconnect = vi.fn();
    const onClose = vi.fn();
    const { connect } = serveGraphql({
      schema: createTestSchema().schema,
      onConnect: () => new Promise<boolean>((resolve) => (admit = resolve)),
      onDisconnect,
      onClose,
    });
    const peer = connect({ acknowledged: false });
    peer.send({ type: 'connection_init' });
    peer.send({ type: 'connection_init' });
    admit(true);
    expect(await peer.take()).toEqual([]);
    expect(peer.socket.closing).toEqual({ code: 4429, reason: 'Too many initialisation requests' });
    expect(onDisconnect).not.toHaveBeenCalled();
    expect(onClose).toHaveBeenCalledWith(expect.anything(), 4429, 'Too many initialisation requests');
  });

  test('onDisconnect that throws does not keep onClose from being told', async () => {
    const onClose = vi.fn();
    const server = serveGraphql({
      schema: createTestSchema().schema,
      onDisconnect: () => Promise.reject(new Error('a bug')),
      onClose,
    });
    const peer = server.connect();
    peer.socket.hangUp(1001, 'bye');
    await peer.take();
    expect(server.errors).toEqual([new Error('a bug')]);
    expect(onClose).toHaveBeenCalledWith(expect.anything(), 1001, 'bye');
  });

  test('[GQL-30] a hook that fails after its operation or its connection is gone is reported all the same', async () => {
    const { schema } = createTestSchema();
    let fail = (_: Error): void => {};
    const server = serveGraphql({ schema, onSubscribe: () => new Promise((_, reject) => (fail = reject)) });
    const peer = server.connect();
    peer.subscribe('1', '{ hello }');
    peer.complete('1');
    fail(new Error('first'));
    await peer.take();
    expect(peer.socket.closing).toBeUndefined();
    peer.subscribe('2', '{ hello }');
    peer.socket.hangUp();
    fail(new Error('second'));
    await peer.take();
    expect(server.errors).toEqual([new Error('first'), new Error('second')]);
  });

  test.each(['onSubscribe', 'context', 'schema'] as const)(
    '[GQL-20] nothing is executed when the connection was closed within %s',
    async (hook) => {
      const { schema } = createTestSchema();
      const execute = vi.fn(() => ({ data: {} }));
      const leave = (): undefined => peer.socket.hangUp(4400, 'kicked') as undefined;
      const server = serveGraphql({
        schema,
        execute,
        [hook]: () => {
          leave();
          return hook === 'schema' ? schema : undefined;
        },
      });
      const peer = server.connect();
      peer.subscribe('1', '{ hello }');
      await peer.take();
      expect(execute).not.toHaveBeenCalled();
      expect(server.errors).toEqual([]);
    },
  );
});

describe('pings', () => {
  test('[GQL-16] [GQL-3] a payload that is too deep to be written back is malformed, and no bug of ours', async () => {
    const server = serveGraphql({
      schema: createTestSchema().schema,
      // As `JSON.stringify` does where it calls itself for each level; newer runtimes take any depth.
      jsonMessageReplacer() {
        throw new RangeError('Maximum call stack size exceeded');
      },
    });
    const peer = server.connect({ acknowledged: false });
    peer.send({ type: 'ping', payload: { deep: true } });
    await peer.take();
    expect(peer.socket.closing?.code).toBe(4400);
    expect(server.errors).toEqual([]);
  });

  test('[GQL-16] [GQL-3] a payload of any depth gets its pong, or is malformed', async () => {
    const server = serveGraphql({ schema: createTestSchema().schema });
    const peer = server.connect();
    peer.socket.receiver?.received(`{"type":"ping","payload":${deep}}`);
    const answered = (await peer.take()).length === 1;
    expect(peer.socket.closing?.code).toBe(answered ? undefined : 4400);
    expect(server.errors).toEqual([]);
  });

  test('[GQL-16] what a reviver made of the payload, the replacer takes back', async () => {
    const peer = serveGraphql({
      schema: createTestSchema().schema,
      jsonMessageReviver: (_, value) => (typeof value === 'number' ? BigInt(value) : value),
      jsonMessageReplacer: (_, value) => (typeof value === 'bigint' ? Number(value) : value),
    }).connect({ acknowledged: false });
    peer.send({ type: 'ping', payload: { at: 7 } });
    expect(await peer.take()).toEqual([{ type: 'pong', payload: { at: 7 } }]);
  });

  test('[GQL-16] [GQL-30] a replacer that throws is a bug of the application', async () => {
    const server = serveGraphql({
      schema: createTestSchema().schema,
      isProd: false,
      jsonMessageReplacer() {
        throw new Error('a bug');
      },
    });
    const peer = server.connect({ acknowledged: false });
    peer.send({ type: 'ping', payload: {} });
    await peer.take();
    expect(peer.socket.closing).toEqual({ code: 4500, reason: 'a bug' });
  });

  test('[GQL-16] an asynchronous onPing delays the pong of its own connection only, and not past the end', async () => {
    const waiting: (() => void)[] = [];
    const { connect } = serveGraphql({
      schema: createTestSchema().schema,
      onPing: () => new Promise<void>((resolve) => waiting.push(resolve)),
    });
    const peer = connect();
    peer.send({ type: 'ping', payload: { first: true } });
    expect(await peer.take()).toEqual([]);
    waiting.shift()?.();
    expect(await peer.take()).toEqual([{ type: 'pong', payload: { first: true } }]);
    peer.send({ type: 'ping' });
    peer.socket.hangUp();
    waiting.shift()?.();
    expect(await peer.take()).toEqual([]);
  });
});

describe('credentials', () => {
  /** Each call of `authenticate` waits until a test answers it. */
  function asked(clockMs = 0) {
    const answers: ((principal: Principal | false) => void)[] = [];
    const shown: unknown[] = [];
    const server = serveGraphql(
      { schema: createTestSchema().schema, context: ({ principal }: GraphqlContext) => ({ name: principal?.name }) },
      {
        authenticate: ({ connectionParams }) => {
          shown.push(connectionParams?.['name']);
          return new Promise((resolve) => answers.push(resolve));
        },
      },
    );
    server.clock.advance(clockMs);
    return { server, answers, shown };
  }
  const refresh = (name: string) => ({ type: 'ping', payload: { subwire: { credentials: { name } } } });
  const refreshed = { type: 'pong', payload: { subwire: { refreshed: true } } };

  test('[GQL-41] that follow each other are looked at in their order: the last ones count', async () => {
    const { server, answers, shown } = asked();
    const peer = server.connect({ acknowledged: false });
    peer.send({ type: 'connection_init', payload: { name: 'ann' } });
    await peer.take();
    answers.shift()?.({ name: 'ann' });
    expect(await peer.take()).toEqual([{ type: 'connection_ack' }]);
    peer.send(refresh('bob'));
    peer.send(refresh('carol'));
    await peer.take();
    expect(shown).toEqual(['ann', 'bob']);
    answers.shift()?.({ name: 'bob' });
    expect(await peer.take()).toEqual([refreshed]);
    expect(shown).toEqual(['ann', 'bob', 'carol']);
    peer.subscribe('1', '{ me }');
    expect(await peer.take()).toEqual([data('1', { me: 'bob' }), complete('1')]);
    answers.shift()?.({ name: 'carol' });
    expect(await peer.take()).toEqual([refreshed]);
    peer.send(refresh('dora'));
    await peer.take();
    answers.shift()?.(false);
    await peer.take();
    expect(peer.socket.closing).toEqual({ code: 4403, reason: 'Forbidden' });
  });

  test('[GQL-41] that are fresh put off the end of the old ones; what runs goes on until then', async () => {
    const { schema, sources } = createTestSchema();
    let expiresAt = 0;
    const server = serveGraphql({ schema }, { authenticate: () => ({ expiresAt }) });
    expiresAt = server.clock.wall() + 10_000;
    const peer = server.connect({ acknowledged: false });
    peer.send({ type: 'connection_init' });
    await peer.take();
    peer.subscribe('1', 'subscription { manual }');
    await peer.take();
    server.clock.advance(9_000);
    expiresAt = server.clock.wall() + 20_000;
    peer.send(refresh('again'));
    expect(await peer.take()).toEqual([refreshed]);
    server.clock.advance(19_999);
    expect(peer.socket.closing).toBeUndefined();
    server.clock.advance(1);
    expect(peer.socket.closing).toEqual({ code: 4403, reason: 'Credentials expired' });
    expect(sources[0]?.returned).toBe(1);
  });

  test('[GQL-41] are an ordinary ping where nobody is asked who it is: what onConnect admitted stays', async () => {
    const { connect } = serveGraphql({
      schema: createTestSchema().schema,
      onConnect: ({ connectionParams }) => connectionParams?.['name'] === 'ann',
      context: ({ connectionParams }) => ({ name: connectionParams?.['name'] }),
    });
    const peer = connect({ acknowledged: false });
    peer.send({ type: 'connection_init', payload: { name: 'ann' } });
    await peer.take();
    const ping = refresh('root');
    peer.send(ping);
    expect(await peer.take()).toEqual([{ type: 'pong', payload: ping.payload }]);
    peer.subscribe('1', '{ me }');
    expect(await peer.take()).toEqual([data('1', { me: 'ann' }), complete('1')]);
  });

  test('[GQL-41] that are shown faster than they are looked at close with 1013', async () => {
    const server = serveGraphql(
      { schema: createTestSchema().schema, limits: { maxOperations: 3 } },
      { authenticate: vi.fn(() => new Promise<Principal>(() => {})).mockResolvedValueOnce({ name: 'ann' }) },
    );
    const peer = server.connect({ acknowledged: false });
    peer.send({ type: 'connection_init' });
    await peer.take();
    for (let count = 0; count < 3; count++) peer.send(refresh('bob'));
    expect(peer.socket.closing).toBeUndefined();
    peer.send(refresh('bob'));
    expect(peer.socket.closing).toEqual({ code: 1013, reason: 'Too many requests' });
  });
});
