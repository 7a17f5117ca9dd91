import type { Message } from './message.ts';

/** What a message takes beside its body, in bytes. */
const perMessage = 256;
/** What a ring takes beside its messages, in bytes. */
const perRing = 512;

/** Topics that had messages since a position: where there are more, nobody looks which of them a pattern matches. */
const maxTopics = 2_000;

/** The bounds of {@link Rings}. */
export interface RingBounds {
  /** Messages of a topic. */
  readonly maxMessages: number;
  /** Ms that a message is kept. */
  readonly maxAge: number;
  /** Bytes of all, bodies and what holds them. */
  readonly maxBytes: number;
}

/** The latest messages of one topic, in the order of their offsets. */
class Ring {
  readonly topic: string;
  /** Up to this offset something of the topic is not here any more. */
  goneUpTo = 0;
  bytes = perRing;
  /** Those whose latest message came before, and after, that of this one. */
  older: Ring | undefined;
  newer: Ring | undefined;
  #entries: { readonly message: Message; readonly at: number }[] = [];
  #first = 0;

  constructor(topic: string) {
    this.topic = topic;
  }

  get size(): number {
    return this.#entries.length - this.#first;
  }

  /** The offset of the latest; there is one while the ring is there. */
  get latest(): number {
    return this.#entries.at(-1)?.message.position.offset ?? 0;
  }

  /** When the oldest came, in ms. */
  get oldest(): number {
    return this.#entries[this.#first]?.at ?? Number.POSITIVE_INFINITY;
  }

  add(message: Message, at: number): void {
    this.#entries.push({ message, at });
    this.bytes += perMessage + message.body.length;
  }

  dropOldest(): void {
    const entry = this.#entries[this.#first];
    if (!entry) return;
    this.bytes -= perMessage + entry.message.body.length;
    this.goneUpTo = entry.message.position.offset;
    this.#first++;
    if (this.#first * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }

  /** What came after this offset. */
  after(offset: number): Message[] {
    const entries = this.#entries;
    let [low, high] = [this.#first, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((entries[middle]?.message.position.offset as number) > offset) high = middle;
      else low = middle + 1;
    }
    return entries.slice(low).map(({ message }) => message);
  }
}

/**
 * The latest messages of every topic, a ring for each, bounded in number, age and bytes. Ages are looked at in turn
 * whenever something is added, a few rings each time, so that nothing here needs a timer ([BUS-30]).
 *
 * @example
 * const rings = new Rings({ maxMessages: 10_000, maxAge: 120_000, maxBytes: 67_108_864 });
 * rings.add(message, now);
 * rings.after(() => ring.topic === 'prices', 17, now);
 */
export class Rings {
  /** What is kept, in bytes. */
  bytes = 0;
  readonly #bounds: RingBounds;
  readonly #rings = new Map<string, Ring>();
  /** Of the latest message. */
  #newest: Ring | undefined;
  #turn: Iterator<Ring> | undefined;
  /** Up to this offset something is not here any more of a topic whose ring is gone. */
  #goneUpTo = 0;

  constructor(bounds: RingBounds) {
    this.#bounds = bounds;
  }

  /** How many topics have a ring. */
  get topics(): number {
    return this.#rings.size;
  }

  /** Keep a message, and let others go for it. */
  add(message: Message, now: number): void {
    let ring = this.#rings.get(message.topic);
    if (!ring) {
      ring = new Ring(message.topic);
      // Whatever was here of this topic went before.
      ring.goneUpTo = this.#goneUpTo;
      this.#rings.set(message.topic, ring);
      this.bytes += perRing;
    }
    if (ring !== this.#newest) this.#toTheEnd(ring);
    const before = ring.bytes;
    ring.add(message, now);
    if (ring.size > this.#bounds.maxMessages) ring.dropOldest();
    this.bytes += ring.bytes - before;
    for (let looks = 0; looks < 2 || this.bytes > this.#bounds.maxBytes; looks++) {
      const next = this.#next();
      if (!next) return;
      this.#trim(next, now, this.bytes > this.#bounds.maxBytes);
    }
  }

  #toTheEnd(ring: Ring): void {
    this.#takeOut(ring);
    ring.older = this.#newest;
    if (this.#newest) this.#newest.newer = ring;
    this.#newest = ring;
  }

  #takeOut(ring: Ring): void {
    if (ring.older) ring.older.newer = ring.newer;
    if (ring.newer) ring.newer.older = ring.older;
    else if (ring === this.#newest) this.#newest = ring.older;
    ring.older = ring.newer = undefined;
  }

  #next(): Ring | undefined {
    for (let rounds = 0; rounds < 2; rounds++) {
      this.#turn ??= this.#rings.values();
      const { value, done } = this.#turn.next();
      if (!done) return value;
      this.#turn = undefined;
    }
    return undefined;
  }

  /** Let go of what is too old; `hard`: of an eighth of the rest, since all together are too many. */
  #trim(ring: Ring, now: number, hard: boolean): void {
    const before = ring.bytes;
    const least = hard ? Math.ceil(ring.size / 8) : 0;
    const tooOld = now - this.#bounds.maxAge;
    for (let dropped = 0; ring.size > 0 && (dropped < least || ring.oldest <= tooOld); dropped++) ring.dropOldest();
    this.bytes += ring.bytes - before;
    if (ring.size > 0) return;
    this.bytes -= ring.bytes;
    this.#goneUpTo = Math.max(this.#goneUpTo, ring.goneUpTo);
    this.#rings.delete(ring.topic);
    this.#takeOut(ring);
  }

  /**
   * What came after an offset, of one topic, or of all for which `matches` says so, in the order of the offsets.
   * Undefined: not all of it is here any more, or it is more than `maxMessages`, or of more than 2,000 topics. Of those that
   * had no message since nobody is looked at ([BUS-33]).
   */
  after(topic: string | ((topic: string) => boolean), offset: number): Message[] | undefined {
    if (typeof topic === 'string') {
      const ring = this.#rings.get(topic);
      if (!ring) return offset >= this.#goneUpTo ? [] : undefined;
      return offset >= ring.goneUpTo ? ring.after(offset) : undefined;
    }
    if (offset < this.#goneUpTo) return undefined;
    const found: Message[] = [];
    let topics = 0;
    for (let ring = this.#newest; ring && ring.latest > offset; ring = ring.older) {
      if (++topics > maxTopics) return undefined;
      if (!topic(ring.topic)) continue;
      if (offset < ring.goneUpTo) return undefined;
      for (const message of ring.after(offset)) found.push(message);
      if (found.length > this.#bounds.maxMessages) return undefined;
    }
    return found.sort((one, other) => one.position.offset - other.position.offset);
  }

  /** Let go of everything. */
  clear(): void {
    this.#rings.clear();
    this.#newest = this.#turn = undefined;
    this.bytes = 0;
    this.#goneUpTo = 0;
  }
}
