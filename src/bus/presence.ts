import { type Clock, never, systemClock, type Timed } from '../core/clock.ts';
import { ProtocolError } from '../core/fault.ts';
import { createListeners } from '../core/listeners.ts';
import type { OpenConnection } from '../core/open-connection.ts';
import { assertOption, checkNames, mustBeClock, mustBeFunctions, numberOptions } from '../core/options.ts';
import { isPromise } from '../core/promise-or.ts';
import { randomId } from '../core/random.ts';
import { createReports } from '../core/reports.ts';
import { encodeUtf8 } from '../core/wire.ts';
import { accessText, type ClientAccess, clientAccessOf } from './access.ts';
import { type Bus, deliverHere } from './bus.ts';
import { createMessage } from './message.ts';
import { kindOf, problemOfTopic } from './names.ts';
import { bytesOfEntry, type Entry, Gossip, type GossipHost, isUser } from './presence-gossip.ts';
import {
  type EndpointPresenceHooks,
  type Presence,
  type PresenceChange,
  type PresenceEvents,
  type PresenceOptions,
  type PresenceStats,
  type Present,
  type PresentClient,
  presenceDefaults,
  type StompPresenceHooks,
  type StompSubscriptionEvent,
  type Tracked,
} from './presence-types.ts';
import { createSubscription, type SourceSink, type Subscription } from './subscription.ts';

const optionNames = {
  ...{ group: true, clients: true, window: true, interval: true, maxEntries: true, maxBytes: true },
  ...{ maxUserEntries: true, info: true, onError: true, clock: true },
} as const satisfies Record<keyof PresenceOptions, true>;

/** The most that may be said of somebody, in bytes of JSON. */
const maxInfo = 4_096;
/** For so long it may take until other servers hear who came back: a leave waits for that, in ms. */
const slack = 500;
/** Leaves are told so many ms late at the most, many together. */
const coarse = 100;

/** A user in a topic. */
interface UserHere {
  readonly topic: string;
  present: Present;
  entries: number;
}

/**
 * Who is connected and subscribed where, over all servers of a bus. Names and info are what the application gives. Each
 * server tells the others what changes, and every 5 s that it lives; reads are local.
 *
 * Throws a `TypeError` that names the option that is wrong.
 *
 * @example
 * const present = presence(bus, { clients: 'read' });
 * const endpoint = attach(http, { ...present.endpoint, protocols: [stompBroker({ bus, ...present.stomp })] });
 * present.on('join', (topic, { user }) => console.log(`${user} is in ${topic}`));
 * const resolvers = { Subscription: { present: { subscribe: () => present.subscribe('room.1'), resolve: (change) => change } } };
 */
export function presence(bus: Bus, options: PresenceOptions = {}): Presence {
  if (typeof bus?.listen !== 'function') {
    throw new TypeError(`presence() needs a bus, such as presence(createBus()); got ${kindOf(bus)}`);
  }
  checkNames(options, optionNames, 'presence()');
  const { group = 'presence', info, onError = (error) => console.error('subwire: presence:', error) } = options;
  mustBeFunctions({ info, onError }, 'presence(): ');
  assertOption(
    typeof group === 'string' && /^[A-Za-z][\w-]*$/.test(group),
    'presence(): group',
    'letters, digits, _ and -',
    group,
  );
  const numbers = numberOptions(options, presenceDefaults, 0, 'presence(): ');
  assertOption(numbers.interval >= 10, 'presence(): interval', 'a number of ms from 10 up', numbers.interval);
  const clients = clientAccessOf(options.clients, 'presence(): clients');
  if (accessText(clients).includes('write')) {
    throw new TypeError(`presence(): clients may read who is there, and nothing else; got ${accessText(clients)}`);
  }
  mustBeClock(options.clock, 'presence(): ');
  const clock = options.clock ?? systemClock;
  return new BusPresence(bus, { ...numbers, group, clients, info, clock, report: createReports(onError, clock) });
}

interface BusPresenceOptions extends Readonly<Record<keyof typeof presenceDefaults, number>> {
  readonly group: string;
  readonly clients: ClientAccess;
  readonly info: ((client: PresentClient) => unknown) | undefined;
  readonly report: (error: unknown) => void;
  readonly clock: Clock;
}

/** Who is where: users by topic, counted over the entries of this server and of those that gossip. */
class BusPresence implements Presence, Timed, GossipHost {
  /** When the next leave is due, in ms. */
  deadline: number = never;
  readonly endpoint: EndpointPresenceHooks;
  readonly stomp: StompPresenceHooks;
  readonly clock: Clock;
  readonly interval: number;
  readonly on: Presence['on'];
  readonly #bus: Bus;
  readonly #options: BusPresenceOptions;
  readonly #gossip: Gossip;
  readonly #topics = new Map<string, Map<string, UserHere>>();
  readonly #entriesOfUser = new Map<string, number>();
  // Who has no entry any more, and when that is told.
  readonly #leaving = new Map<UserHere, number>();
  readonly #readers = new Map<string, Set<SourceSink<PresenceChange>>>();
  readonly #emit: (event: keyof PresenceEvents, topic: string, present: Present) => void;
  readonly #stopListening: () => void;
  readonly #epoch = randomId().slice(0, 8);
  #changes = 0;
  #entries = 0;
  #bytes = 0;
  #refused = 0;
  #closed = false;

  constructor(bus: Bus, options: BusPresenceOptions) {
    const { group, clients, clock, interval, report } = options;
    this.#bus = bus;
    this.#options = options;
    this.clock = clock;
    this.interval = interval;
    const { on, emit } = createListeners<{ [Event in keyof PresenceEvents]: PresenceEvents[Event] }>(report);
    this.on = on;
    this.#emit = emit;
    // Declared in any case: where all topics are open, clients could say who is there ([PRESENCE-4]).
    bus.declare(`${group}/**`, { clients });
    this.#gossip = new Gossip(this);
    const listening = bus.listen(this.#gossipTopic, this.#gossip);
    this.#stopListening = () => listening.stop();
    // Why it is not live is reported by the bus; a gap says when it is.
    listening.active.then(
      () => this.#gossip.start(),
      () => this.#gossip.start(),
    );
    this.endpoint = this.#endpointHooks();
    this.stomp = this.#stompHooks();
  }

  get #gossipTopic(): string {
    return `$presence/${this.#options.group}`;
  }

  // ── what the application says ──────────────────────────────────────────────────────────────────────────────────

  track(topic: string, user: string, info?: unknown): Tracked {
    if (this.#closed) throw new Error('presence: it is closed: track() comes too late');
    const problem = problemOfTopic(topic) ?? problemOfTopic(`${this.#options.group}/${topic}`);
    if (problem !== undefined) throw new TypeError(`track("${String(topic)}"): a topic ${problem}`);
    if (!isUser(user))
      throw new TypeError(`track("${topic}"): a user must be text of 1 to 1,024 characters; got ${kindOf(user)}`);
    const [said, text] = this.#checked(topic, info);
    const own = this.#entriesOfUser.get(user) ?? 0;
    const { maxUserEntries } = this.#options;
    if (own >= maxUserEntries) this.#refuse(`more than ${maxUserEntries} presences of one user`);
    const bytes = bytesOfEntry(topic, user, text);
    if (!this.#hasRoom(bytes)) this.#refuse('too many presences: see maxEntries and maxBytes');
    this.#entriesOfUser.set(user, own + 1);
    const entry = this.#gossip.add(topic, user, said, bytes);
    this.#came(entry);
    let here = true;
    return {
      update: (newInfo) => {
        if (!here) throw new Error(`update("${topic}"): ${user} has left`);
        const [newSaid, newText] = this.#checked(topic, newInfo);
        const newBytes = bytesOfEntry(topic, user, newText);
        if (newBytes > entry.bytes && !this.#hasRoom(newBytes - entry.bytes, 0)) this.#refuse('no room: see maxBytes');
        this.#bytes += newBytes - entry.bytes;
        entry.bytes = newBytes;
        entry.info = newSaid;
        this.#gossip.change(entry);
        this.#say(entry);
      },
      leave: () => {
        if (!here || this.#closed) return;
        here = false;
        const left = (this.#entriesOfUser.get(user) ?? 1) - 1;
        if (left > 0) this.#entriesOfUser.set(user, left);
        else this.#entriesOfUser.delete(user);
        this.#gossip.remove(entry);
        this.left(entry, this.clock.now());
      },
    };
  }

  list(topic: string): readonly Present[] {
    return Array.from(this.#topics.get(topic)?.values() ?? [], ({ present }) => present);
  }

  subscribe(topic: string): Subscription<PresenceChange> {
    const problem = problemOfTopic(topic);
    if (problem !== undefined) throw new TypeError(`subscribe("${String(topic)}"): a topic ${problem}`);
    return createSubscription<PresenceChange>((sink) => {
      const readers = this.#readers.get(topic) ?? new Set();
      this.#readers.set(topic, readers.add(sink));
      sink.next({ type: 'state', topic, present: this.list(topic) });
      if (this.#closed) sink.complete();
      return () => {
        readers.delete(sink);
        if (readers.size === 0) this.#readers.delete(topic);
      };
    });
  }

  stats(): PresenceStats {
    const { servers, dropped } = this.#gossip;
    const topics = this.#topics.size;
    return { entries: this.#entries, bytes: this.#bytes, topics, servers, dropped: dropped + this.#refused };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#gossip.stop();
    this.#stopListening();
    this.clock.forget(this);
    this.deadline = never;
    for (const readers of [...this.#readers.values()]) for (const sink of [...readers]) sink.complete();
    this.#topics.clear();
    this.#leaving.clear();
  }

  /** Throws a `TypeError` if JSON cannot hold it, or if it is too long. What comes back is a copy. */
  #checked(topic: string, info: unknown): readonly [said: unknown, text: string] {
    if (info === undefined) return [undefined, ''];
    // A promise would be an empty object of JSON.
    const text: string | undefined = isPromise(info) ? undefined : JSON.stringify(info);
    if (text === undefined || text.length > maxInfo) {
      throw new TypeError(
        `track("${topic}"): info must be JSON of at most ${maxInfo} characters; got ${text ? text.length : kindOf(info)}`,
      );
    }
    return [JSON.parse(text), text];
  }

  #hasRoom(bytes: number, entries = 1): boolean {
    const { maxEntries, maxBytes } = this.#options;
    return this.#entries + entries <= maxEntries && this.#bytes + bytes <= maxBytes;
  }

  #refuse(words: string): never {
    this.#refused++;
    throw new ProtocolError('tooMany', `presence: ${words}`);
  }

  // ── what other servers say ─────────────────────────────────────────────────────────────────────────────────────

  connected(): boolean {
    return this.#bus.backbone.state === 'up';
  }

  publish(body: Uint8Array): Promise<unknown> {
    return this.#bus.publish(this.#gossipTopic, body, { contentType: 'application/json' });
  }

  joined(entry: Entry): boolean {
    if (!this.#hasRoom(entry.bytes)) return false;
    this.#came(entry);
    return true;
  }

  updated(entry: Entry, info: unknown): void {
    const bytes = bytesOfEntry(entry.topic, entry.user, info === undefined ? '' : JSON.stringify(info));
    this.#bytes += bytes - entry.bytes;
    entry.bytes = bytes;
    entry.info = info;
    this.#say(entry);
  }

  left({ topic, user, bytes }: Entry, at: number): void {
    this.#entries--;
    this.#bytes -= bytes;
    const here = this.#topics.get(topic)?.get(user);
    if (!here || --here.entries > 0) return;
    // At the same time as others.
    const due = Math.ceil((at + this.#options.window + slack) / coarse) * coarse;
    this.#leaving.set(here, due);
    this.deadline = Math.min(this.deadline, due);
    this.clock.watch(this);
  }

  tick(now: number): void {
    this.deadline = never;
    for (const [here, due] of this.#leaving) {
      if (due > now) {
        this.deadline = Math.min(this.deadline, due);
        continue;
      }
      this.#leaving.delete(here);
      const { topic, present } = here;
      const users = this.#topics.get(topic);
      users?.delete(present.user);
      if (users?.size === 0) this.#topics.delete(topic);
      this.#tell('leave', topic, present);
    }
  }

  // ── who is here ────────────────────────────────────────────────────────────────────────────────────────────────

  #came(entry: Entry): void {
    const { topic, user, info, bytes } = entry;
    this.#entries++;
    this.#bytes += bytes;
    const users = this.#topics.get(topic) ?? new Map<string, UserHere>();
    const here = users.get(user);
    if (here) {
      here.entries++;
      this.#leaving.delete(here);
      return this.#say(entry);
    }
    this.#topics.set(topic, users);
    const present = { user, info };
    users.set(user, { topic, present, entries: 1 });
    this.#tell('join', topic, present);
  }

  /** What is said last of a user counts. */
  #say({ topic, user, info }: Entry): void {
    const here = this.#topics.get(topic)?.get(user);
    if (!here || JSON.stringify(here.present.info) === JSON.stringify(info)) return;
    here.present = { user, info };
    this.#tell('update', topic, here.present);
  }

  #tell(type: keyof PresenceEvents, topic: string, present: Present): void {
    this.#emit(type, topic, present);
    const change: PresenceChange = { type, topic, ...present };
    for (const sink of [...(this.#readers.get(topic) ?? [])]) sink.next(change);
    const { group, clients } = this.#options;
    if (accessText(clients) === "'none'") return;
    // To those of this server alone: every server tells its own.
    const position = { epoch: this.#epoch, offset: ++this.#changes };
    const body = encodeUtf8(JSON.stringify(change));
    this.#bus[deliverHere](createMessage({ topic: `${group}/${topic}`, body, contentType: json, position }));
  }

  // ── hooks ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Track whom `authenticate` named; what goes wrong is reported, and nobody is sent away for it. */
  #trackClient(topic: string, { principal, handshake }: PresentClient): Tracked | undefined {
    const user = principal?.name;
    if (user === undefined) return undefined;
    try {
      return this.track(topic, user, this.#options.info?.({ principal, handshake }));
    } catch (error) {
      this.#options.report(error);
      return undefined;
    }
  }

  #endpointHooks(): EndpointPresenceHooks {
    const tracked = new WeakMap<OpenConnection, Tracked>();
    return {
      onConnect: (connection) => {
        const one = this.#trackClient('connected', connection);
        if (one) tracked.set(connection, one);
      },
      onDisconnect: (connection) => tracked.get(connection)?.leave(),
    };
  }

  #stompHooks(): StompPresenceHooks {
    const { group } = this.#options;
    const tracked = new Map<string, Tracked[]>();
    const keyOf = ({ session, destination }: StompSubscriptionEvent): string => `${session} ${destination}`;
    const topicOf = (destination: string): string | undefined => {
      const topic = destination.startsWith('/topic/') ? destination.slice(7) : undefined;
      return topic === undefined || topic.startsWith(`${group}/`) || /[*#>]/.test(topic) ? undefined : topic;
    };
    return {
      onSubscribed: (event) => {
        const topic = topicOf(event.destination);
        const one = topic === undefined ? undefined : this.#trackClient(topic, event);
        if (!one) return;
        const key = keyOf(event);
        const own = tracked.get(key);
        if (own) own.push(one);
        else tracked.set(key, [one]);
      },
      onUnsubscribed: (event) => {
        const key = keyOf(event);
        const own = tracked.get(key);
        own?.pop()?.leave();
        if (own?.length === 0) tracked.delete(key);
      },
      onSubscribe: ({ destination }) => {
        const prefix = `/topic/${group}/`;
        const topic = destination.slice(prefix.length);
        if (!destination.startsWith(prefix) || problemOfTopic(topic) !== undefined) return undefined;
        return { body: JSON.stringify({ type: 'state', topic, present: this.list(topic) }), contentType: json };
      },
    };
  }
}

const json = 'application/json';
