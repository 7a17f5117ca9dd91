/**
 * What `npm start` shows: a page whose left side speaks STOMP and whose right side speaks GraphQL, over one endpoint
 * and one bus. Run: npx tsx examples/live-page/server.ts (PORT, default 4000)
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { makeExecutableSchema } from '@graphql-tools/schema';
import { build } from 'esbuild';
import { attach, createBus, topic } from 'subwire';
import { field, graphqlServer } from 'subwire/graphql';
import { stompBroker } from 'subwire/stomp';

interface Note {
  readonly text: string;
  readonly from: string;
}

interface Count {
  readonly protocol: string;
  readonly count: number;
}

const maxText = 280;

const notes = topic<Note>('notes', { decode: parseNote, clients: 'readwrite' });
// Whoever sends to `ping` measures how long its receipt takes; nobody may listen to it.
const bus = createBus({ topics: [notes], open: { ping: 'write' } });

/** Who is connected: for the page, and no topic of clients. */
const clients = topic<readonly Count[]>('clients');
bus.declare(clients);

/** What STOMP clients send is checked here; what does not pass is reported and reaches no subscription. */
function parseNote(value: unknown): Note {
  const { text, from } = (value ?? {}) as Record<string, unknown>;
  if (typeof text !== 'string' || text === '' || text.length > maxText || typeof from !== 'string') {
    throw new TypeError(`a note is { text, from }, text of 1 to ${maxText} characters`);
  }
  return { text, from: from.slice(0, 40) };
}

const schema = makeExecutableSchema({
  typeDefs: /* GraphQL */ `
    type Note { text: String! from: String! }
    type Count { protocol: String! count: Int! }
    type Query { topics: [String!]! clients: [Count!]! }
    type Mutation { send(text: String!, from: String!): Note! }
    type Subscription { notes: Note! clients: [Count!]! }
  `,
  resolvers: {
    Query: { topics: () => [notes.name], clients: countClients },
    Mutation: {
      async send(_root: unknown, input: Note) {
        const note = parseNote(input);
        await bus.publish(notes, note);
        return note;
      },
    },
    Subscription: { notes: field(bus, notes), clients: field(bus, clients) },
  },
});

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The page's script, as a bundler of a user would make it: from the package, under the `browser` condition. */
async function bundle(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [here('page.ts')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    write: false,
    tsconfigRaw: '{}',
  });
  const [script] = outputFiles;
  if (!script) throw new Error('esbuild wrote nothing');
  return script.contents;
}

const files = new Map<string, { readonly type: string; readonly body: Uint8Array }>([
  ['/', { type: 'text/html; charset=utf-8', body: await readFile(here('page.html')) }],
  ['/page.css', { type: 'text/css; charset=utf-8', body: await readFile(here('page.css')) }],
  ['/page.js', { type: 'text/javascript; charset=utf-8', body: await bundle() }],
]);

const http = createServer((request, response) => {
  const file = files.get(new URL(request.url ?? '/', 'http://page').pathname);
  if (file) response.writeHead(200, { 'content-type': file.type, 'cache-control': 'no-cache' }).end(file.body);
  else response.writeHead(404, { 'content-type': 'text/plain' }).end('Not found\n');
});
const endpoint = attach(http, {
  path: '/ws',
  protocols: [graphqlServer({ schema }), stompBroker({ bus })],
  onConnect: publishClients,
  onDisconnect: publishClients,
});

function countClients(): Count[] {
  return Object.entries(endpoint.stats().subprotocols).map(([protocol, count]) => ({ protocol, count }));
}
async function publishClients(): Promise<void> {
  await bus.publish(clients, countClients());
}

http.on('error', (error: NodeJS.ErrnoException) => {
  const hint = error.code === 'EADDRINUSE' ? 'Another program listens there. Choose a port: PORT=4001 npm start' : '';
  console.error(`subwire: ${error.message}. ${hint}`);
  process.exit(1);
});
http.listen(Number(process.env['PORT'] ?? 4000), () => {
  const address = http.address();
  const port = typeof address === 'object' && address ? address.port : '';
  console.log(`subwire: page http://localhost:${port}/  WebSocket ws://localhost:${port}/ws`);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    http.close();
    await endpoint.drain({ deadline: 2_000, restart: true });
    process.exit(0);
  });
}
