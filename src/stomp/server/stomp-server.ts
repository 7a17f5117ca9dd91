import type { Subprotocol } from '../../core/subprotocol.ts';
import type { HeartBeat } from '../protocol/heart-beat.ts';
import { subprotocolOf, versions } from '../protocol/versions.ts';
import { Application, type DefaultPermission } from './application.ts';
import type { DestinationHandler, HandlerClient } from './destination-handler.ts';
import { type Route, relayedRoute } from './destinations.ts';
import { stompFaults } from './faults.ts';
import { FrameLog } from './frame-log.ts';
import type { BrokerHooks } from './hooks.ts';
import type { StompLimits } from './limits.ts';
import type { Outgoing } from './outgoing.ts';
import { StompSession } from './stomp-session.ts';

/** What a STOMP server is made of, whoever is behind it. */
export interface StompServerOptions {
  /** Limits of each connection. */
  readonly limits: StompLimits;
  /** What this side offers to clients. */
  readonly heartbeat: HeartBeat;
  /** The application. */
  readonly hooks: BrokerHooks;
  /** Where destinations live. The last one has all those that no prefix of `relayed` names. */
  readonly handlers: readonly DestinationHandler[];
  /** Destinations of the other handlers: what they begin with, in the order of `handlers`. */
  readonly relayed: readonly string[];
  /** What a destination of the last handler means. Throws a `ProtocolError` where it is no good. */
  readonly route: (command: 'SEND' | 'SUBSCRIBE', destination: string, client: HandlerClient | undefined) => Route;
  /** What is allowed where `authorize` says nothing. */
  readonly permitted: DefaultPermission;
  /** The `server` header of CONNECTED; undefined: CONNECTED says what the broker behind this server says. */
  readonly server: string | undefined;
  /** Any refused SEND ends its connection ([STOMP-41]). */
  readonly strict: boolean;
  /** UNSUBSCRIBE and ACK of what is unknown are passed over ([STOMP-100]). */
  readonly tolerant: boolean;
  /** Is a client that names this virtual host let in ([STOMP-29])? */
  readonly knowsHost: (host: string) => boolean | Promise<boolean>;
}

/** A subprotocol whose frames go to handlers by prefix, and a way for the application to send by itself. */
export interface StompServer extends Subprotocol {
  /** What a destination means to a client; undefined: to the application. Throws a `ProtocolError` where it is no good. */
  route(command: 'SEND' | 'SUBSCRIBE', destination: string, client: HandlerClient | undefined): Route;
  /** SENDs that were refused and dropped. */
  readonly refusedSends: () => number;
  /** Send without asking anybody. Undefined: it is done; a promise: it is done when this resolves. */
  publish(message: Outgoing): Promise<unknown> | undefined;
}

/** Does this destination lie below this prefix? `/queue` has `/queue` itself and `/queue/a`, and not `/queues`. */
const below = (prefix: string, destination: string): boolean =>
  destination.startsWith(prefix) && (destination.length === prefix.length || destination[prefix.length] === '/');

/** Join handlers of destinations to one STOMP server. */
export function createStompServer(options: StompServerOptions): StompServer {
  const { limits, heartbeat, hooks, handlers, relayed, permitted, server, knowsHost, strict, tolerant } = options;

  function route(command: 'SEND' | 'SUBSCRIBE', destination: string, client: HandlerClient | undefined): Route {
    for (let handler = 0; handler < relayed.length; handler++) {
      if (below(relayed[handler] as string, destination)) return relayedRoute(handler, destination);
    }
    return options.route(command, destination, client);
  }

  function publish(message: Outgoing): Promise<unknown> | undefined {
    const index = message.route.kind === 'relayed' ? message.route.handler : handlers.length - 1;
    return (handlers[index] as DestinationHandler).publish(message);
  }

  const application = new Application({
    ...hooks,
    permitted,
    route: (destination) => route('SEND', destination, undefined),
    publish,
  });
  let refusedSends = 0;
  const refused = (): void => {
    refusedSends++;
  };
  const frameLog = hooks.onFrame && new FrameLog(hooks.onFrame);
  const common = { limits, heartbeat, application, handlers, route, server, knowsHost, strict, tolerant };
  const session = { ...common, refused, frameLog };

  return {
    names: [...versions.map(subprotocolOf), 'stomp'],
    faults: stompFaults,
    acceptsUnnamed: true,
    open: (connection) => new StompSession(connection, server === undefined ? '' : crypto.randomUUID(), session),
    route,
    publish,
    refusedSends: () => refusedSends,
    dispose() {
      for (const handler of handlers) handler.dispose?.();
    },
  };
}
