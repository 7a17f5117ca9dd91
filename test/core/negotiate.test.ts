import fc from 'fast-check';
import { expect, test } from 'vitest';
import { choose, noProtocol, offeredTokens, selectOffered, silentSession } from '../../src/core/negotiate.ts';
import { scripted } from '../support/scripted-session.ts';

const graphql = scripted(['graphql-transport-ws'], undefined, { advice: { 'graphql-ws': 'Use graphql-transport-ws' } });
const stomp = scripted(['v12.stomp', 'v11.stomp', 'v10.stomp'], undefined, { acceptsUnnamed: true });
const both = [graphql, stomp];

test('[CONN-1] the first token of the client that is mounted is spoken, whatever order the server has', () => {
  expect(choose(['v11.stomp', 'graphql-transport-ws', 'v12.stomp'], both)).toEqual({
    kind: 'speak',
    subprotocol: stomp,
    name: 'v11.stomp',
  });
  expect(choose(['v13.stomp', 'graphql-transport-ws'], both)).toMatchObject({ name: 'graphql-transport-ws' });
});

test('[CONN-1] whatever is offered, what is chosen was offered first among what is mounted', () => {
  const tokens = fc.constantFrom('v12.stomp', 'v10.stomp', 'graphql-transport-ws', 'mqtt', 'graphql-ws', '');
  fc.assert(
    fc.property(fc.uniqueArray(tokens), (offered) => {
      const choice = choose(offered, both);
      const first = offered.find((name) => both.some(({ names }) => names.includes(name)));
      if (first !== undefined) expect(choice).toMatchObject({ kind: 'speak', name: first });
      else expect(choice.kind).toBe(offered.length === 0 ? 'speak' : 'close');
    }),
  );
});

test('[CONN-2] a client that offers nothing is spoken to by the protocol that accepts that', () => {
  expect(choose([], both)).toEqual({ kind: 'speak', subprotocol: stomp, name: '' });
  expect(choose([], [graphql])).toEqual({
    kind: 'close',
    code: 4406,
    reason: 'Subprotocol not acceptable. Spoken here: graphql-transport-ws',
  });
});

test('[CONN-3] an unknown list is closed with 4406 after the handshake', () => {
  expect(choose(['mqtt'], both)).toEqual({
    kind: 'close',
    code: 4406,
    reason: `Subprotocol not acceptable. Spoken here: ${both.flatMap(({ names }) => names).join(', ')}`,
  });
});

test('[CONN-4] the token of a predecessor is refused with what to use instead', () => {
  expect(choose(['x', 'graphql-ws'], both)).toEqual({ kind: 'close', code: 4406, reason: 'Use graphql-transport-ws' });
  expect(choose(['constructor'], both)).toMatchObject({ reason: expect.stringMatching(/^Subprotocol not acceptable/) });
});

test('[CONN-5] where only protocols for unnamed clients are mounted an unknown list is closed with 4406 as well', () => {
  expect(choose(['mqtt'], [stomp])).toEqual({
    kind: 'close',
    code: 4406,
    reason: 'Subprotocol not acceptable. Spoken here: v12.stomp, v11.stomp, v10.stomp',
  });
});

test('[CONN-6] a client accepts a token that it offered and nothing else', () => {
  expect(selectOffered('v10.stomp', both)).toBe(stomp);
  expect(selectOffered('graphql-transport-ws', both)).toBe(graphql);
  expect(selectOffered('', both)).toBeUndefined();
  expect(selectOffered('v13.stomp', both)).toBeUndefined();
  const stream = scripted([]);
  expect(selectOffered('', [stream])).toBe(stream);
  expect(selectOffered('x', [stream])).toBeUndefined();
});

test('[CONN-1] a client offers its tokens by preference, each once', () => {
  expect(offeredTokens([stomp, graphql, stomp])).toEqual([
    'v12.stomp',
    'v11.stomp',
    'v10.stomp',
    'graphql-transport-ws',
  ]);
});

test('where nothing was agreed nothing is heard and nothing is said', () => {
  const session = noProtocol.open({} as never, '');
  expect(session).toBe(silentSession);
  expect([session.deadline, session.idle]).toEqual([Number.POSITIVE_INFINITY, true]);
  session.receive('x', 0);
  session.released(0);
  session.tick(0);
  session.drained(0);
  session.drain(0);
  session.fail({} as never);
  session.end(1000, '');
  expect(noProtocol.faults.unacceptable.reason('why')).toBe('why');
  expect(noProtocol.faults.goingAway).toMatchObject({ code: 4406 });
  expect(noProtocol.faults.unacceptable.reason()).toBe('Subprotocol not acceptable');
});
