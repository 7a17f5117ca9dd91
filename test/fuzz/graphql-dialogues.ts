import { createBus } from '../../src/bus/bus.ts';
import { ProtocolError } from '../../src/core/fault.ts';
import { type GraphqlPeer, type ServerMessage, serveGraphql } from '../support/graphql-peer.ts';
import { prices, transcriptSchema } from '../support/transcripts/schema.ts';
import type { Fuzz } from './fuzz.ts';
import type { Random } from './random.ts';

/** An operation of a client, and what has to come of it, in this order. */
interface Operation {
  /** Of prices of this symbol; undefined: it is no subscription to them. */
  readonly symbol?: string | undefined;
  readonly wanted: string[];
}

interface Client {
  readonly name: string;
  readonly peer: GraphqlPeer;
  readonly running: Map<string, Operation>;
  /** Completed by the client in the turn it was begun in: a part of what was wanted may have left before. */
  readonly overtaken: Map<string, Operation>;
  /** It has to be closed with this code. */
  closed: number | undefined;
  gone: boolean;
}

const completed = (count: number): string[] => [
  ...Array.from({ length: count }, (_, index) => `next ${JSON.stringify({ count: index + 1 })}`),
  'complete',
];

/** Documents, and what has to come of each. */
const documents: readonly (readonly [query: string, operation: () => Operation])[] = [
  ['{ hello }', () => ({ wanted: ['next {"hello":"hello world"}', 'complete'] })],
  [
    'query A { hello(name: "a") again: hello }',
    () => ({ wanted: ['next {"hello":"hello a","again":"hello world"}', 'complete'] }),
  ],
  ['{ broken }', () => ({ wanted: ['next null', 'complete'] })],
  ['{ never }', () => ({ wanted: [] })],
  ['{ unknown }', () => ({ wanted: ['error'] })],
  ['{ hello', () => ({ wanted: ['error'] })],
  ['subscription { refused }', () => ({ wanted: ['next undefined', 'complete'] })],
  ['subscription { count(to: 0) }', () => ({ wanted: completed(0) })],
  ['subscription { count(to: 3) }', () => ({ wanted: completed(3) })],
  ['subscription { price(symbol: "A") { price } }', () => ({ symbol: 'A', wanted: [] })],
  ['subscription { price(symbol: "B") { price } }', () => ({ symbol: 'B', wanted: [] })],
];

// One for all dialogues: to make a schema takes longer than to talk.
const bus = createBus();
const schema = transcriptSchema(bus);

/** Some clients run operations, and after every turn each has exactly the answers that the model says. */
export const graphqlDialogues: Fuzz = {
  name: 'GraphQL server: dialogues do what the model says',
  unit: 'dialogues',
  short: 200,
  long: 200_000,
  async once(random) {
    const said: string[] = [];
    try {
      await dialogue(random, said);
    } catch (error) {
      throw new Error(`${said.join('\n')}\n${(error as Error).message}`);
    }
    return 1;
  },
};

async function dialogue(random: Random, said: string[]): Promise<void> {
  const server = serveGraphql({ schema });
  const clients: Client[] = [];
  let price = 0;

  function join(): void {
    clients.push({
      name: `C${clients.length}`,
      peer: server.connect(),
      running: new Map(),
      overtaken: new Map(),
      closed: undefined,
      gone: false,
    });
  }

  function subscribe(client: Client): string {
    const id = random.pick(['1', 'two', '__proto__', 'ü', 'x'.repeat(200)]);
    const [query, operation] = random.pick(documents);
    said.push(`${client.name}: subscribe ${id.slice(0, 9)} ${query}`);
    if (client.running.has(id)) client.closed = 4409;
    else client.running.set(id, operation());
    client.peer.subscribe(id, query);
    return id;
  }

  function complete(client: Client, id: string, sameTurn: boolean): void {
    said.push(`${client.name}: complete ${id.slice(0, 9)}${sameTurn ? ' at once' : ''}`);
    const operation = client.running.get(id);
    if (sameTurn && operation) client.overtaken.set(id, operation);
    client.running.delete(id);
    client.peer.complete(id);
  }

  async function act(client: Client): Promise<void> {
    const choice = random.below(100);
    if (choice < 40) {
      subscribe(client);
    } else if (choice < 50) {
      const id = subscribe(client);
      if (client.closed === undefined) complete(client, id, true);
    } else if (choice < 65) {
      complete(client, random.pick([...client.running.keys(), 'unknown']), false);
    } else if (choice < 90) {
      const symbol = random.pick(['A', 'B', 'C']);
      said.push(`publish ${symbol} ${++price}`);
      for (const { running, gone, closed } of clients) {
        if (gone || closed !== undefined) continue;
        for (const operation of running.values()) {
          if (operation.symbol === symbol) operation.wanted.push(`next {"price":{"price":${price}}}`);
        }
      }
      await bus.publish(prices, { symbol, price });
    } else if (choice < 95) {
      said.push(`${client.name}: ping`);
      client.peer.send({ type: 'ping' });
    } else if (choice < 98) {
      said.push(`${client.name} is gone`);
      client.gone = true;
      client.peer.socket.hangUp();
    } else {
      const [message, code] = random.pick<[unknown, number]>([
        [{ type: 'connection_init' }, 4429],
        [{ type: 'shout' }, 4400],
        [{ type: 'subscribe', id: '', payload: { query: '{ hello }' } }, 4400],
        [{ type: 'subscribe', id: 'z', payload: { query: 7 } }, 4400],
        ['text', 4400],
      ]);
      said.push(`${client.name}: ${JSON.stringify(message)}`);
      client.closed = code;
      client.peer.send(message);
    }
  }

  for (let count = 1 + random.below(3); count > 0; count--) join();
  for (let steps = 8 + random.below(24); steps > 0; steps--) {
    if (clients.every(({ gone }) => gone)) join();
    await act(random.pick(clients.filter(({ gone }) => !gone)));
    await server.clock.settle();
    for (const client of clients) await check(client);
  }
  for (const { peer } of clients) peer.socket.hangUp();
  await server.clock.settle();
  const { open } = server.endpoint.stats();
  if (open > 0) throw new Error(`${open} connections are left`);
  // What a peer got wrong may be told to the application.
  const bugs = server.errors.filter((error) => !(error instanceof ProtocolError));
  if (bugs.length > 0) throw new Error(`reported: ${bugs.map(String)}`);
}

async function check(client: Client): Promise<void> {
  const { name, peer, running, overtaken } = client;
  for (const message of await peer.take()) {
    const { id, type } = message;
    if (type === 'pong') continue;
    const said = `${name} got ${brief(message)} for ${id?.slice(0, 9)}`;
    if (client.gone || id === undefined) throw new Error(`${said}, which nobody wanted`);
    const operation = overtaken.get(id) ?? running.get(id);
    const wanted = operation?.wanted.shift();
    if (wanted !== brief(message)) throw new Error(`${said}, wanted ${wanted}`);
    if (type !== 'next') running.delete(id);
  }
  overtaken.clear();
  for (const [id, { wanted }] of running) {
    if (wanted.length > 0 && client.closed === undefined) throw new Error(`${name} has not got ${wanted} for ${id}`);
  }
  const code = peer.socket.closing?.code;
  if (client.gone) return;
  if (code !== client.closed) throw new Error(`${name} was closed with ${code}, wanted ${client.closed}`);
  if (code !== undefined) client.gone = true;
}

function brief({ type, payload }: ServerMessage): string {
  return type === 'next' ? `next ${JSON.stringify((payload as { data: unknown }).data)}` : type;
}
