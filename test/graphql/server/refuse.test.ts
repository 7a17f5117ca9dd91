import { describe, expect, test } from 'vitest';
import { refuse } from '../../../src/core/refuse.ts';
import type { GraphqlOptions } from '../../../src/graphql/index.ts';
import { serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema } from '../../support/graphql-schema.ts';

const words = { code: 4426, reason: 'Refresh your token' };

describe('[GQL-12] refuse() reaches the close frame with its code and words', () => {
  test.each<[string, Partial<GraphqlOptions>]>([
    ['returned by onConnect', { onConnect: () => refuse(words) }],
    ['returned by an asynchronous onConnect', { onConnect: async () => refuse(words) }],
    ['thrown by onConnect', { onConnect: () => Promise.reject(refuse(words)) }],
    [
      'thrown at once by onConnect',
      {
        onConnect() {
          throw refuse(words);
        },
      },
    ],
    ['returned by onSubscribe', { onSubscribe: () => refuse(words) }],
    ['returned by an asynchronous onSubscribe', { onSubscribe: async () => refuse(words) }],
    ['thrown by onSubscribe', { onSubscribe: () => Promise.reject(refuse(words)) }],
    [
      'thrown at once by context',
      {
        context() {
          throw refuse(words);
        },
      },
    ],
  ])('%s', async (_, options) => {
    const server = serveGraphql({ schema: createTestSchema().schema, ...options });
    const peer = server.connect({ acknowledged: false });
    peer.send({ type: 'connection_init' });
    await peer.take();
    if (!peer.socket.closing) peer.subscribe('1', '{ hello }');
    expect((await peer.take()).filter(({ type }) => type !== 'connection_ack')).toEqual([]);
    expect(peer.socket.closing).toEqual(words);
    expect(server.errors).toEqual([]);
  });

  test('without a code it is 4403', async () => {
    const onConnect = () => refuse({ reason: 'Banned' });
    const peer = serveGraphql({ schema: createTestSchema().schema, onConnect }).connect({ acknowledged: false });
    peer.send({ type: 'connection_init' });
    await peer.take();
    expect(peer.socket.closing).toEqual({ code: 4403, reason: 'Banned' });
  });
});
