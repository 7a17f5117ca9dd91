import { type Exchange, HttpProblem } from '../adapters/exchange.ts';
import { gateOptionNames, type HttpDoorOptions } from '../adapters/gate-options.ts';
import { createHttpDoor, mustBeEndpoint } from '../adapters/http-door.ts';
import type { RequestHandler } from '../adapters/server-types.ts';
import type { Bus } from '../bus/bus.ts';
import { problemOfName } from '../bus/names.ts';
import type { AcceptingEndpoint } from '../core/endpoint.ts';
import { faultTable } from '../core/fault-table.ts';
import { checkNames, inWords } from '../core/options.ts';
import { type EventsRequest, EventsSession } from './events-session.ts';
import { EventsSocket } from './events-socket.ts';

/** The options of {@link topicEvents}: `endpoint` and the rules of its gate, as {@link attach} has them. */
export interface TopicEventsOptions extends Omit<HttpDoorOptions, 'path'> {
  /** Whose topics are read. */
  readonly bus: Bus;
  /**
   * The path, as `attach` takes it.
   *
   * @defaultValue `/events`
   */
  readonly path?: string | undefined;
}

const optionNames: Readonly<Record<keyof TopicEventsOptions, true>> = {
  ...gateOptionNames,
  endpoint: true,
  path: true,
  bus: true,
};

/** So many topics one reader may ask for. */
const maxTopics = 50;

const faults = faultTable({ unauthorized: 4_401, forbidden: 4_403 });

/**
 * Topics of a bus for a plain `EventSource`: `new EventSource('/events?topic=prices')`. One event for each message, with its
 * place as the id, so that a browser which comes back by itself misses nothing: `Last-Event-ID` is answered from the past
 * of the bus, or by an event `gap`. Several topics, or a pattern, tell themselves apart by the type of the event. Clients
 * read what topics say (`clients: 'read'`, or `{ events: 'read' }`); limits, `authenticate`, slow readers and drain are those
 * of the endpoint.
 *
 * Returns a handler, which answers `false` for requests that are not for it. Throws a `TypeError` that names the option
 * when one is wrong.
 *
 * @example
 * const endpoint = attach(server, { protocols: [stompBroker({ bus })] });
 * const events = topicEvents({ endpoint, bus });
 * server.on('request', (request, response) => events(request, response) || app(request, response));
 */
export function topicEvents(options: TopicEventsOptions): RequestHandler {
  checkNames(options, optionNames, 'topicEvents()');
  const { endpoint, bus, path = '/events' } = options;
  mustBeEndpoint(endpoint, 'topicEvents()');
  const accepting: AcceptingEndpoint = endpoint;
  if (typeof bus?.listen !== 'function') {
    throw new TypeError(`topicEvents() needs a bus, such as topicEvents({ endpoint, bus }); got ${inWords(bus)}`);
  }

  function serve(exchange: Exchange): void {
    try {
      const request = requested(exchange);
      const socket = new EventsSocket(exchange);
      const connection = accepting.accept(socket, exchange.handshake, {
        names: [socket.protocol],
        faults,
        open: (opened) => new EventsSession(opened, bus, request),
      });
      socket.start(connection);
    } catch (error) {
      if (error instanceof HttpProblem) return exchange.answer(error.status, `${error.message}\n`);
      accepting.report(error);
      exchange.answer(500, 'The request could not be served\n');
    }
  }

  return createHttpDoor({ ...options, path }, ['GET'], serve);
}

/** What a request asks for. Throws an {@link HttpProblem} 400 that says what is wrong with it. */
function requested(exchange: Exchange): EventsRequest {
  const topics = [...new Set(exchange.query.getAll('topic'))];
  if (topics.length === 0) throw new HttpProblem(400, 'There is no topic: ?topic=prices');
  if (topics.length > maxTopics) throw new HttpProblem(400, `At most ${maxTopics} topics`);
  for (const topic of topics) {
    const problem = problemOfName(topic);
    if (problem !== undefined) throw new HttpProblem(400, `topic: a name ${problem}`);
  }
  return { topics, lastEventId: exchange.header('last-event-id') || (exchange.query.get('lastEventId') ?? '') };
}
