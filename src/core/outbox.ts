import { Backlog, sizeOf } from './backlog.ts';
import type { MemoryBudget } from './budget.ts';
import { never } from './clock.ts';
import type { ConnectionLimits } from './limits.ts';
import type { Socket } from './socket.ts';
import type { Wire } from './wire.ts';

/** A turn that queues more bytes than this is handed to the socket before its end. */
const batchBytes = 65_536;

/**
 * The socket gets the next batch once it has fewer bytes than this. More would hide whether the peer reads: Node joins
 * all waiting writes into one, and tells of no progress inside it.
 */
const windowBytes = 65_536;

/** Who takes fewer bytes than this within `stallTimeout` does not read. */
const progressBytes = 65_536;

/** Publishers do not wait for who took nothing for so many ms ([BUS-38]). */
const progressMs = 1_000;

/** Of how many connections of this process messages wait: while there are none, nobody looks for slow readers. */
export const backlogged = { connections: 0 };

/** A socket that has not written everything holds the buffer that it was packed in, however little of it is left. */
const inSocketCost = (bytes: number): number => (bytes > 0 ? bytes + socketBytes : 0);
const socketBytes = 16_384;

/** What an {@link Outbox} needs of its connection. */
export interface OutboxHost {
  /** The transport that is written to. */
  readonly socket: Pick<Socket, 'bufferedAmount' | 'batches' | 'write'>;
  /** The limits of the connection. */
  readonly limits: ConnectionLimits;
  /** What all connections together may keep; undefined: nobody counts. */
  readonly budget: MemoryBudget | undefined;
}

/**
 * What goes out on a connection. Messages of one turn leave in one write; what the socket does not take waits here, as
 * references to the parts that connections share.
 */
export class Outbox {
  /** Bytes that were handed to the socket since the beginning. */
  handedBytes = 0;
  readonly #host: OutboxHost;
  #queue: Wire[] | undefined;
  #queuedBytes = 0;
  #backlog: Backlog | undefined;
  // What the socket held when it was last looked at; as much is charged.
  #inSocket = 0;
  // A message larger than the window that is on its way, in bytes.
  #largest = 0;
  // Since when less than `progressBytes` was taken; undefined while the reader is below the mark.
  #stalledSince: number | undefined;
  #takenThen = 0;

  constructor(host: OutboxHost) {
    this.#host = host;
  }

  /** Bytes that wait here or that the operating system has not taken. */
  get unread(): number {
    return (
      this.#host.socket.bufferedAmount + this.#queuedBytes + (this.#backlog === undefined ? 0 : this.#backlog.bytes)
    );
  }

  /** More than half of the high-water mark is unread: sources that can wait should. */
  get full(): boolean {
    return this.unread > this.#host.limits.highWaterMark / 2;
  }

  /** More than half of the high-water mark is unread, and the peer took some of what waits a moment ago. */
  lags(now: number): boolean {
    const { movedAt = 0 } = this.#backlog ?? {};
    return movedAt > 0 && now - movedAt <= progressMs && this.full;
  }

  /** Everything was handed to the socket. */
  get handedOver(): boolean {
    return this.#queue === undefined && this.#backlog === undefined;
  }

  /** The socket has bytes that the operating system has not taken. */
  get waits(): boolean {
    return this.#inSocket > 0;
  }

  /** When a reader that takes nothing is to be cut, in ms of the clock; Infinity: none has to be. */
  get deadline(): number {
    return this.#stalledSince === undefined ? never : this.#stalledSince + this.#host.limits.stallTimeout;
  }

  /** One more message. True: it has to be flushed at once instead of at the end of the turn. */
  queue(wire: Wire): boolean {
    if (this.#queue) this.#queue.push(wire);
    else this.#queue = [wire];
    this.#queuedBytes += wire.head.length + (wire.tail === undefined ? 0 : wire.tail.length);
    return !this.#host.socket.batches || this.#queuedBytes > batchBytes;
  }

  /** Hand over what the socket takes; the rest waits. False: more waits already than a reader may leave unread. */
  flush(now: number): boolean {
    const wires = this.#queue;
    if (!wires) return true;
    const bytes = this.#queuedBytes;
    this.#queue = undefined;
    this.#queuedBytes = 0;
    if (!this.#backlog && this.#host.socket.bufferedAmount < windowBytes) {
      this.#write(wires, bytes);
      this.#look(now);
      return true;
    }
    const isOver =
      this.#backlog !== undefined && this.#backlog.bytes - this.#backlog.largest > this.#host.limits.maxUnread;
    if (!this.#backlog) backlogged.connections++;
    this.#backlog ??= new Backlog(this.#host.budget);
    for (const wire of wires) this.#backlog.add(wire, sizeOf(wire));
    this.pump(now);
    return !isOver;
  }

  /** The socket takes more: hand over what waits, as far as it goes. */
  pump(now: number): void {
    const backlog = this.#backlog;
    if (backlog) {
      while (!backlog.empty && this.#host.socket.bufferedAmount < windowBytes) {
        const before = backlog.bytes;
        const wires = backlog.take(batchBytes);
        this.#write(wires, before - backlog.bytes);
        backlog.movedAt = now;
      }
      if (backlog.empty) this.#endBacklog();
    }
    this.#look(now);
  }

  #write(wires: readonly Wire[], bytes: number): void {
    this.handedBytes += bytes;
    if (bytes > 2 * windowBytes) this.#largest = bytes;
    this.#host.socket.write(wires);
  }

  /** Count what the socket holds, and notice whether the peer reads. */
  #look(now: number): void {
    const inSocket = this.#host.socket.bufferedAmount;
    if (inSocket !== this.#inSocket) {
      this.#host.budget?.charge(inSocketCost(inSocket) - inSocketCost(this.#inSocket));
      this.#inSocket = inSocket;
    }
    if (inSocket < windowBytes) this.#largest = 0;
    if (inSocket === 0 || !this.full) {
      this.#stalledSince = undefined;
      return;
    }
    const taken = this.handedBytes - inSocket;
    if (this.#stalledSince !== undefined && taken - this.#takenThen < progressBytes) return;
    this.#stalledSince = now;
    this.#takenThen = taken;
  }

  /** Has the peer taken too little for too long? */
  isStalled(now: number): boolean {
    this.#look(now);
    return now >= this.deadline;
  }

  /** Does the socket hold more than was ever handed to it? Answers to pings pile up where nobody reads. */
  get overflows(): boolean {
    return this.#host.socket.bufferedAmount > this.#host.limits.highWaterMark + this.#largest;
  }

  /** Hand over everything, for the last time, or nothing but the last words where that would be too much. */
  handOver(now: number): void {
    const backlog = this.#backlog;
    if (backlog && backlog.bytes > this.#host.limits.highWaterMark) this.dropBacklog();
    else if (backlog) this.#write(backlog.take(never), 0);
    this.#endBacklog();
    if (this.#queue) this.#write(this.#queue, this.#queuedBytes);
    this.#queue = undefined;
    this.#queuedBytes = 0;
    this.#look(now);
  }

  /** Let go of what the socket has not got, but for the messages of this turn. */
  dropBacklog(): void {
    this.#backlog?.clear();
    this.#endBacklog();
  }

  #endBacklog(): void {
    if (this.#backlog) backlogged.connections--;
    this.#backlog = undefined;
  }

  /** The end: let go of everything. */
  clear(): void {
    this.dropBacklog();
    this.#queue = undefined;
    this.#queuedBytes = 0;
    if (this.#inSocket > 0) this.#host.budget?.charge(-inSocketCost(this.#inSocket));
    this.#inSocket = 0;
    this.#stalledSince = undefined;
  }
}
