/** One message that the hub has. */
export interface LogEntry {
  /** Its place. */
  readonly offset: number;
  /** When it came, in ms of the clock. */
  readonly at: number;
  /** The topic of it. */
  readonly topic: string;
  /** As it is sent. */
  readonly frame: Buffer;
}

/** What a {@link MessageLog} may hold. */
export interface LogBounds {
  /** How long a message is kept, in ms. */
  readonly age: number;
  /** How many bytes are kept, 256 for each message included. */
  readonly bytes: number;
  /** How many messages are kept. */
  readonly messages: number;
}

/** What a message costs beside its bytes. */
const entryBytes = 256;

/** The last messages of all topics, in order. */
export class MessageLog {
  /** The offset of the last message that was forgotten: what came after it is here, all of it. */
  forgotten = 0;
  readonly #bounds: LogBounds;
  #entries: LogEntry[] = [];
  #first = 0;
  #bytes = 0;

  constructor(bounds: LogBounds) {
    this.#bounds = bounds;
  }

  /** The last message is this one; the oldest leave. */
  append(entry: LogEntry): void {
    this.#entries.push(entry);
    this.#bytes += entry.frame.length + entryBytes;
    this.forget(entry.at);
  }

  /** Let go of what is too old, or too much. */
  forget(now: number): void {
    const { age, bytes, messages } = this.#bounds;
    for (;;) {
      const oldest = this.#entries[this.#first];
      if (!oldest) break;
      if (now - oldest.at <= age && this.#bytes <= bytes && this.#entries.length - this.#first <= messages) break;
      this.#first++;
      this.#bytes -= oldest.frame.length + entryBytes;
      this.forgotten = oldest.offset;
    }
    if (this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    } else if (this.#first > 0) this.#entries.fill(undefined as never, 0, this.#first);
  }

  /** The messages after an offset that `wanted` lets through; undefined: some of them are forgotten, or too many. */
  after(offset: number, wanted: (topic: string) => boolean, limit: number): LogEntry[] | undefined {
    if (!(offset >= this.forgotten)) return undefined;
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle] as LogEntry).offset > offset) high = middle;
      else low = middle + 1;
    }
    const found: LogEntry[] = [];
    for (let index = low; index < this.#entries.length; index++) {
      const entry = this.#entries[index] as LogEntry;
      if (!wanted(entry.topic)) continue;
      if (found.push(entry) > limit) return undefined;
    }
    return found;
  }
}
