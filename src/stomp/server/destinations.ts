import { isPattern } from '../../bus/pattern.ts';
import { ProtocolError } from '../../core/fault.ts';
import { shorten } from '../protocol/frame-fields.ts';

/** Where each kind of destination begins. Each starts with `/` or whatever your clients use, and none with another. */
export interface Prefixes {
  /**
   * Fan-out: everybody who subscribed gets a copy.
   *
   * @defaultValue `/topic/`
   */
  readonly topic: string;
  /**
   * Competing consumers: each message goes to one of them.
   *
   * @defaultValue `/queue/`
   */
  readonly queue: string;
  /**
   * Replies to this connection alone: in `reply-to` of a SEND, or to subscribe to.
   *
   * @defaultValue `/temp-queue/`
   */
  readonly tempQueue: string;
  /**
   * What a `reply-to` of the kind above becomes, so that the other side can SEND to it.
   *
   * @defaultValue `/reply-queue/`
   */
  readonly replyQueue: string;
  /**
   * SUBSCRIBE: what is meant for the own user. SEND to `<prefix><name>/…`: to all connections of a user.
   *
   * @defaultValue `/user/`
   */
  readonly user: string;
  /**
   * Calls `onSend`.
   *
   * @defaultValue `/app/`
   */
  readonly application: string;
}

/** What destinations begin with, where the application says nothing else. */
export const defaultPrefixes: Prefixes = {
  /** Fan-out. */
  topic: '/topic/',
  /** Competing consumers. */
  queue: '/queue/',
  /** Replies to this connection. */
  tempQueue: '/temp-queue/',
  /** Where the other side answers. */
  replyQueue: '/reply-queue/',
  /** The own user, or another. */
  user: '/user/',
  /** Answered by `onSend` and `onSubscribe`. */
  application: '/app/',
};

/** Of the bus. `open`: clients chose its name, so that a typed topic of that name has a say. */
export interface TopicRoute {
  /** Of the bus. */
  readonly kind: 'topic';
  /** Its name on the bus. */
  readonly topic: string;
  /** It stands for all topics that match it. */
  readonly pattern: boolean;
  /** A client chose the name, so that the bus says who may use it; else it is the broker's own. */
  readonly open: boolean;
}

/** What a destination means to the broker. */
export type Route =
  | TopicRoute
  | { readonly kind: 'queue'; readonly name: string }
  | { readonly kind: 'application'; readonly destination: string }
  | RelayedRoute;

/** Of a broker behind this server. */
export interface RelayedRoute {
  /** Of another broker. */
  readonly kind: 'relayed';
  /** The place of its handler among those of the server. */
  readonly handler: number;
  /** As that broker may read it: percent-decoded. */
  readonly destination: string;
}

/**
 * The way to a broker behind this server. Whoever is asked about a destination reads it as the broker will, which may
 * percent-decode it ([RELAY-22]). Throws a {@link ProtocolError} `malformed` if it cannot be decoded, or if a control
 * character comes out.
 *
 * @example
 * relayedRoute(0, '/queue/%73ecret'); // { kind: 'relayed', handler: 0, destination: '/queue/secret' }
 */
export function relayedRoute(handler: number, destination: string): RelayedRoute {
  const decoded = destination.includes('%') ? decodeName(destination, 'a destination') : destination;
  assertNoControls(decoded);
  return { kind: 'relayed', handler, destination: decoded };
}

/** Topics of the bus with what is meant for users, by their names. */
const userTopics = '$user/';
/** Topics of the bus with what arrives in temporary queues, by sessions. */
const replyTopics = '$reply/';

/** Topics of the bus that stand for queues where everybody gets a copy, by their names. */
const queueTopics = '$queue/';

/** The name behind the prefix of such a queue; undefined: the topic is none ([STOMP-127]). */
export const fannedQueue = (topic: string): string | undefined => {
  const name = rest(topic, queueTopics);
  return name === undefined ? undefined : unescapeWildcards(name);
};

/** All that the broker keeps for itself on a bus; it claims them, so that no other protocol can ([STOMP-121]). */
export const claimedPrefixes: readonly string[] = [userTopics, replyTopics, queueTopics];

/** Topics of the bus that begin like this are the broker's own: no client reaches them by a topic or a wildcard. */
export const isPrivateTopic = (topic: string): boolean => topic.startsWith('$');

/** The topic of messages that no bus carries, such as those of queues: their destination as it is. */
export const literalTopic = (destination: string): string => `$=${destination}`;

/** The user that a connection belongs to, and the connection itself. */
export interface Owner {
  /** The name for `/user/…`: of the principal, else the session. */
  readonly user: string;
  /** The `session` of CONNECTED. */
  readonly session: string;
}

/** What is meant for a user. */
export const isUserTopic = (topic: string): boolean => topic.startsWith(userTopics);

/** A temporary queue of this connection. */
export const isReplyTo = ({ session }: Owner, route: Route): boolean =>
  route.kind === 'topic' && route.topic.startsWith(`${replyTopics}${session}/`);

/** May this client SEND to a topic that no client names: to itself, or to a temporary queue, whose name is a secret. */
export const isOwnTopic = ({ user }: Owner, topic: string): boolean =>
  topic.startsWith(replyTopics) || topic.startsWith(`${userTopics}${segment(user)}/`);

/**
 * Names of destinations: what they mean (`fansOut`: each subscriber of a queue gets a copy), and how a topic of the bus looks to a STOMP client. `toSend` and `toSubscribe`
 * throw a {@link ProtocolError}: `malformed` if the name is no good, `forbidden` if nothing here has it.
 *
 * @example
 * createDestinations().toSend('/topic/prices'); // { kind: 'topic', topic: 'prices', pattern: false, open: true }
 */
export function createDestinations(prefixes: Prefixes = defaultPrefixes, fansOut = false) {
  const { topic, queue, tempQueue, replyQueue, user, application } = prefixes;
  const known = Object.values(prefixes).join(', ');

  function openTopic(name: string): TopicRoute {
    if (isPrivateTopic(name)) throw new ProtocolError('forbidden', 'topics that begin with $ are reserved');
    return { kind: 'topic', topic: name, pattern: name.includes('*') && isPattern(name), open: true };
  }

  /** What a destination behind the prefix of queues means. */
  function queueRoute(destination: string, name: string): Route {
    return fansOut ? privateTopic(`${queueTopics}${escapeWildcards(name)}`) : { kind: 'queue', name: destination };
  }

  /** A temporary queue of this connection: the address that others can SEND to, and where it arrives; undefined: it is none. */
  function temporaryQueue(destination: string, { session }: Owner) {
    const name = rest(destination, tempQueue);
    if (name === undefined) return undefined;
    return { address: `${replyQueue}${session}/${name}`, topic: `${replyTopics}${session}/${escapeWildcards(name)}` };
  }

  function unknown(destination: string): never {
    throw new ProtocolError(
      'forbidden',
      `no destination "${destination.slice(0, 200)}" here; they begin with ${known}`,
    );
  }

  return {
    toSend(destination: string): Route {
      assertNoControls(destination);
      const name = rest(destination, topic);
      if (name !== undefined) {
        const route = openTopic(name);
        if (route.pattern) throw new ProtocolError('malformed', 'SEND to a destination with a wildcard');
        return route;
      }
      const queued = rest(destination, queue);
      if (queued !== undefined) return queueRoute(destination, queued);
      if (rest(destination, application) !== undefined) return { kind: 'application', destination };
      const reply = rest(destination, replyQueue);
      if (reply !== undefined) return privateTopic(`${replyTopics}${escapeWildcards(reply)}`);
      const addressed = rest(destination, user);
      if (addressed === undefined) {
        if (rest(destination, tempQueue) === undefined) return unknown(destination);
        throw new ProtocolError(
          'forbidden',
          `SEND to ${tempQueue}…: use the reply-to header of the message you answer`,
        );
      }
      const slash = addressed.indexOf('/');
      if (slash < 1 || slash === addressed.length - 1) {
        throw new ProtocolError(
          'malformed',
          `SEND to a user needs a name and a destination: ${user}name/queue/replies`,
        );
      }
      return privateTopic(
        `${userTopics}${segment(decodeName(addressed.slice(0, slash), 'a user name'))}/${escapeWildcards(addressed.slice(slash + 1))}`,
      );
    },

    toSubscribe(destination: string, owner: Owner): Route {
      assertNoControls(destination);
      const name = rest(destination, topic);
      if (name !== undefined) return openTopic(wildcards(name));
      const queued = rest(destination, queue);
      if (queued !== undefined) {
        // Spring's broker would match it; where queues have consumers it is a name like others.
        if (fansOut && wildcards(queued).includes('*')) refusePattern(destination);
        return queueRoute(destination, queued);
      }
      if (rest(destination, application) !== undefined) return { kind: 'application', destination };
      const own = rest(destination, user);
      if (own !== undefined) return privateTopic(`${userTopics}${segment(owner.user)}/${escapeWildcards(own)}`);
      const temporary = temporaryQueue(destination, owner);
      return temporary ? privateTopic(temporary.topic) : unknown(destination);
    },

    temporaryQueue,

    /** Where a client hears of its SENDs that were refused. */
    errors: `${user}queue/errors`,

    /** The destination of a message that came by this topic of the bus, or under a {@link literalTopic}. */
    shown(name: string): string {
      if (!isPrivateTopic(name)) return `${topic}${name}`;
      if (name.startsWith('$=')) return name.slice(2);
      const second = name.indexOf('/', name.indexOf('/') + 1) + 1;
      const queued = fannedQueue(name);
      if (queued !== undefined) return `${queue}${queued}`;
      if (name.startsWith(userTopics)) return `${user}${unescapeWildcards(name.slice(second))}`;
      return `${replyQueue}${unescapeWildcards(name.slice(replyTopics.length))}`;
    },
  };
}

/** What destinations mean: see {@link createDestinations}. */
export type Destinations = ReturnType<typeof createDestinations>;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controls = /[\u0000-\u001f\u007f]/;

function assertNoControls(destination: string): void {
  if (controls.test(destination)) throw new ProtocolError('malformed', 'a destination with a control character');
}

const rest = (destination: string, prefix: string): string | undefined =>
  destination.length > prefix.length && destination.startsWith(prefix) ? destination.slice(prefix.length) : undefined;

const privateTopic = (topic: string): TopicRoute => ({ kind: 'topic', topic, pattern: false, open: false });

/** How many nodes of the bus's tree a pattern of this text needs. */
export function segmentsOf(name: string): number {
  let segments = 1;
  for (let at = 0; at < name.length; at++) {
    const unit = name.charCodeAt(at);
    if (unit === dot || unit === slash) segments++;
  }
  return segments;
}

const dot = 46;
const slash = 47;

/** The bus says `**` for "the rest"; others say `#` or `>`. */
function wildcards(name: string): string {
  if (isPrivateTopic(name)) return name;
  const pattern = name.replace(/(^|[./])[#>]$/, '$1**');
  if (/(^|[./])\*\*[./]/.test(pattern)) {
    throw new ProtocolError('malformed', 'the wildcard ** stands for the rest of a name, so nothing can follow it');
  }
  // Patterns of the Ant kind would subscribe to nothing, without a word.
  for (const segment of pattern.split(/[./]/)) {
    if (/[{}?]/.test(segment) || (segment.includes('*') && segment !== '*' && segment !== '**')) {
      throw new ProtocolError(
        'malformed',
        `"${shorten(segment)}" is no pattern here: * stands for one whole segment, ** for the rest`,
      );
    }
  }
  return pattern;
}

function refusePattern(destination: string): never {
  throw new ProtocolError(
    'malformed',
    `"${shorten(destination)}": queues have no patterns here; subscribe to each, or send to topics`,
  );
}

/** A name as one segment of a topic. It must not look like a wildcard, nor like two segments. */
const segment = (name: string): string => escapeWildcards(encodeURIComponent(name)).replaceAll('.', '%2E');

/** In private topics a `*` is a character. `%` is escaped as well, so that two names never become one. */
const escapeWildcards = (name: string): string => name.replaceAll('%', '%25').replaceAll('*', '%2A');
const unescapeWildcards = (name: string): string => name.replaceAll('%2A', '*').replaceAll('%25', '%');

function decodeName(name: string, what: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    throw new ProtocolError('malformed', `${what} with a % that encodes nothing`);
  }
}
