import type { Clock, Timed } from '../core/clock.ts';
import { assertOption, checkNames, isRecord, numberOptions } from '../core/options.ts';
import type { PromiseOr } from '../core/promise-or.ts';
import type { Backbone } from './backbone.ts';
import type { Message, Position } from './message.ts';
import { kindOf } from './names.ts';
import { isPattern, isPrivate, PatternIndex } from './pattern.ts';
import { type RingBounds, Rings } from './rings.ts';

/** How much of the past a bus keeps, for readers that were away. */
export interface HistoryOptions {
  /**
   * Messages of one topic.
   *
   * @defaultValue `10_000`
   */
  readonly maxMessages?: number | undefined;
  /**
   * How long a message is kept, and for how long after the last reader that may come back, in ms.
   *
   * @defaultValue `120_000`
   */
  readonly maxAge?: number | undefined;
  /**
   * All topics together, in bytes: bodies, and 256 for each message.
   *
   * @defaultValue `67_108_864`
   */
  readonly maxBytes?: number | undefined;
}

/** What a reader that came back is told. */
export interface Resumed {
  /** From here on it hears everything; undefined: this source has no positions. */
  readonly position: Position | undefined;
  /** What it missed comes first, all of it. False: something may be missing. */
  readonly recovered: boolean;
}

const defaults = { maxMessages: 10_000, maxAge: 120_000, maxBytes: 67_108_864 };
const optionNames = {
  ...{ maxMessages: true, maxAge: true, maxBytes: true },
} as const satisfies Record<keyof HistoryOptions, true>;

/** The bounds that the option `history` says; undefined: none is kept. Throws a `TypeError` that names what is wrong. */
export function historyBounds(given: unknown): RingBounds | undefined {
  if (given === false) return undefined;
  if (given === undefined || given === true) return defaults;
  assertOption(isRecord(given), 'history', 'false, or an object such as { maxAge: 120_000 }', kindOf(given));
  checkNames(given as HistoryOptions, optionNames, 'history');
  return numberOptions(given as HistoryOptions, defaults, 1, 'history.');
}

/** So many reads of a backbone's log are under way at the same time; others wait for them. */
const maxReads = 64;

/** A log that has not answered for so many ms is one that is not known. */
const readTimeout = 10_000;

/**
 * The past of the topics of a bus, in front of whatever its backbone keeps. Nothing is recorded until somebody wants to be
 * able to come back, and for `maxAge` after the last one ([BUS-31]); what is not known for certain to be complete is
 * asked of the backbone, or not answered at all ([BUS-32]).
 */
export class History {
  readonly #rings: Rings;
  readonly #bounds: RingBounds;
  readonly #clock: Pick<Clock, 'now' | 'watch' | 'forget'>;
  readonly #backbone: Backbone;
  /** Every message of the backbone passes here, in the order of its log. */
  readonly #hearsAll: boolean;
  /** From where on everything of a name that is subscribed to upstream has come here. */
  readonly #places = new Map<string, number>();
  readonly #reads = new Map<string, Promise<readonly Message[] | undefined>>();
  readonly #queue: (() => void)[] = [];
  readonly #without = new Set<string>();
  #epoch: string | undefined;
  /** The largest offset that was seen. */
  #last = 0;
  /** From here on it is recorded; undefined: it is not. */
  #from: number | undefined;
  #readers = 0;
  #leftAt = 0;

  constructor(
    bounds: RingBounds,
    clock: Pick<Clock, 'now' | 'watch' | 'forget'>,
    backbone: Backbone,
    hearsAll: boolean,
  ) {
    this.#rings = new Rings(bounds);
    this.#bounds = bounds;
    this.#clock = clock;
    this.#backbone = backbone;
    this.#hearsAll = hearsAll;
  }

  /** What is kept, in bytes, and of how many topics. */
  get size(): { readonly bytes: number; readonly topics: number } {
    return { bytes: this.#rings.bytes, topics: this.#rings.topics };
  }

  /** This topic has no past, whoever asks and by whatever pattern ([BUS-31]). */
  exclude(topic: string): void {
    this.#without.add(topic);
  }

  /** Does anybody want to be able to come back, or did so a while ago? */
  get wanted(): boolean {
    return this.#readers > 0 || (this.#from !== undefined && this.#clock.now() - this.#leftAt < this.#bounds.maxAge);
  }

  /** Somebody may want to come back: from now on it is recorded. */
  wish(): void {
    if (this.#from !== undefined && this.wanted) {
      if (this.#readers === 0) this.#leftAt = this.#clock.now();
      return;
    }
    this.#rings.clear();
    this.#leftAt = this.#clock.now();
    const { position } = this.#backbone;
    if (position) this.#see(position);
    this.#from = this.#last;
  }

  /** A reader that may come back is there. */
  entered(): void {
    this.wish();
    this.#readers++;
  }

  /** It has left. */
  left(): void {
    this.#readers--;
    this.#leftAt = this.#clock.now();
  }

  /** A name is live upstream, from this place on. */
  live(name: string, place: Position | undefined): void {
    if (place) this.#see(place);
    this.#places.set(name, place?.offset ?? this.#last);
  }

  /** A name is not heard upstream any more. */
  gone(name: string): void {
    this.#places.delete(name);
  }

  /** A message came. */
  record(message: Message): void {
    this.#see(message.position);
    if (this.#from === undefined || isPrivate(message.topic) || this.#without.has(message.topic)) return;
    if (this.wanted) return this.#rings.add(message, this.#clock.now());
    this.#from = undefined;
    this.#rings.clear();
  }

  #see({ epoch, offset }: Position): void {
    if (epoch !== this.#epoch) {
      // What stood in the log before has nothing to do with what comes.
      this.#rings.clear();
      this.#places.clear();
      this.#epoch = epoch;
      this.#last = offset;
      if (this.#from !== undefined) this.#from = offset;
    } else if (offset > this.#last) this.#last = offset;
  }

  /** Something may be missing: what is recorded is complete from here on, whatever it was before. */
  gap(from: Position | undefined): void {
    if (from) this.#see(from);
    if (this.#from !== undefined) this.#from = Math.max(this.#from, from?.offset ?? this.#last);
  }

  /** Where a reader of this name is that begins now: all that comes later comes to it. */
  placeOf(name: string): Position | undefined {
    const { position, abilities } = this.#backbone;
    if (this.#hearsAll && position) return position;
    const epoch = position?.epoch ?? this.#epoch;
    if (epoch === undefined) return undefined;
    // Messages of other topics say nothing about this one, which may be behind them.
    const place = this.#places.get(name) ?? 0;
    const mark = abilities.positions ? (position?.offset ?? 0) : this.#last;
    return { epoch, offset: Math.max(place, mark) };
  }

  /**
   * What came after a position, oldest first. Undefined: that is not known for certain, such as for a position of another
   * epoch, of the future, or too far back.
   */
  since(name: string, after: Position): PromiseOr<readonly Message[] | undefined> {
    if (!isPlace(after) || !this.#hasPast(name)) return undefined;
    // Another server may be ahead of this one, and nobody is ahead of the only one.
    const isAhead = after.epoch === this.#epoch && after.offset > this.#ahead;
    if (isAhead && !this.#backbone.since) return undefined;
    if (!isAhead && after.epoch === this.#epoch && this.#from !== undefined && after.offset >= this.#knownFrom(name)) {
      const known = this.#rings.after(isPattern(name) ? matcher(name) : name, after.offset);
      if (known && known.length <= this.#bounds.maxMessages) return known;
    }
    if (!this.#backbone.since || (isPattern(name) && !this.#hearsAll)) return undefined;
    return this.#read(name, after);
  }

  #hasPast(name: string): boolean {
    if (this.#without.size === 0) return true;
    return isPattern(name) ? ![...this.#without].some(matcher(name)) : !this.#without.has(name);
  }

  get #ahead(): number {
    const { position } = this.#backbone;
    return position && position.epoch === this.#epoch ? Math.max(position.offset, this.#last) : this.#last;
  }

  /** From which offset on everything of this name is here. */
  #knownFrom(name: string): number {
    const from = this.#from as number;
    if (this.#hearsAll) return from;
    // Messages of several topics have no order of their own there: where one has come, another may be missing ([BUS-33]).
    if (isPattern(name)) return Number.POSITIVE_INFINITY;
    return Math.max(from, this.#places.get(name) ?? Number.POSITIVE_INFINITY);
  }

  /** One read for all that want the same ([BUS-34]). */
  #read(name: string, after: Position): Promise<readonly Message[] | undefined> {
    const key = `${after.epoch}:${after.offset}:${name}`;
    const known = this.#reads.get(key);
    if (known) return known;
    const read = this.#readInTurn(name, after).finally(() => {
      this.#reads.delete(key);
      this.#queue.shift()?.();
    });
    this.#reads.set(key, read);
    return read;
  }

  async #readInTurn(name: string, after: Position): Promise<readonly Message[] | undefined> {
    if (this.#reads.size >= maxReads) await new Promise<void>((resolve) => this.#queue.push(resolve));
    const { since } = this.#backbone;
    if (!since) return undefined;
    return new Promise((resolve, reject) => {
      const late: Timed = { deadline: this.#clock.now() + readTimeout, tick: () => resolve(undefined) };
      this.#clock.watch(late);
      const read = async (): Promise<readonly Message[] | undefined> =>
        since.call(this.#backbone, name, after, this.#bounds.maxMessages);
      void read()
        .then(resolve, reject)
        .finally(() => this.#clock.forget(late));
    });
  }
}

/** Could this be a place in a log? */
const isPlace = ({ epoch, offset }: Position): boolean => epoch !== '' && Number.isSafeInteger(offset) && offset >= 0;

function matcher(pattern: string): (topic: string) => boolean {
  const index = new PatternIndex<true>();
  index.set(pattern, true);
  return (topic) => index.match(topic).length > 0;
}

/**
 * A position as text, which clients give back as it is.
 *
 * @example
 * positionText({ epoch: 'k3f9a2b1', offset: 184467 }); // 'k3f9a2b1:184467'
 */
export const positionText = ({ epoch, offset }: Position): string => `${epoch}:${offset}`;

/**
 * The position that a text says. What is none is a place that nobody was at, so that whoever gives it back is told that
 * something may be missing ([BUS-35]).
 */
export function positionOf(text: unknown): Position {
  const colon = typeof text === 'string' ? text.lastIndexOf(':') : -1;
  if (colon <= 0) return nowhere;
  const digits = (text as string).slice(colon + 1);
  if (!/^(0|[1-9]\d{0,15})$/.test(digits) || colon > 128) return nowhere;
  return { epoch: (text as string).slice(0, colon), offset: Number(digits) };
}

const nowhere: Position = { epoch: '', offset: 0 };
