import { AsyncLocalStorage } from 'node:async_hooks';
import { GraphQLError, parse } from 'graphql';
import { describe, expect, test } from 'vitest';
import type { GraphqlOptions } from '../../../src/graphql/index.ts';
import { ParsingTime } from '../../../src/graphql/server/parsing-time.ts';
import { type GraphqlServerUnderTest, serveGraphql } from '../../support/graphql-peer.ts';
import { createTestSchema } from '../../support/graphql-schema.ts';

/** A server for which each new document takes 50 ms; a list of when each of them was begun. */
function serve(options: Partial<GraphqlOptions> = {}) {
  const begun: number[] = [];
  const server: GraphqlServerUnderTest = serveGraphql({
    schema: createTestSchema().schema,
    parse(text, parseOptions) {
      begun.push(server.clock.now());
      server.clock.sleep(50);
      return parse(String(text), parseOptions);
    },
    ...options,
  });
  return { ...server, begun };
}

describe('[GQL-108] documents that nobody knows', () => {
  test('one costly one a turn, however they come, and the others after it', async () => {
    const { connect, begun, clock } = serve({ onSubscribe: async () => undefined });
    const peers = [connect(), connect(), connect()];
    for (const [at, peer] of peers.entries()) {
      peer.subscribe('a', `{ a${at}: hello }`);
      peer.subscribe('b', `{ b${at}: hello }`);
    }
    await clock.settle();
    const first = begun.length;
    for (let ms = 0; ms < 600; ms += 2) {
      clock.advance(2);
      await clock.settle();
    }
    expect(first).toBe(1);
    expect(begun).toHaveLength(6);
    for (const [at, time] of begun.entries()) if (at > 0) expect(time - (begun[at - 1] ?? 0)).toBeGreaterThan(50);
    for (const peer of peers) expect((await peer.take()).filter(({ type }) => type === 'complete')).toHaveLength(2);
  });

  test('one that was refused makes the next one of anybody wait as long as it took; known ones do not', async () => {
    const { connect, begun, clock } = serve();
    const honest = connect();
    honest.subscribe('1', '{ hello }');
    await clock.settle();
    clock.advance(100);
    connect().subscribe('1', '{ nothing }');
    await clock.settle();
    honest.subscribe('known', '{ hello }');
    honest.subscribe('new', '{ me }');
    expect((await honest.take()).map(({ id }) => id)).toContain('known');
    expect(begun).toHaveLength(2);
    clock.advance(45);
    await clock.settle();
    expect(begun).toHaveLength(2);
    clock.advance(10);
    await clock.settle();
    expect(begun).toHaveLength(3);
  });

  test('who had a costly one refused has unknown ones refused unseen, and is cut when it goes on', async () => {
    const { connect, begun, clock } = serve();
    const peer = connect();
    for (let id = 0; id < 3_000 && !peer.socket.closing; id++) {
      peer.subscribe(String(id), `{ nothing${id} }`);
      await clock.settle();
      clock.advance(10);
    }
    expect(peer.socket.closing?.code).toBe(1013);
    // Five of 50 ms are forgiven; then there is a second of rest for each.
    expect(begun.length).toBeLessThan(clock.now() / 1_000 + 7);
  });

  test('who mistypes a query is answered at once, and so is the next one', async () => {
    const { connect, clock } = serve();
    const peer = connect();
    for (const id of ['a', 'b', 'c']) {
      peer.subscribe(id, `{ mistyped${id} }`);
      clock.advance(200);
      await clock.settle();
    }
    peer.subscribe('d', '{ hello }');
    clock.advance(200);
    await clock.settle();
    const answers = await peer.take();
    expect(answers.filter(({ type }) => type === 'error')).toHaveLength(3);
    expect(JSON.stringify(answers)).not.toContain('TOO_MANY_REFUSED');
    expect(answers).toContainEqual(expect.objectContaining({ id: 'd', payload: { data: { hello: 'world' } } }));
  });

  test('a document that waited goes on in the async context of its operation', async () => {
    const store = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const { connect, clock } = serve({
      onSubscribe: (_, id) => store.enterWith(id),
      context: () => void seen.push(store.getStore()),
      validate: () => [],
    });
    const peer = connect();
    for (const id of ['a', 'b', 'c']) peer.subscribe(id, `{ ${id}: hello }`);
    for (let ms = 0; ms < 300; ms += 5) {
      await clock.settle();
      clock.advance(5);
    }
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  test('one that was completed while it waited is not parsed', async () => {
    const { connect, begun, clock } = serve();
    const peer = connect();
    peer.subscribe('a', '{ hello }');
    peer.subscribe('b', '{ me }');
    peer.complete('b');
    for (let ms = 0; ms < 300; ms += 5) {
      await clock.settle();
      clock.advance(5);
    }
    expect(begun).toHaveLength(1);
  });

  test('small ones count together, while nothing comes in between', () => {
    const parsing = new ParsingTime();
    for (let now = 1; now < 5; now++) expect(parsing.spent(now, 1, 1)).toBe(0);
    expect(parsing.freeAt).toBe(0);
    expect(parsing.spent(5, 1, 0)).toBe(0);
    expect(parsing.freeAt).toBe(6);
    expect(parsing.spent(103, 3, 0)).toBe(0);
    expect(parsing.spent(113, 3, 0)).toBe(0);
    expect(parsing.freeAt).toBe(6);
    expect(parsing.spent(210, 10, 12)).toBe(12);
    expect(parsing.freeAt).toBe(222);
  });

  test('an error of a parser is one of the document, whatever it took', async () => {
    const { connect } = serve({
      parse() {
        throw new GraphQLError('no');
      },
    });
    const peer = connect();
    peer.subscribe('1', '{');
    expect((await peer.take()).map(({ type }) => type)).toEqual(['error']);
  });
});
