import type { Bus } from '../bus/bus.ts';
import { past } from '../bus/bus-types.ts';
import type { ListenHandle, Readers } from '../bus/fan-out.ts';
import { positionOf, positionText } from '../bus/history.ts';
import type { Encoding, Message, Position } from '../bus/message.ts';
import { never } from '../core/clock.ts';
import { ProtocolError } from '../core/fault.ts';
import type { Connection, Session } from '../core/subprotocol.ts';
import { decodeUtf8Lossy, encodeUtf8 } from '../core/wire.ts';

/** The protocol of these readers, in the rules of the bus. */
export const protocol = 'events';

/** Messages that come while it is looked up what was missed; more, and it is not recovered. */
const maxHeld = 1_000;

/** Lines of a body, each a field of its own (HTML, section 9.2.6). */
const dataOf = (body: Uint8Array): string => `data: ${decodeUtf8Lossy(body).replace(/\r\n?|\n/g, '\ndata: ')}\n\n`;

/** A message as an event; the same bytes for all who hear it. */
const event: Encoding<Uint8Array> = {
  encode: ({ body, position }) => encodeUtf8(`id: ${positionText(position)}\n${dataOf(body)}`),
};

/** The same for readers of several topics, who tell them apart by the type of the event. */
const namedEvent: Encoding<Uint8Array> = {
  encode: ({ topic, body, position }) =>
    encodeUtf8(`id: ${positionText(position)}\nevent: ${topic.replace(/[\r\n]/g, ' ')}\n${dataOf(body)}`),
};

/** What one reader asked for. */
export interface EventsRequest {
  /** Topics, or patterns. */
  readonly topics: readonly string[];
  /** `Last-Event-ID`: where it was; '' for nowhere. */
  readonly lastEventId: string;
}

/** One reader of events: it says nothing, and hears what the bus lets it read. */
export class EventsSession implements Session {
  readonly #connection: Connection;
  readonly #bus: Bus;
  readonly #request: EventsRequest;
  readonly #form: Encoding<Uint8Array>;
  #listening: ListenHandle[] = [];
  #held: Message[] | undefined;
  #overflown = false;
  #entered = false;

  constructor(connection: Connection, bus: Bus, request: EventsRequest) {
    this.#connection = connection;
    this.#bus = bus;
    this.#request = request;
    this.#form = request.topics.length === 1 && !/[*]/.test(request.topics[0] as string) ? event : namedEvent;
    connection.authenticate({}, (admitted) => {
      if (!admitted) throw new ProtocolError('unauthorized');
      this.#begin();
    });
  }

  #begin(): void {
    const { topics, lastEventId } = this.#request;
    for (const topic of topics) {
      const isPattern = topic.includes('*');
      if (!isPattern && !this.#bus.permits(topic, protocol, 'read')) throw new ProtocolError('forbidden', topic);
    }
    this.#connection.charge(topics.reduce((sum, { length }) => sum + 500 + 2 * length, 0));
    const listener = {
      receive: (message: Message) => this.#receive(message),
      gap: () => this.#say(gap),
      closed: () => this.#connection.finish(),
      count: (readers: Readers) => {
        readers.all++;
        if (this.#connection.lags) readers.lagging++;
      },
    };
    // Live first: what is published from here on is not missed, whatever the past says.
    if (lastEventId !== '') this.#held = [];
    this.#listening = topics.map((topic) => this.#bus.listen(topic, listener, { protocol }));
    this.#bus[past]?.entered();
    this.#entered = true;
    // The answer begins, so that the reader knows that it is there.
    this.#say('');
    const active = Promise.all(this.#listening.map((listening) => listening.active));
    if (lastEventId === '') this.#connection.resume(active, () => {});
    else {
      const after = positionOf(lastEventId);
      this.#connection.resume(
        active.then(() => this.#missed(after)),
        (missed) => this.#splice(missed, after),
        () => this.#splice(undefined, after),
      );
    }
  }

  async #missed(after: Position): Promise<readonly Message[] | undefined> {
    const known = await Promise.all(this.#request.topics.map((topic) => this.#bus[past]?.since(topic, after)));
    return known.every((each) => each !== undefined)
      ? known.flat().sort((one, other) => one.position.offset - other.position.offset)
      : undefined;
  }

  #splice(missed: readonly Message[] | undefined, after: Position): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (!missed || this.#overflown) this.#say(gap);
    let last = missed ? after.offset : -1;
    for (const message of [...(missed ?? []), ...held]) {
      const { offset, epoch } = message.position;
      // Both have what came in between; a topic that several names match comes once.
      if (missed && epoch === after.epoch && offset <= last) continue;
      last = offset;
      if (this.#bus.permits(message.topic, protocol, 'read')) this.#deliver(message);
    }
  }

  #receive(message: Message): void {
    const held = this.#held;
    if (!held) return this.#deliver(message);
    if (held.length < maxHeld) held.push(message);
    else {
      held.shift();
      held.push(message);
      this.#overflown = true;
    }
  }

  #deliver(message: Message): void {
    this.#connection.send({ head: '', tail: message.encodedAs(this.#form), binary: false });
  }

  #say(head: string): void {
    this.#connection.send({ head, binary: false });
  }

  // ── the life of a session ──────────────────────────────────────────────────────────────────────────────────────

  readonly deadline = never;
  readonly idle = true;
  receive(): void {}
  tick(): void {}
  released(): void {}
  drained(): void {}
  drain(): void {
    this.#connection.close('goingAway');
  }
  fail(): void {}
  end(): void {
    for (const listening of this.#listening) listening.stop();
    this.#listening = [];
    if (this.#entered) this.#bus[past]?.left();
    this.#entered = false;
  }
}

/** Something may be missing before the next event. */
const gap = 'event: gap\ndata: \n\n';
