import { makeExecutableSchema } from '@graphql-tools/schema';
import { createBus, topic } from 'subwire';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';
import { createTestEndpoint } from 'subwire/testing';
import { expect, test } from 'vitest';

/** What a hook that decides may answer by mistake; none of it lets anybody in. */
const answers: readonly [string, () => unknown][] = [
  ['undefined', () => undefined],
  ['null', () => null],
  ['1', () => 1],
  ['"yes"', () => 'yes'],
  ['an array', () => []],
  ['an Error', () => new Error('denied')],
  ['a function', () => () => true],
  ['a Response', () => new Response('', { status: 200 })],
  ['a promise of 1', () => Promise.resolve(1)],
  ['a promise of "yes"', () => Promise.resolve('yes')],
  ['a promise of a function', () => Promise.resolve(() => true)],
  ['nothing, ever', () => new Promise(() => {})],
  [
    'a throw',
    () => {
      throw new Error('no');
    },
  ],
  ['a rejection', () => Promise.reject(new Error('no'))],
];

const closed = topic<number>('closed');
const schema = makeExecutableSchema({ typeDefs: 'type Query { n: Int }', resolvers: { Query: { n: () => 1 } } });
const url = 'ws://test';

/** What became of it within the time that a hook has, and some more. */
const within = (work: Promise<unknown>): Promise<string> =>
  Promise.race([
    work.then(
      () => 'let in',
      () => 'refused',
    ),
    new Promise<string>((resolve) => setTimeout(resolve, 1_000, 'still waits')),
  ]);

test.each(answers)(
  '[CONN-52] [CONN-53] authenticate answers %s: nobody is let in, by no protocol',
  async (_, answer) => {
    const endpoint = createTestEndpoint({
      protocols: [graphqlServer({ schema }), stompBroker({ bus: createBus() })],
      authenticate: answer as never,
      limits: { hookTimeout: 60 },
      onError() {},
    });
    const options = { url, transport: endpoint.transport, retry: () => false, warn: false, onError() {} };
    const graphql = createClient(options);
    const stomp = createStompClient(options);
    const query = (async () => {
      for await (const result of graphql.iterate({ query: '{ n }' })) return result;
      throw new Error('refused');
    })();
    expect(await Promise.all([within(query), within(stomp.connect())])).toEqual(['refused', 'refused']);
    await Promise.all([graphql.dispose(), stomp.dispose(), endpoint.close()]);
  },
);

test.each(answers)('[CONN-52] authorize answers %s: nothing that is closed is read or written', async (_, answer) => {
  const bus = createBus({ topics: [closed], onError() {} });
  const heard: unknown[] = [];
  bus.listen('closed', () => heard.push('written'));
  const endpoint = createTestEndpoint({
    protocols: [stompBroker({ bus, authorize: answer as never, limits: { hookTimeout: 60 } })],
    onError() {},
  });
  const options = { url, transport: endpoint.transport, retry: () => false, warn: false, onError() {} };
  const reader = createStompClient(options);
  const writer = createStompClient(options);
  reader.subscribe('/topic/closed', () => heard.push('read'));
  const sent = within(writer.publish({ destination: '/topic/closed', body: '1', receipt: true }));
  expect(await sent).toBe('refused');
  expect(heard).toEqual([]);
  // What the application publishes is for the listener of the bus alone.
  await bus.publish(closed, 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(heard).toEqual(['written']);
  await Promise.all([reader.dispose(), writer.dispose(), endpoint.close()]);
});
