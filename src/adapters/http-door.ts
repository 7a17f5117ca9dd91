import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AcceptingEndpoint } from '../core/endpoint.ts';
import { isPromise } from '../core/promise-or.ts';
import type { Handshake } from '../core/subprotocol.ts';
import { ignore } from './answer.ts';
import { Complaints } from './complaints.ts';
import { Exchange, retryAfterDefault } from './exchange.ts';
import { createGate, gateRules } from './gate.ts';
import type { HttpDoorOptions } from './gate-options.ts';
import { pathOf, readPath } from './path.ts';
import type { RequestHandler } from './server-types.ts';

/** How long a browser may remember that a page of another origin is allowed, in seconds. */
const preflightAge = 600;

/**
 * A handler for the HTTP requests of one path, which pass the same gate as upgrades do: host, origin, address, hook. Pages
 * of other origins that `origin` lets in can read the answers (CORS); whoever is not let in gets 403, and sees nothing.
 *
 * The handler answers `false` for whatever is not its path, so that it stands before or behind others.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const handle = createHttpDoor({ endpoint, path: '/events' }, ['GET'], (exchange) => exchange.answer(204));
 */
export function createHttpDoor(
  options: HttpDoorOptions,
  methods: readonly string[],
  serve: (exchange: Exchange) => void,
): RequestHandler {
  const { path, origin } = options;
  const endpoint = options.endpoint as AcceptingEndpoint;
  const pattern = readPath(path);
  const rules = gateRules(options);
  const { clock } = endpoint;
  const complaints = new Complaints(endpoint.report, clock);

  function accept(request: IncomingMessage, response: ServerResponse, handshake: Handshake): void {
    const exchange = new Exchange(request, response, handshake, clock);
    // What was let in may read the answer. A cookie goes along only where the rule says whose page it is.
    if (request.headers.origin !== undefined) exchange.share(request.headers.origin, origin !== '*');
    if (request.method === 'OPTIONS') return preflight(request, exchange);
    serve(exchange);
  }

  function answer(response: ServerResponse, status: number, text: string, retryAfter = retryAfterDefault): void {
    response.once('error', ignore);
    if (status === 429 || status === 503) response.setHeader('Retry-After', retryAfter);
    response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
  }

  function preflight(request: IncomingMessage, exchange: Exchange): void {
    const headers = request.headers['access-control-request-headers'];
    exchange.answer(204, undefined, {
      'Access-Control-Allow-Methods': methods.join(', '),
      ...(headers !== undefined && { 'Access-Control-Allow-Headers': headers }),
      'Access-Control-Max-Age': String(preflightAge),
    });
  }

  const door = { accept, answer };
  const gate = createGate<ServerResponse>(endpoint, rules, door, complaints, clock);
  // A browser asks before it sends what the hook would look at.
  const gateOfPreflights = createGate<ServerResponse>(endpoint, { ...rules, hook: undefined }, door, complaints, clock);

  return (given, answering) => {
    const request = given as unknown as IncomingMessage;
    const response = answering as unknown as ServerResponse;
    const params = pattern.match(pathOf(request.url ?? ''));
    if (params === undefined) return false;
    const { method = '' } = request;
    if (method === 'OPTIONS') gateOfPreflights(request, response, params);
    else if (methods.includes(method)) gate(request, response, params);
    else {
      response.setHeader('Allow', methods.join(', '));
      answer(response, 405, `${path} takes ${methods.join(', ')}`);
    }
    return true;
  };
}

/** Throws a `TypeError` unless this is what `attach` or `createEndpoint` returned; `owner` goes before. */
export function mustBeEndpoint(endpoint: unknown, owner: string): asserts endpoint is AcceptingEndpoint {
  if (typeof (endpoint as Partial<AcceptingEndpoint> | undefined)?.accept === 'function') return;
  const got = isPromise(endpoint) ? 'a promise: await it' : String(endpoint);
  throw new TypeError(`${owner} needs the endpoint that attach() returned: { endpoint }; got ${got}`);
}
