import type { ListenHandle, MessageReceiver, Readers } from '../../bus/fan-out.ts';
import type { Resumed } from '../../bus/history.ts';
import type { Message, Position } from '../../bus/message.ts';
import type { PastOfTopic } from '../../bus/value-listener.ts';
import { isPromise, type PromiseOr } from '../../core/promise-or.ts';
import type { Headers } from '../protocol/frame.ts';
import type { AckMode } from '../protocol/frame-fields.ts';
import { fromNow } from '../protocol/headers.ts';
import type { Version } from '../protocol/versions.ts';
import { placeOfMessageId } from '../server/message-forms.ts';
import type { TopicSubscription } from './broker.ts';
import { storedSize } from './quota.ts';
import type { BrokerSubscription } from './subscription.ts';

/** What waits for a reader is charged to it, so it is read in pieces: so many bytes of it at the most, and one message at least. */
const pieceBytes = 1_048_576;

/** What a client wants of the past: the header `since` of its SUBSCRIBE. */
export interface Wish {
  /** What came after this position; undefined: it only wants to be able to come back. */
  readonly after: Position | undefined;
}

/** The wish of a SUBSCRIBE; undefined: it has none, and sees nothing of all this ([STOMP-130]). */
export function wishOf(headers: Headers, version: Version, mode: AckMode): Wish | undefined {
  const since = headers.get('since');
  if (since === undefined) return undefined;
  if (since === fromNow) return { after: undefined };
  // In 1.0 a message-id that wants an ACK begins with the number of its subscription.
  return { after: placeOfMessageId(version === '1.0' && mode !== 'auto' ? since.replace(/^\d+-/, '') : since) };
}

/** Who gets what was missed, and then what comes. */
export interface ReplayTarget extends MessageReceiver {
  /** Messages wait in it for an answer of the application: no more of them until `pump` is called. */
  readonly undecided?: boolean;
  /** Messages may have been lost before the next one. */
  gap(topic: string): void;
  /** Count its client, where it reads this topic. */
  count(readers: Readers, topic: string): void;
}

/** What a {@link Replay} needs. */
export interface ReplayParts {
  /** Of which subscription. */
  readonly subscription: BrokerSubscription;
  /** The past of the bus. */
  readonly past: PastOfTopic;
  /** The topic, or a pattern. */
  readonly topic: string;
  /** Where messages go: the subscription, or what judges them before it. */
  readonly target: ReplayTarget;
  /** May the client read this topic now? */
  readonly permits: (topic: string) => boolean;
  /** Come back with what was read. */
  readonly resume: (
    outcome: Promise<readonly Message[] | undefined>,
    then: (found: readonly Message[] | undefined) => void,
  ) => void;
  /** So many live messages may wait behind what was missed; more are read again later. */
  readonly maxHeld: number;
}

/**
 * Stands between the bus and a subscription whose client may come back ([STOMP-130]): what was missed comes first, at the
 * pace of its reader, then what came meanwhile, each once.
 *
 *   bus ──receive()──▶ held ┐
 *   past ──since()──▶ piece ┴──pump()──▶ target, once the RECEIPT has left
 *
 * A piece that is not all that was missed, or more live messages than may wait behind it, are let go and read again once
 * this piece is through: so little waits, and nobody is cut by what it missed ([STOMP-132]).
 */
export class Replay implements TopicSubscription, ListenHandle, ReplayTarget {
  readonly #parts: ReplayParts;
  #listening: ListenHandle | undefined;
  #stopped = false;
  /** Its RECEIPT has left. */
  #begun = false;
  /** Nothing waits any more: messages go through. */
  #live = false;
  #reading = false;
  #piece: readonly Message[] = [];
  #next = 0;
  /** Live messages behind the piece; undefined: there is more in between, which is read again. */
  #held: Message[] | undefined = [];
  #heldBytes = 0;
  /** What its client has had, or is not owed. */
  #at: Position | undefined;
  /** Up to here it has had all: where this server is behind the one that it was at, live messages may not be new to it. */
  #had: Position | undefined;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  /** See {@link ListenHandle.active}. */
  get active(): Promise<void> {
    return this.#listening?.active ?? Promise.resolve();
  }

  /** It listens: from now on messages are kept for those who come back. */
  attachTopic(listening: ListenHandle): void {
    this.#listening = listening;
    this.#parts.past.entered();
    this.#parts.subscription.attachTopic(this);
  }

  /** Live messages come: find what came after a position. Never rejects: what cannot be read is not recovered. */
  resume(after: Position | undefined): PromiseOr<Resumed> {
    if (after === undefined || this.#stopped) return this.#begins();
    const finish = (found: readonly Message[] | undefined): Resumed => {
      if (!found || this.#stopped) return this.#begins();
      this.#at = after;
      this.#take(found, after);
      return { position: after, recovered: true };
    };
    const found = this.#parts.past.since(this.#parts.topic, after);
    return isPromise(found) ? found.then(finish, () => finish(undefined)) : finish(found);
  }

  /** It begins with what has come so far, or now. */
  #begins(): Resumed {
    const first = this.#held?.[0]?.position;
    const position = first
      ? { epoch: first.epoch, offset: first.offset - 1 }
      : this.#parts.past.placeOf(this.#parts.topic);
    this.#held ??= [];
    this.#at = position;
    return { position, recovered: false };
  }

  /** The RECEIPT has left: what waits may follow. */
  begin(): void {
    this.#begun = true;
  }

  /** A live message. */
  receive(message: Message): void {
    if (this.#isOld(message)) return;
    if (this.#live) return this.#parts.target.receive(message);
    const held = this.#held;
    if (!held) return;
    const bytes = storedSize(message);
    if (held.length >= this.#parts.maxHeld || (held.length > 0 && this.#heldBytes + bytes > pieceBytes)) {
      return this.#release();
    }
    held.push(message);
    this.#heldBytes += bytes;
    this.#parts.subscription.charge(bytes);
  }

  #isOld({ position }: Message): boolean {
    const had = this.#had;
    return had !== undefined && position.offset <= had.offset && position.epoch === had.epoch;
  }

  /** What is held is read again later. */
  #release(): void {
    this.#parts.subscription.charge(-this.#heldBytes);
    this.#heldBytes = 0;
    this.#held = undefined;
  }

  /** This came after a position, and what is held is behind it or a part of it. */
  #take(found: readonly Message[], after: Position): void {
    let bytes = 0;
    let length = 0;
    for (const message of found) {
      const size = storedSize(message);
      if (length > 0 && bytes + size > pieceBytes) break;
      bytes += size;
      length++;
    }
    this.#piece = length === found.length ? found : found.slice(0, length);
    this.#next = 0;
    this.#parts.subscription.charge(bytes);
    const last = this.#piece.at(-1)?.position;
    this.#had = last && last.offset > after.offset ? last : after;
    const held = this.#held;
    if (length < found.length || !held) return this.#release();
    this.#release();
    this.#held = [];
    for (const message of held) this.receive(message);
  }

  /** Its client may take more. */
  pump(): void {
    if (!this.#begun || this.#live) return;
    while (!this.#live && !this.#reading && !this.#stopped) {
      if (this.#next === this.#piece.length) this.#goOn();
      else if (!this.#sendPiece()) return;
    }
  }

  /** As much of the piece as its client takes. False: it takes no more now. */
  #sendPiece(): boolean {
    const { subscription, target, permits } = this.#parts;
    let sent = 0;
    let topic: string | undefined;
    let permitted = false;
    while (this.#next < this.#piece.length && subscription.ready && !target.undecided) {
      const message = this.#piece[this.#next++] as Message;
      this.#at = message.position;
      sent += storedSize(message);
      // Asked once a turn: nobody changes it in between.
      if (message.topic !== topic) permitted = permits(message.topic);
      topic = message.topic;
      if (permitted) target.receive(message);
    }
    subscription.charge(-sent);
    return sent > 0;
  }

  /** The piece is through. */
  #goOn(): void {
    this.#next = 0;
    this.#piece = this.#held ?? [];
    if (!this.#held) return this.#read();
    // It is charged for until it has left.
    this.#heldBytes = 0;
    this.#live = this.#held.length === 0;
    this.#held = this.#live ? undefined : [];
  }

  /** What comes between the piece and what is live. */
  #read(): void {
    const { past, topic, target, resume } = this.#parts;
    const after = this.#at;
    this.#held = [];
    const finish = (found: readonly Message[] | undefined): void => {
      if (this.#stopped) return;
      this.#reading = false;
      if (found && after) return this.#take(found, after);
      // Its reader is slower than what is kept of the past.
      target.gap(topic);
      this.#held ??= [];
    };
    const found = after && past.since(topic, after);
    if (!isPromise(found)) return finish(found);
    this.#reading = true;
    resume(
      Promise.resolve(found).catch(() => undefined),
      (messages) => {
        finish(messages);
        this.pump();
      },
    );
  }

  /** Messages of its topic may have been lost. */
  gap(topic: string): void {
    this.#parts.target.gap(topic);
  }

  /** See {@link ReplayTarget.count}. */
  count(readers: Readers, topic: string): void {
    this.#parts.target.count(readers, topic);
  }

  /** See {@link ListenHandle.stop}. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#listening?.stop();
    this.#parts.past.left();
    this.#release();
    for (const message of this.#piece.slice(this.#next)) this.#parts.subscription.charge(-storedSize(message));
    this.#piece = [];
  }
}
