import { BackboneError, defaultPatience } from '../bus/backbone.ts';
import type { Position } from '../bus/message.ts';
import { backoff } from '../core/backoff.ts';
import { never, type Timed, type Timers } from '../core/clock.ts';
import { messageOf } from '../core/fault.ts';
import { randomId } from '../core/random.ts';

/** A message on its way to the broker. */
export interface Outgoing {
  /** The topic as the application names it. */
  readonly topic: string;
  /** The id that the application gave. */
  readonly id: string | undefined;
  /** The sealed body. */
  readonly envelope: Uint8Array;
}

/** Messages that leave together. The same batch comes again, as it is, until its outcome is known. */
export interface Batch {
  /** Unlike that of any other batch of any server. */
  readonly id: string;
  /** Counts the batches of this outbox, from 1. */
  readonly sequence: number;
  /** In the order of publishing. */
  readonly messages: readonly Outgoing[];
}

/** What an outbox needs of its backbone. */
export interface OutboxHost {
  /** For errors, such as `redis`. */
  readonly name: string;
  /** Deadlines and pauses. */
  readonly timers: Timers;
  /**
   * Hand a batch to the broker; resolves with a position for each message when it has them all. A `BackboneError` says
   * that the broker will not take them. After any other error nobody knows, and the batch comes again.
   */
  send(batch: Batch): Promise<readonly (Position | undefined)[]>;
}

/** So many messages leave in one batch at the most, and of so many bytes, unless one alone is larger. */
const batchMessages = 500;
const batchBytes = 1_048_576;
/** So much may wait. */
const mostMessages = 10_000;
const mostBytes = 16_777_216;
/** Pauses between attempts, in ms: the broker comes back while publishers wait. */
const pauses = { base: 50, cap: 500 };

interface Waiting extends Outgoing {
  readonly deadline: number;
  readonly resolve: (position: Position | undefined) => void;
  readonly reject: (error: BackboneError) => void;
  sent: boolean;
  settled: boolean;
}

interface WaitingBatch extends Batch {
  readonly messages: readonly Waiting[];
}

/**
 * Publishes wait here for their backbone, each until its own deadline, and leave in batches, one batch at a time: what
 * comes while a batch is under way goes with the next. So there is no timer that delays, and a busy publisher pays for
 * one call where it made hundreds. One batch at a time also keeps the order when a batch has to be sent again.
 */
export class Outbox implements Timed {
  /** The earliest deadline of all that wait, or the end of a pause. */
  deadline: number = never;
  readonly #host: OutboxHost;
  readonly #name = randomId();
  #waiting: Waiting[] = [];
  #bytes = 0;
  #batch: WaitingBatch | undefined;
  #sequence = 0;
  #underWay = false;
  #attempt = 0;
  // Told to those whose time runs out while the broker fails.
  #lastFailure: string | undefined;
  #pausedUntil = 0;
  #up = false;
  #closed = false;
  #scheduled = false;

  constructor(host: OutboxHost) {
    this.#host = host;
  }

  /** How many messages wait or are under way. */
  get size(): number {
    return this.#waiting.length + (this.#batch?.messages.length ?? 0);
  }

  /** Can the broker be reached? While it cannot, messages wait. Back again, the next attempt is made at once. */
  set up(up: boolean) {
    this.#up = up;
    if (!up) return;
    this.#pausedUntil = 0;
    this.#schedule();
  }

  /** Resolves when the broker has the message. Rejects with a `BackboneError`. */
  publish(
    topic: string,
    envelope: Uint8Array,
    id?: string,
    timeout: number = defaultPatience,
  ): Promise<Position | undefined> {
    const { name } = this.#host;
    if (this.#closed) return Promise.reject(closedError(name, 'no'));
    if (this.#waiting.length >= mostMessages || this.#bytes + envelope.length > mostBytes) {
      const held = `${this.#waiting.length} messages of ${this.#bytes} bytes`;
      return Promise.reject(
        new BackboneError('full', `${name}: ${held} wait already, so that nothing more can be published to "${topic}"`),
      );
    }
    return new Promise((resolve, reject) => {
      const deadline = this.#host.timers.now() + timeout;
      this.#waiting.push({ topic, envelope, id, deadline, resolve, reject, sent: false, settled: false });
      this.#bytes += envelope.length;
      this.#wakeAt(deadline);
      this.#schedule();
    });
  }

  /** Reject everything. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#host.timers.forget(this);
    for (const item of [...(this.#batch?.messages ?? []), ...this.#waiting]) {
      fail(item, closedError(this.#host.name, item.sent ? 'unknown' : 'no'));
    }
    this.#waiting = [];
    this.#batch = undefined;
    this.#bytes = 0;
  }

  /** A deadline has come: of messages that waited too long, or of a pause. */
  tick(now: number): void {
    const { name } = this.#host;
    let next = never;
    const expire = (item: Waiting): boolean => {
      if (item.settled) return false;
      if (item.deadline > now) {
        next = Math.min(next, item.deadline);
        return true;
      }
      const words = `a publish to "${item.topic}" had no answer in time${this.#lastFailure === undefined ? '' : ` (${this.#lastFailure})`}`;
      if (item.sent) fail(item, new BackboneError('timeout', `${name}: ${words}; it may be stored`, 'unknown'));
      else if (this.#up) fail(item, new BackboneError('timeout', `${name}: ${words}; it is not stored`));
      else fail(item, new BackboneError('unavailable', `${name} cannot be reached: ${words}; it is not stored`));
      return false;
    };
    this.#batch?.messages.forEach(expire);
    const left = this.#waiting.filter(expire);
    if (left.length < this.#waiting.length) {
      this.#waiting = left;
      this.#bytes = left.reduce((sum, { envelope }) => sum + envelope.length, 0);
    }
    if (this.#pausedUntil > now) next = Math.min(next, this.#pausedUntil);
    this.deadline = next;
    this.#schedule();
  }

  #wakeAt(time: number): void {
    if (time >= this.deadline) return;
    this.deadline = time;
    this.#host.timers.watch(this);
  }

  /** What is published in one turn leaves together. */
  #schedule(): void {
    if (this.#scheduled || this.#underWay || !this.#up) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#leave();
    });
  }

  async #leave(): Promise<void> {
    if (this.#underWay || !this.#up || this.#closed || this.#pausedUntil > this.#host.timers.now()) return;
    // Nobody waits for it any more: whether it was stored stays unknown.
    if (this.#batch?.messages.every(({ settled }) => settled)) this.#batch = undefined;
    this.#batch ??= this.#next();
    const batch = this.#batch;
    if (!batch) return;
    this.#underWay = true;
    for (const item of batch.messages) item.sent = true;
    try {
      const positions = await this.#host.send(batch);
      this.#attempt = 0;
      this.#lastFailure = undefined;
      this.#batch = undefined;
      batch.messages.forEach((item, index) => {
        settle(item);
        item.resolve(positions[index]);
      });
    } catch (error) {
      this.#failed(batch.messages, error);
    }
    this.#underWay = false;
    this.#schedule();
  }

  #failed(messages: readonly Waiting[], error: unknown): void {
    if (this.#closed) return;
    if (error instanceof BackboneError) {
      this.#batch = undefined;
      for (const item of messages) fail(item, error);
      return;
    }
    this.#pausedUntil = this.#host.timers.now() + backoff(this.#attempt++, pauses) + 1;
    this.#wakeAt(this.#pausedUntil);
    this.#lastFailure = messageOf(error);
  }

  #next(): WaitingBatch | undefined {
    let count = 0;
    let bytes = 0;
    for (const { envelope } of this.#waiting) {
      if (count === batchMessages || (count > 0 && bytes + envelope.length > batchBytes)) break;
      count++;
      bytes += envelope.length;
    }
    if (count === 0) return undefined;
    const messages = count === this.#waiting.length ? this.#waiting : this.#waiting.slice(0, count);
    this.#waiting = count === this.#waiting.length ? [] : this.#waiting.slice(count);
    this.#bytes -= bytes;
    const sequence = ++this.#sequence;
    return { id: `${this.#name}-${sequence}`, sequence, messages };
  }
}

const closedError = (name: string, stored: 'no' | 'unknown'): BackboneError =>
  new BackboneError('closed', `${name}: the backbone is closed`, stored);

function settle(item: Waiting): void {
  item.settled = true;
}

function fail(item: Waiting, error: BackboneError): void {
  if (item.settled) return;
  settle(item);
  item.reject(error);
}
