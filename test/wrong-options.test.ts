import { createServer } from 'node:http';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { attach, createBus, presence } from 'subwire';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';
import { mqttBroker } from 'subwire/mqtt';
import { stompBroker } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';
import { expect, test } from 'vitest';

const trap = (): never => {
  throw new Error('trap');
};

/** No option means any of these. */
const wrong: readonly [string, () => unknown][] = [
  ['NaN', () => Number.NaN],
  ['-1', () => -1],
  ['a promise', () => Promise.resolve({})],
  ['an Error', () => new Error('wrong')],
  ['a symbol', () => Symbol('s')],
  ['a bigint', () => 10n],
  ['a Date', () => new Date()],
  ['a Map', () => new Map()],
  ['a Proxy that throws', () => new Proxy({}, { get: trap, ownKeys: trap })],
];

const schema = makeExecutableSchema({ typeDefs: 'type Query { n: Int }' });
const bus = createBus({ onError() {} });
const url = 'ws://127.0.0.1:1/';

/** Options that are read at the call, by entry point. */
const entries: readonly [string, (options: object) => unknown, readonly string[]][] = [
  [
    'attach()',
    (options) => attach(createServer(), { protocols: [stompBroker({ bus })], ...options }),
    'protocols authenticate onConnect onDisconnect limits maxConnections perAddress perPrincipal memory onError clock origin hosts upgrade path deflate drainOnClose'.split(
      ' ',
    ),
  ],
  ['createBus()', createBus, 'open onError history slowPublishers clock'.split(' ')],
  [
    'graphqlServer()',
    (options) => graphqlServer({ schema, ...options }),
    'roots limits isProd contextPerEvent validationRules slowSubscriber maskError parse validate execute subscribe compile onConnect onSubscribe onOperation onNext onError onComplete'.split(
      ' ',
    ),
  ],
  [
    'stompBroker()',
    (options) => stompBroker({ bus, ...options }),
    'authorize onSend onSubscribe rewrite onConnect onFrame strict spring limits heartbeat prefixes hosts slowSubscriber open relay clock'.split(
      ' ',
    ),
  ],
  [
    'mqttBroker()',
    (options) => mqttBroker({ bus, ...options }),
    'authorize limits anonymousSessions onError'.split(' '),
  ],
  ['presence()', (options) => presence(createBus(), options), 'group clients window interval info clock'.split(' ')],
  [
    'createClient()',
    (options) => createClient({ url, ...options }),
    'transport limits backoff on retry retryWait shouldRetry onError generateID jsonMessageReviver openTimeout keepAlive clock'.split(
      ' ',
    ),
  ],
  [
    'createStompClient()',
    (options) => createStompClient({ url, ...options }),
    'transport limits backoff on retry onError onFrame versions openTimeout receiptTimeout maxQueued heartbeatOutgoing clock'.split(
      ' ',
    ),
  ],
];

test.each(entries)('[CONN-52] each option of %s with what it cannot mean', (_, call, names) => {
  const accepted: string[] = [];
  for (const name of names) {
    for (const [what, make] of wrong) {
      try {
        call({ [name]: make() });
        accepted.push(`${name}: ${what}`);
      } catch (error) {
        const isNamed = error instanceof TypeError && error.message.toLowerCase().includes(name.toLowerCase());
        if (!isNamed) accepted.push(`${name}: ${what} → ${String(error)}`);
      }
    }
  }
  expect(accepted).toEqual([]);
});
