import { type AcceptingEndpoint, createEndpoint } from '../../../src/core/endpoint.ts';
import { ProtocolError } from '../../../src/core/fault.ts';
import type { ServerReceiver } from '../../../src/core/socket.ts';
import { graphqlServer } from '../../../src/graphql/index.ts';
import { stompBroker } from '../../../src/stomp/index.ts';
import { createFakeClock } from '../fake-clock.ts';
import { FakeSocket } from '../fake-socket.ts';
import { openBus } from '../open-bus.ts';
import type { Captures } from './match.ts';
import { FrameReader, type Observed, readJson, show } from './observed.ts';
import type { Options, What } from './parse.ts';
import { bytesOf, type Cut, type Tested } from './run.ts';
import { type Price, prices, transcriptSchema } from './schema.ts';

/** The client's end of one connection to the tested server, without a network between them. */
class Peer {
  readonly socket: FakeSocket;
  readonly #frames = new FrameReader();
  readonly #isStomp: boolean;
  readonly #queue: Observed[] = [];
  #pings = 0;
  #told = false;

  constructor(endpoint: AcceptingEndpoint, protocol: string) {
    this.socket = new FakeSocket({ protocol });
    this.#isStomp = protocol !== 'graphql-transport-ws';
    const choice = endpoint.choose(protocol === '' ? [] : [protocol]);
    if (choice.kind !== 'speak') throw new Error(`${protocol} is not spoken here`);
    const handshake = { url: '/ws', headers: {}, remoteAddress: '127.0.0.1', secure: false };
    this.socket.receiver = endpoint.accept(this.socket, handshake, choice.subprotocol);
  }

  observe(): Observed[] {
    for (const message of this.socket.take()) {
      this.#queue.push(...(this.#isStomp ? this.#frames.read(message) : [readJson(message)]));
    }
    for (; this.#pings < this.socket.pings; this.#pings++) this.#queue.push({ kind: 'ping' });
    if (this.#told) return this.#queue;
    const { closing, terminated } = this.socket;
    this.#told = closing !== undefined || terminated;
    if (closing) this.#queue.push({ kind: 'close', ...closing });
    else if (terminated) this.#queue.push({ kind: 'gone' });
    return this.#queue;
  }
}

/** Transcripts are about what queues and users get, not about who may send it: all of that is open here. */
const opened = ({ destination }: { readonly destination: string }): true | undefined =>
  /^\/(queue|user)\//.test(destination) || undefined;

/** Our server, alone in its own time. */
export function testedServer(options: Options, cut: Cut): Tested {
  const clock = createFakeClock();
  const bus = openBus({ topics: [prices] });
  const errors: unknown[] = [];
  const { subprotocol, passcode } = options;
  const protocol =
    subprotocol === 'graphql-transport-ws'
      ? // The reasons of real peers, and their errors as they are.
        graphqlServer({ schema: transcriptSchema(bus), isProd: true, maskError: false, ...options.options })
      : stompBroker({ bus, authorize: opened, strict: true, ...options.options });
  const endpoint = createEndpoint({
    protocols: [protocol],
    clock,
    // A message that was refused shows in its close.
    onError: (error) => (error instanceof ProtocolError ? undefined : errors.push(error)),
    ...(passcode === undefined
      ? {}
      : {
          authenticate: async (shown) =>
            (shown.passcode ?? shown.connectionParams?.['passcode']) === passcode ? { name: shown.login } : false,
        }),
  });
  const peers = new Map<number, Peer>();

  function peerOf(number: number): Peer {
    const peer = peers.get(number) ?? new Peer(endpoint, subprotocol);
    peers.set(number, peer);
    return peer;
  }

  function play(number: number, what: What, captures: Captures): void {
    const { socket } = peerOf(number);
    const { receiver } = socket;
    const bytes = bytesOf(what, captures);
    if (bytes) for (const piece of cut.pieces(bytes)) receiver?.received(piece);
    else if (what.kind === 'close') socket.hangUp(what.code, what.reason);
    else if (what.kind === 'gone') socket.hangUp();
    else if (what.kind === 'pong') (receiver as ServerReceiver | undefined)?.ponged();
    else if (what.kind !== 'open') throw new Error(`a client does not ${what.kind}`);
  }

  // The time to CONNECT or init runs from here, even if nobody says anything.
  peerOf(1);

  return {
    play,
    async next(number) {
      const queue = peerOf(number).observe();
      if (queue.length === 0) {
        await clock.settle();
        peerOf(number).observe();
      }
      return queue.shift();
    },
    seen: () => undefined,
    act(words) {
      const [verb, ...rest] = words.split(' ');
      if (verb === 'publish') void bus.publish(prices, JSON.parse(rest.join(' ')) as Price);
      else if (verb === 'drain') void endpoint.drain({ retryWithin: 5_000 });
      else throw new Error(`an application does not ${verb}. It can: publish {…}, drain`);
    },
    settle: clock.settle,
    async wait(ms) {
      clock.advance(ms);
      await clock.settle();
    },
    async rest() {
      const said = [...peers].flatMap(([number, peer]) => peer.observe().map((each) => `S${number}: ${show(each)}`));
      return [...said, ...errors.map((error) => `an error was reported: ${String(error)}`)];
    },
    async end() {
      for (const { socket } of peers.values()) socket.hangUp();
      await bus.close();
    },
  };
}
