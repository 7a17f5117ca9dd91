import { type Client, createClient } from '../../../src/graphql/client/client.ts';
import {
  createStompClient,
  type ReceivedMessage,
  type StompSubscription,
  type Transaction,
} from '../../../src/stomp/client/client.ts';
import { createFakeClock, type FakeClock } from '../fake-clock.ts';
import type { FakeSocket } from '../fake-socket.ts';
import { FakeTransport } from '../fake-transport.ts';
import { FrameReader, type Observed, readJson, show } from './observed.ts';
import type { Options } from './parse.ts';
import { bytesOf, type Cut, type Tested } from './run.ts';

type See = (words: string) => void;
/** What a user of a client can do; the rest of the line is its argument. */
type Verbs = Readonly<Record<string, (rest: string) => void>>;

const messageOf = (error: unknown): string =>
  Array.isArray(error) ? JSON.stringify(error) : error instanceof Error ? error.message : String(error);

function stompVerbs(options: Options, transport: FakeTransport, clock: FakeClock, see: See): Verbs {
  const client = createStompClient({
    brokerURL: 'ws://broker.example/ws',
    transport: transport.transport,
    clock,
    backoff: { base: 4_000, random: () => 1 },
    onError: (error) => see(`error ${messageOf(error)}`),
    ...options.options,
  });
  let subscription: StompSubscription | undefined;
  let message: ReceivedMessage | undefined;
  let transaction: Transaction | undefined;
  const tell = (outcome: Promise<unknown>, done: string): void => {
    outcome.then(
      () => see(done),
      (error) => see(`rejected ${messageOf(error)}`),
    );
  };
  client.on('error', () => {});
  client.on('heartbeatLost', () => see('heartbeat lost'));
  client.on('closed', (_, willRetry) => see(willRetry ? 'lost, will retry' : 'lost'));
  return {
    connect: () => tell(client.connect(), 'connected'),
    disconnect: () => tell(client.disconnect(), 'disconnected'),
    publish: (rest) => tell(client.publish(JSON.parse(rest)), 'published'),
    subscribe(rest) {
      const [destination = '', headers = '{}'] = rest.split(' ');
      const heard = (each: ReceivedMessage): void => {
        message = each;
        see(`message ${each.body}`);
      };
      subscription = client.subscribe(destination, heard, JSON.parse(headers));
    },
    unsubscribe: () => subscription?.unsubscribe(),
    ack: () => message?.ack(),
    nack: () => message?.nack(),
    begin() {
      transaction = client.begin();
    },
    abort: () => transaction?.abort(),
    commit: () => tell(transaction?.commit() ?? Promise.reject(new Error('no transaction')), 'committed'),
    'publish-in-transaction': (rest) => {
      transaction?.publish(JSON.parse(rest)).catch(() => {});
    },
  };
}

function graphqlVerbs(options: Options, transport: FakeTransport, clock: FakeClock, see: See): Verbs {
  let count = 0;
  const client: Client = createClient({
    url: 'ws://server.example/graphql',
    transport: transport.transport,
    clock,
    backoff: { base: 4_000, random: () => 1 },
    generateID: () => String(++count),
    onError: (error) => see(`error ${messageOf(error)}`),
    ...options.options,
  });
  const cancels = new Map<number, () => void>();
  client.on('closed', ({ code, reason }) => see(`closed ${code} ${reason}`.trimEnd()));
  return {
    subscribe(rest) {
      const number = cancels.size + 1;
      const cancel = client.subscribe(JSON.parse(rest), {
        next: (result) => see(`${number} next ${JSON.stringify(result)}`),
        error: (error) => see(`${number} error ${messageOf(error)}`),
        complete: () => see(`${number} complete`),
      });
      cancels.set(number, cancel);
    },
    cancel: (rest) => cancels.get(Number(rest))?.(),
    dispose: () => client.dispose(),
    terminate: () => client.terminate(),
  };
}

/** One of our clients, alone in its own time; the transcript plays the server. */
export function testedClient(options: Options, cut: Cut): Tested {
  const clock = createFakeClock();
  const transport = new FakeTransport();
  const seen: string[] = [];
  const isStomp = options.subprotocol !== 'graphql-transport-ws';
  const verbs = (isStomp ? stompVerbs : graphqlVerbs)(options, transport, clock, (words) => seen.push(words));
  const queue: Observed[] = [];
  let dialled = 0;
  let socket: FakeSocket | undefined;
  let frames = new FrameReader();
  let told = false;

  function observe(): void {
    for (const message of socket?.take() ?? []) queue.push(...(isStomp ? frames.read(message) : [readJson(message)]));
    if (socket && !told && (socket.closing || socket.terminated)) {
      told = true;
      queue.push(socket.closing ? { kind: 'close', ...socket.closing } : { kind: 'gone' });
    }
    for (; dialled < transport.dials.length; dialled++) {
      queue.push({ kind: 'open', protocol: transport.dials[dialled]?.protocols.join(',') ?? '' });
    }
  }

  return {
    play(_, what, captures) {
      const bytes = bytesOf(what, captures);
      observe();
      if (bytes) for (const piece of cut.pieces(bytes)) socket?.receiver?.received(piece);
      else if (what.kind === 'open') {
        frames = new FrameReader();
        told = false;
        socket = transport.last.open(what.protocol ?? options.subprotocol);
      } else if (what.kind === 'refuse') transport.last.refuse();
      else if (what.kind === 'close') socket?.hangUp(what.code, what.reason);
      else if (what.kind === 'gone') socket?.hangUp();
      else throw new Error(`a server does not ${what.kind} here`);
    },
    async next() {
      observe();
      if (queue.length === 0) {
        await clock.settle();
        observe();
      }
      return queue.shift();
    },
    seen: () => seen.shift(),
    act(words) {
      const [verb = '', ...rest] = words.split(' ');
      const does = verbs[verb];
      if (!does) throw new Error(`a user does not ${verb}. It can: ${Object.keys(verbs).join(', ')}`);
      does(rest.join(' '));
    },
    settle: clock.settle,
    async wait(ms) {
      clock.advance(ms);
      await clock.settle();
    },
    async rest() {
      observe();
      return [...queue.map((each) => `C: ${show(each)}`), ...seen.map((words) => `U= ${words}`)];
    },
    async end() {
      socket?.hangUp();
    },
  };
}
