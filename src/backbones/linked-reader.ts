import type { Position } from '../bus/message.ts';
import type { LinkedLog, LiveEntry, LogEntry, Past } from './linked-log.ts';

/** What a reader needs of its backbone. */
export interface LinkedReaderHost {
  /** Does anybody want this topic? */
  isWanted(topic: string): boolean;
  /** From which offset on patterns cover a topic; Infinity: none does. */
  placeOf(topic: string): number;
  /** Here is the next message. */
  deliver(entry: LogEntry, epoch: string): void;
  /** Something may be missing. */
  gap(topic: string | undefined, from: Position): void;
  /** A read failed; it is tried again when this resolves. */
  failed(error: unknown): Promise<void>;
  /** Is there a past that could be read? */
  hasHistory(topic: string): boolean;
}

/** How far this server is with a topic. */
interface Track {
  last: number;
  /** `last` is the place of a message, and not of a subscribe. */
  seen: boolean;
  /** Live messages that wait while the log is read. */
  held: LiveEntry[] | undefined;
}

/** A read that fills a gap takes so many messages at the most. */
const mostEntries = 10_000;
/** So often a read is tried. */
const mostAttempts = 20;
/** Of topics that only patterns cover so many are remembered. */
const mostTracks = 50_000;
/** While the log is read so many live messages wait, and of so many bytes. */
const mostHeld = 100_000;
const mostHeldBytes = 67_108_864;

/**
 * Puts live messages in order: each says which message came before it on its topic, so that one that is
 * missing is read from the log, one that came already is dropped, and a branch of the log that was lost is said.
 */
export class LinkedReader {
  /** The epoch of the log, as far as this server knows. */
  epoch: string | undefined;
  readonly #log: LinkedLog;
  readonly #host: LinkedReaderHost;
  readonly #tracks = new Map<string, Track>();
  /** Up to here everything was delivered. */
  #mark = 0;
  /** Live messages that wait until it is known what was missed. */
  #held: LiveEntry[] | undefined;
  #heldBytes = 0;
  #overflowed = false;
  #stopped = false;
  /** How many tracks hold messages. */
  #reading = 0;

  constructor(log: LinkedLog, host: LinkedReaderHost) {
    this.#log = log;
    this.#host = host;
  }

  /** Up to here everything that is wanted was delivered. */
  get mark(): Position | undefined {
    return this.epoch === undefined ? undefined : { epoch: this.epoch, offset: this.#mark };
  }

  /** A beacon came: all that was published before it has come too. */
  marked({ epoch, offset }: Position): void {
    if (this.#held) return;
    if (epoch !== this.epoch) this.#newEpoch({ epoch, offset });
    else if (this.#reading === 0 && offset > this.#mark) this.#mark = offset;
  }

  /** The connection is gone, or only just there: live messages wait for {@link catchUp}, those of unfinished reads too. */
  hold(): void {
    if (this.#held) return;
    this.#held = [];
    this.#reading = 0;
    for (const track of this.#tracks.values()) {
      const { held = [] } = track;
      track.held = undefined;
      for (const entry of held) this.live(entry);
    }
  }

  /** Nothing is delivered any more. */
  stop(): void {
    this.#stopped = true;
    for (const track of this.#tracks.values()) track.held = undefined;
    this.#tracks.clear();
    this.#held = [];
  }

  /** A topic is wanted from this place on. */
  begin(topic: string, place: Position): void {
    if (this.epoch === undefined) this.#first(place);
    if (!this.#tracks.has(topic)) this.#tracks.set(topic, { last: place.offset, seen: false, held: undefined });
  }

  /** A topic is not wanted any more by its name. */
  forget(topic: string): void {
    if (!this.#host.isWanted(topic)) this.#drop(topic);
  }

  #drop(topic: string): void {
    const track = this.#tracks.get(topic);
    if (track?.held) this.#reading--;
    if (track) track.held = undefined;
    this.#tracks.delete(topic);
  }

  #first({ epoch, offset }: Position): void {
    this.epoch = epoch;
    this.#mark = offset;
  }

  /** A live message. */
  live(entry: LiveEntry): void {
    if (this.#stopped) return;
    const held = this.#held;
    if (held) {
      this.#heldBytes += entry.envelope.length;
      if (held.length < mostHeld && this.#heldBytes < mostHeldBytes) held.push(entry);
      else this.#overflowed = true;
      return;
    }
    if (this.epoch === undefined) this.#first({ epoch: entry.epoch, offset: entry.offset - 1 });
    if (entry.epoch !== this.epoch) this.#newEpoch({ epoch: entry.epoch, offset: entry.offset - 1 });
    const track = this.#trackOf(entry.topic);
    if (!track) return;
    if (track.held) {
      track.held.push(entry);
      return;
    }
    this.#next(track, entry);
  }

  #next(track: Track, entry: LiveEntry): void {
    const { topic, offset, link } = entry;
    if (offset <= track.last) return;
    if (link > track.last) {
      if (this.#host.hasHistory(topic)) {
        void this.#fill(topic, track, [entry]);
        return;
      }
      this.#host.gap(topic, { epoch: entry.epoch, offset: offset - 1 });
    } else if (track.seen && link < track.last && link !== 0) {
      // It follows a message that came before the last one here: the last one is on a branch that is lost.
      this.#host.gap(topic, { epoch: entry.epoch, offset: offset - 1 });
    }
    this.#deliver(track, entry, entry.epoch);
  }

  #deliver(track: Track, entry: LogEntry, epoch: string): void {
    track.last = entry.offset;
    track.seen = true;
    this.#host.deliver(entry, epoch);
  }

  /** Undefined: it is not live yet. */
  #trackOf(topic: string): Track | undefined {
    let track = this.#tracks.get(topic);
    if (!track) {
      const place = this.#host.placeOf(topic);
      if (place === Infinity) return undefined;
      // It would have a track if it had had a message since the mark, or since the pattern was live.
      track = { last: Math.max(this.#mark, place), seen: false, held: undefined };
      this.#tracks.set(topic, track);
      if (this.#tracks.size > mostTracks) this.#shrink();
    }
    return track;
  }

  /** Publishers choose the names that a pattern covers: what is up to the mark need not be remembered. */
  #shrink(): void {
    for (const [topic, { last, held }] of this.#tracks) {
      if (this.#tracks.size <= mostTracks / 2) break;
      if (!held && last <= this.#mark && this.#host.placeOf(topic) !== Infinity) this.#tracks.delete(topic);
    }
  }

  /** Read what is missing of one topic; live messages of it wait. */
  async #fill(topic: string, track: Track, held: LiveEntry[]): Promise<void> {
    track.held = held;
    this.#reading++;
    for (let attempt = 1; track.held === held; attempt++) {
      try {
        const past = await this.#log.read(topic, track.last, mostEntries);
        if (track.held === held) this.#splice(topic, track, past);
      } catch (error) {
        await this.#host.failed(error);
        if (attempt === mostAttempts && track.held === held) this.#splice(topic, track, undefined);
      }
    }
  }

  /** First what was read, then what was held; where something is missing for good, that is said in between. */
  #splice(topic: string, track: Track, past: Past | undefined): void {
    const { held = [] } = track;
    track.held = undefined;
    this.#reading--;
    const known = past?.epoch === this.epoch ? past : undefined;
    const [first] = known?.entries ?? held;
    if (!known?.complete)
      this.#host.gap(topic, { epoch: this.epoch as string, offset: (first?.offset ?? track.last + 1) - 1 });
    for (const entry of known?.entries ?? []) {
      if (entry.offset > track.last) this.#deliver(track, entry, this.epoch as string);
    }
    // Whatever the first of these follows: it was read, or it was said to be missing.
    const [next] = held;
    if (next && next.link > track.last) track.last = next.link;
    for (const entry of held) this.live(entry);
  }

  /** Names that have just been subscribed to: messages between the place and the subscribe are read. */
  async readNew(names: readonly string[], place: Position): Promise<void> {
    const { topics, epoch } = await this.#log.changes(place.offset);
    if (epoch !== place.epoch || epoch !== this.epoch) return;
    const wanted = new Set(names);
    for (const topic of topics ?? []) {
      if (!this.#host.isWanted(topic) || !this.#host.hasHistory(topic)) continue;
      if (wanted.has(topic) || this.#host.placeOf(topic) !== Infinity) await this.#catchUpTopic(topic);
    }
  }

  async #catchUpTopic(topic: string): Promise<void> {
    const track = this.#trackOf(topic);
    if (track && !track.held) await this.#fill(topic, track, []);
  }

  /**
   * The connection was away: whatever changed since the mark is read, then what was held comes. `goesOn` says whether
   * the connection is still the same; rejects if the log cannot be read.
   */
  async catchUp(goesOn: () => boolean): Promise<void> {
    if (this.epoch === undefined) {
      this.#first(await this.#log.place());
      return this.#release();
    }
    const { epoch, last, topics } = await this.#log.changes(this.#mark);
    if (!goesOn()) return;
    if (epoch !== this.epoch || last < this.#mark) this.#newEpoch({ epoch, offset: last });
    else if (!topics || this.#overflowed) this.#gapOfAll(last);
    else {
      for (const topic of topics) {
        if (!this.#host.isWanted(topic) || !goesOn()) continue;
        const track = this.#trackOf(topic);
        if (!track) continue;
        const { entries, complete, epoch: now } = await this.#log.read(topic, track.last, mostEntries);
        if (!goesOn() || now !== this.epoch) return goesOn() ? this.catchUp(goesOn) : undefined;
        const [first] = entries;
        if (!complete) this.#host.gap(topic, { epoch, offset: first ? first.offset - 1 : last });
        for (const entry of entries) if (entry.offset > track.last) this.#deliver(track, entry, epoch);
        if (!complete && entries.length === 0) track.last = Math.max(track.last, last);
      }
    }
    if (goesOn()) this.#release();
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#heldBytes = 0;
    this.#overflowed = false;
    for (const entry of held) if (this.#host.isWanted(entry.topic)) this.live(entry);
  }

  #gapOfAll(last: number): void {
    const from = { epoch: this.epoch as string, offset: last };
    this.#restart(last);
    this.#host.gap(undefined, from);
  }

  /** Another log: what was not delivered of the one before is lost. */
  #newEpoch(from: Position): void {
    this.epoch = from.epoch;
    this.#restart(from.offset);
    this.#host.gap(undefined, from);
  }

  #restart(place: number): void {
    this.#mark = place;
    this.#reading = 0;
    for (const [topic, track] of this.#tracks) {
      if (this.#host.placeOf(topic) === Infinity)
        this.#tracks.set(topic, { last: place, seen: false, held: undefined });
      else this.#tracks.delete(topic);
      track.held = undefined;
    }
  }
}
