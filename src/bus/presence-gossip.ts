import { type Clock, never, type Timed } from '../core/clock.ts';
import { randomId } from '../core/random.ts';
import { decodeUtf8, encodeUtf8 } from '../core/wire.ts';
import type { MessageReceiver } from './fan-out.ts';
import { problemOfTopic } from './names.ts';

/** Somebody who is somewhere, by one connection: what an application tracks, and what travels. */
export interface Entry {
  /** A number that its server has given to no other. */
  readonly id: number;
  /** Where. */
  readonly topic: string;
  /** Who. */
  readonly user: string;
  /** What the application says of it: JSON. */
  info: unknown;
  /** What it costs, in bytes: the texts, and what the maps that hold it take. */
  bytes: number;
  /** Other servers have heard of it. */
  told: boolean;
}

/** What travels of an entry. */
type WireEntry = readonly [id: number, topic: string, user: string, info?: unknown];

/** Hears what other servers say. */
export interface GossipHost {
  /** Time. */
  readonly clock: Clock;
  /** How often this server says that it lives, in ms. A server that is silent for three times as long is taken for dead. */
  readonly interval: number;
  /** The others can be heard now. */
  readonly connected: () => boolean;
  /** Send to all servers. Rejects with a `BackboneError`. */
  publish(body: Uint8Array): Promise<unknown>;
  /** An entry of another server came. False: there is no room for it. */
  joined(entry: Entry): boolean;
  /** It said something else of an entry. */
  updated(entry: Entry, info: unknown): void;
  /** The bus was closed. */
  close(): void;
  /** An entry of another server is gone, since `at`, in ms of the clock. */
  left(entry: Entry, at: number): void;
}

/** Changes leave together, so many ms after the first. */
const gather = 250;
/** A message holds entries of so many bytes at the most. */
const chunk = 131_072;
/** So many servers are known at the most: whoever can write to the broker could invent more. */
const maxServers = 1_000;
/** So many entries of one server that came in parts wait for the last part. */
const maxSnapshot = 1_000_000;
/** An entry is kept in two maps. */
const entryCost = 300;

/** What an entry costs with this info, in bytes. */
export const bytesOfEntry = (topic: string, user: string, infoText: string): number =>
  entryCost + topic.length + user.length + infoText.length;

/** Another server. */
interface Remote {
  version: number;
  entries: Map<number, Entry>;
  heardAt: number;
  /** A snapshot that has not come whole. */
  parts: { readonly version: number; readonly entries: Map<number, Entry>; came: number } | undefined;
  /** It was asked for a snapshot, in ms. */
  askedAt: number;
}

/**
 * Tells other servers who is here, and hears of those who are there. Each server numbers its changes: whoever misses one
 * asks for a snapshot. There is no key for an entry anywhere, and nothing is sent while nothing changes but one short
 * message per server and interval ([PRESENCE-2]).
 */
export class Gossip implements Timed, MessageReceiver {
  /** When `tick` is wanted, in ms. */
  deadline: number = never;
  /** Entries of others that were not kept, since there was no room. */
  dropped = 0;
  readonly #host: GossipHost;
  readonly #server = randomId();
  readonly #own = new Map<number, Entry>();
  readonly #remotes = new Map<string, Remote>();
  #version = 0;
  #ids = 0;
  // Not told yet: what is new or changed, and what is gone.
  #changed = new Map<number, Entry>();
  #gone = new Set<number>();
  #flushAt = never;
  #beatAt = never;
  #lookAt = never;
  #snapshotAt = never;
  #snapshotSaidAt = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(host: GossipHost) {
    this.#host = host;
  }

  /** Other servers that are known. */
  get servers(): number {
    return this.#remotes.size;
  }

  /** The bus delivers: ask who is there. */
  start(): void {
    if (this.#stopped) return;
    this.#lookAt = this.#host.clock.now() + this.#host.interval;
    this.#send({ s: this.#server, ask: true });
    this.#watch();
  }

  /** An entry of this server. */
  add(topic: string, user: string, info: unknown, bytes: number): Entry {
    const entry: Entry = { id: ++this.#ids, topic, user, info, bytes, told: false };
    this.#own.set(entry.id, entry);
    this.change(entry);
    return entry;
  }

  /** What is said of an entry of this server has changed. */
  change(entry: Entry): void {
    this.#changed.set(entry.id, entry);
    this.#flushSoon();
  }

  /** An entry of this server is gone. */
  remove({ id, told }: Entry): void {
    this.#own.delete(id);
    this.#changed.delete(id);
    if (!told) return;
    this.#gone.add(id);
    this.#flushSoon();
  }

  /** Messages may have been lost: ask. */
  gap(): void {
    this.#send({ s: this.#server, ask: true });
  }

  /** See {@link MessageReceiver.closed}. */
  closed(): void {
    this.#host.close();
  }

  /** See {@link MessageReceiver.receive}. Throws an `Error` if no server of ours has sent it. */
  receive({ body }: { readonly body: Uint8Array }): void {
    const said = sayingOf(JSON.parse(decodeUtf8(body)));
    if (said.s === this.#server || this.#stopped) return;
    if (said.ask) return this.#snapshotSoon();
    const remote = this.#remoteOf(said.s);
    if (!remote) return;
    const { now } = this.#host.clock;
    remote.heardAt = now();
    if (said.bye) return this.#forget(said.s, remote, now());
    if (said.v <= remote.version) return;
    if (said.all) this.#takePart(remote, said, said.all);
    else if (said.v === remote.version + 1 && (said.joined || said.gone)) this.#takeChanges(remote, said);
    else this.#ask(remote);
  }

  /** This server leaves: say so, and forget everything. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#send({ s: this.#server, v: this.#version, bye: true });
    this.deadline = never;
    this.#host.clock.forget(this);
    this.#own.clear();
    this.#remotes.clear();
  }

  /** See {@link Timed.tick}. */
  tick(now: number): void {
    if (this.#flushAt <= now) this.#flush();
    if (this.#snapshotAt <= now) this.#saySnapshot(now);
    if (this.#beatAt <= now) this.#send({ s: this.#server, v: this.#version });
    if (this.#lookAt <= now) this.#buryTheSilent(now);
    this.#watch();
  }

  #watch(): void {
    if (this.#stopped) return;
    this.deadline = Math.min(this.#flushAt, this.#beatAt, this.#snapshotAt, this.#lookAt);
    this.#host.clock.watch(this);
  }

  #flushSoon(): void {
    if (this.#flushAt !== never) return;
    this.#flushAt = this.#host.clock.now() + gather;
    this.#watch();
  }

  // ── what is said ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Others that miss it see it by the next number. */
  #send(saying: object): void {
    this.#beatAt = this.#host.clock.now() + this.#host.interval;
    this.#host.publish(encodeUtf8(JSON.stringify(saying))).catch(() => {});
  }

  #flush(): void {
    this.#flushAt = never;
    const [changed, gone] = [this.#changed, [...this.#gone]];
    this.#changed = new Map();
    this.#gone = new Set();
    const parts = [...chunks(changed.values())];
    for (const entry of changed.values()) entry.told = true;
    for (let index = 0; index < parts.length || (index === 0 && gone.length > 0); index++) {
      const joined = parts[index]?.map(wireOf);
      this.#send({ s: this.#server, v: ++this.#version, joined, gone: index === 0 ? gone : undefined });
    }
  }

  /** Whoever asks within a second of the last one gets the next one. */
  #snapshotSoon(): void {
    if (this.#snapshotAt !== never || this.#own.size === 0) return;
    this.#snapshotAt = Math.max(this.#host.clock.now() + gather, this.#snapshotSaidAt + 1_000);
    this.#watch();
  }

  #saySnapshot(now: number): void {
    this.#snapshotAt = never;
    this.#snapshotSaidAt = now;
    // What has changed is in it.
    this.#flush();
    const parts = [...chunks(this.#own.values())];
    for (const [part, entries] of parts.entries()) {
      this.#send({ s: this.#server, v: this.#version, all: entries.map(wireOf), part, of: parts.length });
    }
  }

  // ── what is heard ──────────────────────────────────────────────────────────────────────────────────────────────

  #remoteOf(server: string): Remote | undefined {
    const known = this.#remotes.get(server);
    if (known || this.#remotes.size >= maxServers) return known;
    const remote = { version: 0, entries: new Map(), heardAt: 0, parts: undefined, askedAt: Number.NEGATIVE_INFINITY };
    this.#remotes.set(server, remote);
    return remote;
  }

  #takeChanges(remote: Remote, { v, joined = [], gone = [] }: Saying): void {
    remote.version = v;
    for (const wire of joined) this.#take(remote.entries, entryOf(wire), remote.entries.get(wire[0]));
    const now = this.#host.clock.now();
    for (const id of gone) {
      const entry = remote.entries.get(id);
      if (!entry) continue;
      remote.entries.delete(id);
      this.#host.left(entry, now);
    }
  }

  #take(entries: Map<number, Entry>, entry: Entry, known: Entry | undefined): void {
    if (!known) {
      if (this.#host.joined(entry)) entries.set(entry.id, entry);
      else this.dropped++;
      return;
    }
    entries.set(entry.id, known);
    if (JSON.stringify(known.info) !== JSON.stringify(entry.info)) this.#host.updated(known, entry.info);
  }

  /** A snapshot comes in parts, one right after the other. What it does not hold is gone. */
  #takePart(remote: Remote, { v, part, of }: Saying, all: readonly WireEntry[]): void {
    if (part === 0) remote.parts = { version: v, entries: new Map(), came: 0 };
    const { parts } = remote;
    // One of them was missed: the next message of that server says so.
    if (!parts || parts.version !== v || parts.came !== part || parts.entries.size > maxSnapshot) return;
    for (const wire of all) parts.entries.set(wire[0], entryOf(wire));
    if (++parts.came < of) return;
    const before = remote.entries;
    remote.entries = new Map();
    remote.parts = undefined;
    remote.version = v;
    // Those who came first: nobody is gone for a moment who is only counted anew.
    for (const entry of parts.entries.values()) this.#take(remote.entries, entry, before.get(entry.id));
    const now = this.#host.clock.now();
    for (const [id, entry] of before) if (!remote.entries.has(id)) this.#host.left(entry, now);
  }

  #ask(remote: Remote): void {
    const now = this.#host.clock.now();
    if (now - remote.askedAt < 1_000) return;
    remote.askedAt = now;
    this.#send({ s: this.#server, ask: true });
  }

  #buryTheSilent(now: number): void {
    this.#lookAt = now + this.#host.interval;
    const longest = 3 * this.#host.interval;
    const connected = this.#host.connected();
    for (const [server, remote] of this.#remotes) {
      // Nobody is dead for being out of our own reach.
      if (!connected) remote.heardAt = now;
      else if (now - remote.heardAt > longest) this.#forget(server, remote, remote.heardAt);
    }
  }

  #forget(server: string, remote: Remote, at: number): void {
    this.#remotes.delete(server);
    for (const entry of remote.entries.values()) this.#host.left(entry, at);
  }
}

const wireOf = ({ id, topic, user, info }: Entry): WireEntry =>
  info === undefined ? [id, topic, user] : [id, topic, user, info];

/** Entries in parts of a bounded size. */
function* chunks(entries: Iterable<Entry>): Iterable<Entry[]> {
  let part: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    if (bytes + entry.bytes > chunk && part.length > 0) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(entry);
    bytes += entry.bytes;
  }
  if (part.length > 0) yield part;
}

/** What servers say. */
interface Saying {
  /** Who says it. */
  readonly s: string;
  /** The number of the change, or of the last one. */
  readonly v: number;
  /** It wants to know who is there. */
  readonly ask: boolean;
  /** It leaves. */
  readonly bye: boolean;
  /** A part of a snapshot: which one, of how many. */
  readonly part: number;
  readonly of: number;
  readonly all: readonly WireEntry[] | undefined;
  readonly joined: readonly WireEntry[] | undefined;
  readonly gone: readonly number[] | undefined;
}

/** Throws an `Error` if no server of ours has said it: whoever can write to the broker can write anything. */
function sayingOf(given: unknown): Saying {
  const {
    s,
    v = 0,
    ask,
    bye,
    part = 0,
    of = 1,
    all,
    joined,
    gone,
  } = (given ?? {}) as { [Key in keyof Saying]?: unknown };
  const numbers = [v, part, of, ...(Array.isArray(gone) ? gone : [])].every(isCount);
  const lists = [all, joined].every((list) => list === undefined || (Array.isArray(list) && list.every(isWireEntry)));
  if (typeof s !== 'string' || s.length > 64 || !numbers || !lists || !(gone === undefined || Array.isArray(gone))) {
    throw new Error('presence: a message that no server of ours has sent');
  }
  return { s, v, ask: ask === true, bye: bye === true, part, of, all, joined, gone } as Saying;
}

const isCount = (given: unknown): boolean => Number.isSafeInteger(given) && (given as number) >= 0;

const isWireEntry = (given: unknown): boolean =>
  Array.isArray(given) && isCount(given[0]) && problemOfTopic(given[1]) === undefined && isUser(given[2]);

/** Is this a name that is taken for a user? */
export const isUser = (given: unknown): given is string =>
  typeof given === 'string' && given !== '' && given.length <= 1_024;

function entryOf([id, topic, user, info]: WireEntry): Entry {
  const infoText = info === undefined ? '' : JSON.stringify(info);
  return { id, topic, user, info, bytes: bytesOfEntry(topic, user, infoText), told: true };
}
