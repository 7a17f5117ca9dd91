/**
 * A subprotocol of one's own, written with public entry points alone: the JSON envelope of the WebSocket tutorials, `join`,
 * `leave`, `chat`, `presence`, `error` and `ping`, with MessagePack as a second token. See docs/extend.md.
 */
import * as msgpack from '@msgpack/msgpack';
import { type Bus, type Presence, type Present, presence } from 'subwire';
import {
  type Connection,
  createInTurn,
  decodeUtf8,
  type Encoding,
  encodeUtf8,
  faultTable,
  type InTurn,
  type ListenHandle,
  type Message,
  ProtocolError,
  type Session,
  type StandardSchema,
  type Subprotocol,
  validated,
} from 'subwire/extend';
import * as valibot from 'valibot';
import { z } from 'zod';

export interface RoomsOptions {
  readonly bus: Bus;
  /** Who may be in a room. Anything but `true` keeps out. @defaultValue everybody who has a name */
  readonly mayJoin?: (user: string, room: string) => boolean | Promise<boolean>;
}

const json = 'rooms.v1+json';
const packed = 'rooms.v1+msgpack';
const faults = faultTable({ malformed: 4400, unauthorized: 4401, tooSlow: 4408 });
const maxRooms = 50;
/** What a room costs us for one connection, in bytes. */
const roomCost = 1_000;
const room = z.string().regex(/^[\w-]{1,64}$/);
/** What clients say, each with its schema. Those of zod and those of valibot are alike: both are Standard Schemas. */
const schemas = {
  join: z.object({ type: z.literal('join'), room }),
  leave: z.object({ type: z.literal('leave'), room }),
  chat: z.object({ type: z.literal('chat'), room, text: z.string().min(1).max(2_000) }),
  ping: valibot.object({ type: valibot.literal('ping'), at: valibot.optional(valibot.number()) }),
} satisfies Record<string, StandardSchema>;

type Said<Type extends keyof typeof schemas> =
  (typeof schemas)[Type] extends StandardSchema<infer Output> ? Output : never;
type Handlers = { readonly [Type in keyof typeof schemas]: (said: Said<Type>) => void };

/** What everybody in a room is told: bodies on the bus are JSON, and MessagePack is made of them once for all receivers. */
const asMessagePack: Encoding<Uint8Array> = {
  encode: ({ body }) => msgpack.encode(JSON.parse(decodeUtf8(body))),
};

/** Rooms for an endpoint: `attach(http, { protocols: [rooms({ bus })], authenticate })`. */
export function rooms({ bus, mayJoin = () => true }: RoomsOptions): Subprotocol {
  // Names that begin with $ are private: clients of other protocols reach a room by none of their wildcards.
  bus.claim('$rooms/', 'rooms');
  const present = presence(bus, { group: 'rooms', window: 0 });
  return {
    names: [json, packed],
    faults,
    open: (connection, name) => new RoomsSession(connection, name === packed, { bus, present, mayJoin }),
    dispose: () => void present.close(),
  };
}
interface Host {
  readonly bus: Bus;
  readonly present: Presence;
  readonly mayJoin: NonNullable<RoomsOptions['mayJoin']>;
}

/** One connection: bytes and a time in, messages out. Nothing here knows sockets, and no promise is awaited. */
class RoomsSession implements Session {
  readonly #connection: Connection;
  readonly #packs: boolean;
  readonly #host: Host;
  readonly #turn: InTurn;
  /** By room: how to leave it. */
  readonly #joined = new Map<string, () => void>();
  readonly #handlers: Handlers = {
    join: ({ room }) => this.#join(room),
    leave: ({ room }) => this.#leave(room),
    chat: ({ room, text }) => this.#chat(room, text),
    ping: ({ at }) => this.#say({ type: 'pong', at }),
  };

  constructor(connection: Connection, packs: boolean, host: Host) {
    this.#connection = connection;
    this.#packs = packs;
    this.#host = host;
    this.#turn = createInTurn(connection);
    // Who it is stands in the handshake: a cookie, or a header that `authenticate` reads. Until it is known nothing is read.
    connection.hold();
    connection.authenticate({}, (admitted) => {
      if (!admitted || connection.principal?.name === undefined) throw new ProtocolError('unauthorized');
      this.#say({ type: 'welcome', user: this.#user });
      connection.release();
    });
  }

  get #user(): string {
    return this.#connection.principal?.name ?? '';
  }

  // ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  receive(data: string | Uint8Array): void {
    const said = this.#read(data);
    const { type } = said as { readonly type?: unknown };
    // Not everything has a text: what a client calls its type is written only if it is one.
    if (typeof type !== 'string') throw new ProtocolError('malformed', 'a message is an object with a type');
    if (!Object.hasOwn(schemas, type)) return this.#refuse(type, `There is no type "${type.slice(0, 100)}"`);
    this.#handle(type as keyof Handlers, said);
  }

  #read(data: string | Uint8Array): object {
    let said: unknown;
    try {
      if (this.#packs === (typeof data === 'string'))
        throw new TypeError(`${this.#connection.name} is ${this.#packs ? 'binary' : 'text'}`);
      said = typeof data === 'string' ? JSON.parse(data) : msgpack.decode(data);
    } catch (cause) {
      throw new ProtocolError('malformed', undefined, { cause });
    }
    if (typeof said !== 'object' || said === null)
      throw new ProtocolError('malformed', 'a message is an object with a type');
    return said;
  }

  #handle<Type extends keyof Handlers>(type: Type, said: unknown): void {
    let fit: Said<Type>;
    try {
      fit = validated(schemas[type] as unknown as StandardSchema<Said<Type>>, said, type);
    } catch (error) {
      return this.#refuse(type, (error as Error).message);
    }
    this.#handlers[type](fit);
  }

  #join(room: string): void {
    if (this.#joined.has(room)) return this.#refuse('join', `You are in ${room}`);
    if (this.#joined.size >= maxRooms) return this.#refuse('join', `At most ${maxRooms} rooms`);
    const { mayJoin } = this.#host;
    this.#turn.wait(
      (async () => mayJoin(this.#user, room))(),
      (may) => (may === true ? this.#enter(room) : this.#refuse('join', `You may not be in ${room}`)),
      (error) => {
        this.#connection.report(error);
        this.#refuse('join', 'Try again later');
      },
    );
  }

  #enter(room: string): void {
    const { bus, present } = this.#host;
    this.#connection.charge(roomCost);
    const topic = `$rooms/${room}`;
    const listening: ListenHandle = bus.listen(topic, (message) => this.#forward(message));
    const members = present.list(topic).map(({ user }) => user);
    const tell =
      (change: 'join' | 'leave') =>
      (where: string, { user }: Present): void => {
        if (where === topic && user !== this.#user) this.#say({ type: 'presence', room, [change]: user });
      };
    const stops = [present.on('join', tell('join')), present.on('leave', tell('leave'))];
    const tracked = present.track(topic, this.#user);
    this.#joined.set(room, () => {
      this.#joined.delete(room);
      listening.stop();
      for (const stop of stops) stop();
      tracked.leave();
      this.#connection.charge(-roomCost);
    });
    this.#say({ type: 'joined', room, members });
  }

  #leave(room: string): void {
    const leave = this.#joined.get(room);
    if (!leave) return this.#refuse('leave', `You are not in ${room}`);
    leave();
    this.#say({ type: 'left', room });
  }

  #chat(room: string, text: string): void {
    if (!this.#joined.has(room)) return this.#refuse('chat', `You are not in ${room}`);
    const body = encodeUtf8(JSON.stringify({ type: 'chat', room, from: this.#user, text }));
    // What this client says next waits until the bus has it, so that its order stays.
    this.#turn.wait(
      this.#host.bus.publish(`$rooms/${room}`, body),
      () => {},
      () => this.#refuse('chat', 'Not sent: try again later'),
    );
  }

  /** The same bytes for all of a room. */
  #forward(message: Message): void {
    const tail = this.#packs ? message.encodedAs(asMessagePack) : message.body;
    this.#connection.send({ head: '', tail, binary: this.#packs });
  }

  #say(said: object): void {
    const head = this.#packs ? msgpack.encode(said, { ignoreUndefined: true }) : JSON.stringify(said);
    this.#connection.send({ head, binary: this.#packs });
  }

  #refuse(of: unknown, message: string): void {
    this.#say({ type: 'error', of: typeof of === 'string' ? of : null, message });
  }

  get deadline(): number {
    return this.#turn.deadline;
  }
  /** It counts while input is held as well. */
  get sendBy(): number {
    return this.#turn.deadline;
  }
  get awaiting(): boolean {
    return this.#turn.pending > 0;
  }
  get idle(): boolean {
    return this.#turn.pending === 0;
  }
  tick(now: number): void {
    this.#turn.tick(now);
  }
  // Each message is whole: nothing is left to go on with.
  released(): void {}
  drained(): void {}
  drain(): void {
    this.#connection.close('goingAway');
  }
  fail({ fault, detail }: ProtocolError): void {
    this.#refuse(null, detail ?? fault);
  }
  end(): void {
    for (const leave of [...this.#joined.values()]) leave();
  }
}
