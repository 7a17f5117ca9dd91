/**
 * Persisted operations: the server executes what was registered when it was built, and nothing else; clients send the
 * hash of a document in its place. Run: npx tsx examples/persisted-operations.ts
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { type DocumentNode, parse, validate } from 'graphql';
import { attach } from 'subwire';
import { graphqlServer } from 'subwire/graphql';
import { createClient } from 'subwire/graphql/client';

const schema = makeExecutableSchema({
  typeDefs: /* GraphQL */ `
    type Query { hello(name: String!): String! }
    type Subscription { countdown(from: Int!): Int! }
  `,
  resolvers: {
    Query: { hello: (_root: unknown, { name }: { name: string }) => `Hello ${name}` },
    Subscription: {
      countdown: {
        async *subscribe(_root: unknown, { from }: { from: number }) {
          for (let countdown = from; countdown >= 0; countdown--) yield { countdown };
        },
      },
    },
  },
});

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What a build step collects from the clients' sources. */
const hello = 'query ($name: String!) { hello(name: $name) }';
const countdown = 'subscription ($from: Int!) { countdown(from: $from) }';

/** Parsed and validated once, when the server starts: a mistake is found before anybody connects. */
const allowed = new Map<unknown, DocumentNode>();
for (const text of [hello, countdown]) {
  const document = parse(text);
  const [error] = validate(schema, document);
  if (error) throw error;
  allowed.set(hashOf(text), document);
}

const http = createServer();
const endpoint = attach(http, {
  path: '/ws',
  protocols: [
    graphqlServer({
      onSubscribe(_context, _id, { extensions, operationName, variables }) {
        const asked = extensions?.['persistedQuery'] as { readonly sha256Hash?: unknown } | undefined;
        const document = allowed.get(asked?.sha256Hash);
        // Errors are the answer to this operation; the connection and its other operations go on.
        if (!document)
          return [{ message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }];
        return { schema, document, operationName, variableValues: variables };
      },
    }),
  ],
});
http.listen(0, '127.0.0.1');
await once(http, 'listening');

const client = createClient({ url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws` });

async function run(text: string, variables: Record<string, unknown>): Promise<void> {
  const persistedQuery = { version: 1, sha256Hash: hashOf(text) };
  try {
    // The protocol wants a `query`; it may be empty.
    const results = client.iterate({ query: '', variables, extensions: { persistedQuery } });
    for await (const { data } of results) console.log(JSON.stringify(data));
  } catch (errors) {
    console.log('refused:', JSON.stringify(errors));
  }
}

await run(hello, { name: 'Ann' });
await run(countdown, { from: 2 });
await run('{ __schema { types { name } } }', {});

await client.dispose();
await endpoint.drain();
http.close();
