import { type BodyBudget, type Exchange, HttpProblem } from '../../adapters/exchange.ts';
import { gateOptionNames, type HttpDoorOptions } from '../../adapters/gate-options.ts';
import { createHttpDoor, mustBeEndpoint } from '../../adapters/http-door.ts';
import type { RequestHandler } from '../../adapters/server-types.ts';
import type { Timed } from '../../core/clock.ts';
import type { AcceptingEndpoint } from '../../core/endpoint.ts';
import { resolveLimits } from '../../core/limits.ts';
import { checkNames } from '../../core/options.ts';
import type { Subprotocol } from '../../core/subprotocol.ts';
import { turnsOf } from '../../core/turns.ts';
import type { OperationKind } from '../execution/execute.ts';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from '../protocol/messages.ts';
import { graphqlLimits } from '../server/limits.ts';
import type { OperationLimits } from '../server/operation-limits.ts';
import { distinctEvents, type Framing, multipart, oneResult, sharedEvents } from './framing.ts';
import { type BodyLimits, type RequestedOperation, readOperation } from './parameters.ts';
import { type StreamOwner, StreamSocket } from './stream-socket.ts';

export type {
  HttpRequest,
  HttpResponse,
  RequestHandler,
  TrustedProxies,
  TrustProxy,
  UpgradeAnswer,
  UpgradeHook,
  UpgradeRequest,
} from '../../adapters/server-types.ts';

/** The options of {@link graphqlHttp}: `endpoint` and the rules of its gate, as {@link attach} has them. */
export interface GraphqlHttpOptions extends Omit<HttpDoorOptions, 'path'> {
  /**
   * The path, as `attach` takes it.
   *
   * @defaultValue `/graphql/stream`
   */
  readonly path?: string | undefined;
}

const optionNames: Readonly<Record<keyof GraphqlHttpOptions, true>> = {
  ...gateOptionNames,
  endpoint: true,
  path: true,
};

/** A reserved stream has to be fetched within so many ms. */
const fetchWithin = 10_000;

/** So many streams are reserved and not fetched yet; more get 503. */
const maxReserved = 1_000;

/** The bodies that are being read may take as much as so many of the largest. */
const bodiesAtOnce = 16;

/** The id of the only operation of an answer. */
const onlyId = '1';

/**
 * GraphQL over HTTP for clients without WebSockets: server-sent events as graphql-sse has them, in both of its modes,
 * multipart subscriptions as Apollo's `HttpLink` asks for them, and one JSON result for queries and mutations. Operations run
 * in the GraphQL server of the endpoint: its limits, hooks, sharing and drain hold here too. The header `Authorization`
 * is found by `authenticate` as `connectionParams.authorization`, and all headers in the handshake.
 *
 * Returns a handler, which answers `false` for requests that are not for it. Throws a `TypeError` that names the option
 * when one is wrong, or when the endpoint has no GraphQL server.
 *
 * @example
 * const endpoint = attach(server, { protocols: [graphqlServer({ schema })] });
 * const stream = graphqlHttp({ endpoint, path: '/graphql/stream' });
 * server.on('request', (request, response) => stream(request, response) || app(request, response));
 */
export function graphqlHttp(options: GraphqlHttpOptions): RequestHandler {
  checkNames(options, optionNames, 'graphqlHttp()');
  const { path = '/graphql/stream', endpoint } = options;
  mustBeEndpoint(endpoint, 'graphqlHttp()');
  const choice = endpoint.choose([GRAPHQL_TRANSPORT_WS_PROTOCOL]);
  if (choice.kind !== 'speak') {
    throw new TypeError(
      'graphqlHttp() needs an endpoint with a GraphQL server: protocols: [graphqlServer({ schema })]',
    );
  }
  const streams = new GraphqlStreams(endpoint, choice.subprotocol);
  return createHttpDoor({ ...options, path }, ['GET', 'POST', 'PUT', 'DELETE'], (exchange) => streams.serve(exchange));
}

/** The requests of one handler, and the streams of the single connection mode that they share. */
class GraphqlStreams {
  readonly #endpoint: AcceptingEndpoint;
  readonly #subprotocol: Subprotocol;
  readonly #reserved = new Map<string, StreamSocket>();
  readonly #limits: BodyLimits;
  readonly #bodies: BodyBudget;
  #unfetched = 0;

  constructor(endpoint: AcceptingEndpoint, subprotocol: Subprotocol) {
    this.#endpoint = endpoint;
    this.#subprotocol = subprotocol;
    const { maxMessage, maxNodes } = { ...resolveLimits(graphqlLimits), ...subprotocol.limits };
    const { maxPayload, messageTimeout } = endpoint.limits;
    this.#limits = { maxMessage: Math.min(maxMessage, maxPayload), maxNodes, messageTimeout };
    this.#bodies = { bytes: 0, most: bodiesAtOnce * this.#limits.maxMessage };
  }

  serve(exchange: Exchange): void {
    this.#serve(exchange).catch((error: unknown) => {
      if (error instanceof HttpProblem) return exchange.answer(error.status, `${error.message}\n`);
      this.#endpoint.report(error);
      exchange.answer(500, 'The request could not be served\n');
    });
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { method } = exchange;
    const token = exchange.header('x-graphql-event-stream-token') || exchange.query.get('token');
    if (!token) return method === 'PUT' ? this.#reserve(exchange) : this.#run(exchange);
    const stream = this.#reserved.get(token);
    if (!stream) throw new HttpProblem(404, 'There is no stream of this token');
    if (method === 'GET' && !exchange.query.has('query')) return this.#fetch(exchange, stream);
    if (method === 'DELETE') {
      stream.complete(exchange.query.get('operationId') ?? '');
      return exchange.answer(200);
    }
    return this.#start(exchange, stream);
  }

  #open(exchange: Exchange, framing: Framing, kinds: readonly OperationKind[], owner: StreamOwner): StreamSocket {
    const socket = new StreamSocket(framing, owner);
    const limits: OperationLimits = { operationKinds: kinds, withoutPlaces: true };
    const handshake = Object.assign(exchange.handshake, limits);
    const connection = this.#endpoint.accept(socket, handshake, this.#subprotocol);
    const authorization = exchange.header('authorization');
    socket.start(connection, authorization === '' ? undefined : { authorization });
    return socket;
  }

  #read(exchange: Exchange): Promise<RequestedOperation> {
    return readOperation(exchange, this.#limits, this.#bodies, turnsOf(this.#endpoint.clock));
  }

  // ── one request, one operation ─────────────────────────────────────────────────────────────────────────────────

  async #run(exchange: Exchange): Promise<void> {
    if (exchange.method !== 'GET' && exchange.method !== 'POST') throw new HttpProblem(400, 'There is no token');
    const { payload } = await this.#read(exchange);
    const framing = framingFor(exchange.header('accept'));
    // A GET must not change anything (RFC 9110 9.2.1): pages of other origins can make browsers send one.
    const kinds = framing.kinds.filter((kind) => kind !== 'mutation' || exchange.method !== 'GET');
    const socket: StreamSocket = this.#open(exchange, framing, kinds, {
      acknowledged() {
        if (framing.begins) socket.streamTo(exchange);
        socket.subscribe(onlyId, payload);
      },
      answering: (failed) => socket.streamTo(exchange, failed ? framing.failedStatus : 200),
      refused: (status, reason) => exchange.answer(status, `${reason}\n`),
    });
    // Before anything is answered, the client may be gone.
    exchange.onClose = () => socket.terminate();
  }

  // ── one stream, many operations ────────────────────────────────────────────────────────────────────────────────

  #reserve(exchange: Exchange): void {
    if (this.#unfetched >= maxReserved) throw new HttpProblem(503, 'Too many streams are reserved');
    const { clock } = this.#endpoint;
    // Whoever knows it speaks for the client that was let in.
    const token = crypto.randomUUID();
    const late: Timed = {
      deadline: clock.now() + fetchWithin,
      tick: () => socket.terminate(),
    };
    const leave = (): void => {
      clock.forget(late);
      if (!socket.streams) this.#unfetched--;
      this.#reserved.delete(token);
    };
    this.#unfetched++;
    const socket: StreamSocket = this.#open(exchange, sharedEvents, sharedEvents.kinds, {
      acknowledged: () => {
        this.#reserved.set(token, socket);
        exchange.answer(201, token);
      },
      refused: (status, reason) => exchange.answer(status, `${reason}\n`),
      gone: leave,
      fetched: () => {
        clock.forget(late);
        this.#unfetched--;
      },
    });
    clock.watch(late);
  }

  #fetch(exchange: Exchange, stream: StreamSocket): void {
    if (stream.streams) throw new HttpProblem(409, 'This stream is being read already');
    stream.streamTo(exchange);
  }

  async #start(exchange: Exchange, stream: StreamSocket): Promise<void> {
    const { payload, operationId } = await this.#read(exchange);
    if (operationId === undefined) throw new HttpProblem(400, 'There is no operation id: extensions.operationId');
    if (stream.running.has(operationId)) throw new HttpProblem(409, 'An operation with this id runs already');
    stream.subscribe(operationId, payload);
    exchange.answer(202);
  }
}

/** What an answer is to look like, by the header Accept. Whoever asks for nothing that is known gets JSON. */
function framingFor(accept: string): Framing {
  const wanted = accept.toLowerCase();
  if (wanted.includes('multipart/mixed') && wanted.includes('subscriptionspec')) return multipart;
  if (wanted.includes('text/event-stream')) return distinctEvents;
  return oneResult(wanted.includes('application/graphql-response+json'));
}
