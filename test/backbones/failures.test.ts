import { makeExecutableSchema } from '@graphql-tools/schema';
import { graphql } from 'graphql';
import { expect, test } from 'vitest';
import { type Backbone, BackboneError, type BackboneFailure } from '../../src/bus/backbone.ts';
import { createBus } from '../../src/bus/bus.ts';
import { memoryBackbone } from '../../src/bus/memory-backbone.ts';
import { createStompDesk } from '../support/stomp-desk.ts';

/** A bus whose backbone takes nothing until a test lets it, or makes it fail. */
function moodyBus() {
  const inner = memoryBackbone();
  const waiting: { taken(): void; failed(error: Error): void }[] = [];
  const backbone: Backbone = {
    ...inner,
    publish: (topic, body, options) =>
      new Promise((resolve, reject) => {
        waiting.push({ taken: () => resolve(inner.publish(topic, body, options)), failed: reject });
      }),
  };
  return { bus: createBus({ backbone, open: true, onError() {} }), waiting };
}

const failure = (reason: BackboneFailure, stored: 'no' | 'unknown'): BackboneError =>
  new BackboneError(reason, `redis: ${reason}`, stored);

test('a RECEIPT waits for the backbone, and comes when it has the message', async () => {
  const { bus, waiting } = moodyBus();
  const desk = createStompDesk({ bus });
  const peer = await desk.open().connect();
  await peer.send('SEND', { destination: '/topic/a', receipt: '1' }, 'x');
  desk.clock.advance(9_000);
  expect(peer.brief()).toEqual([]);
  waiting[0]?.taken();
  await desk.clock.settle();
  expect(peer.brief()).toEqual(['RECEIPT 1']);
});

test.each([
  ['unavailable', 'no', 'Unavailable: the message bus cannot be reached', 1013],
  ['timeout', 'no', 'Unavailable: the message bus cannot be reached', 1013],
  ['full', 'no', 'Unavailable: the message bus cannot be reached', 1013],
  ['timeout', 'unknown', 'Unavailable: the message bus did not answer: the message may be stored all the same', 1013],
  ['tooLarge', 'no', 'Too large: redis: tooLarge', 1009],
] as const)('a SEND that fails as %s, stored %s, gets no RECEIPT but an ERROR', async (reason, stored, words, code) => {
  const { bus, waiting } = moodyBus();
  const desk = createStompDesk({ bus });
  const peer = await desk.open().connect();
  await peer.send('SEND', { destination: '/topic/a', receipt: '1' }, 'x');
  waiting[0]?.failed(failure(reason, stored));
  await desk.clock.settle();
  expect([peer.brief(), peer.closed?.code]).toEqual([[`ERROR ${words}`], code]);
});

test.each([
  ['unavailable', 'no', 'UNAVAILABLE'],
  ['timeout', 'no', 'UNAVAILABLE'],
  ['full', 'no', 'UNAVAILABLE'],
  ['closed', 'unknown', 'UNKNOWN_OUTCOME'],
  ['tooLarge', 'no', 'TOO_LARGE'],
] as const)('a mutation whose publish fails as %s, stored %s, has the code %s', async (reason, stored, code) => {
  const { bus, waiting } = moodyBus();
  const schema = makeExecutableSchema({
    typeDefs: 'type Query { a: Int } type Mutation { say: Boolean }',
    resolvers: {
      Mutation: {
        async say() {
          await bus.publish('a', Buffer.from('x'));
          return true;
        },
      },
    },
  });
  const result = graphql({ schema, source: 'mutation { say }' });
  await new Promise((resolve) => setTimeout(resolve, 0));
  waiting[0]?.failed(failure(reason, stored));
  expect((await result).errors?.[0]?.extensions).toEqual({ code });
});
