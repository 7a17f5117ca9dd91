/**
 * WAMP 2, basic profile, written with public entry points alone: publish and subscribe over the bus, which other protocols
 * share, and calls between the clients of this process. Tokens: JSON and MessagePack. See docs/extend.md.
 */
import * as msgpack from '@msgpack/msgpack';
import type { Bus } from 'subwire';
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
  type Subprotocol,
} from 'subwire/extend';
import { z } from 'zod';

export interface WampOptions {
  readonly bus: Bus;
  /** The one realm that is served. @defaultValue `realm1` */
  readonly realm?: string;
  /** Who may register or call a procedure. Anything but `true` keeps out. @defaultValue everybody who was let in */
  readonly mayUse?: (action: 'register' | 'call', procedure: string, connection: Connection) => boolean;
}

const json = 'wamp.2.json';
const packed = 'wamp.2.msgpack';
const faults = faultTable();
/** Content type of the two lists of arguments that WAMP has. One argument alone travels as JSON, which every protocol reads. */
const wampType = 'application/vnd.wamp+json';
/** Of one connection; each entry is charged to it, in bytes. */
const [maxSubscriptions, maxRegistrations, maxCalls, entryCost] = [1_000, 1_000, 100, 500];
const [helloTimeout, maxDepth] = [10_000, 32];

// Some clients write `undefined` as extension 0.
const extensionCodec = new msgpack.ExtensionCodec();
extensionCodec.register({ type: 0, encode: () => null, decode: () => undefined });

const id = z.int().min(1);
const dictionary = z.record(z.string(), z.unknown());
const list = z.array(z.unknown()).optional();
const named = dictionary.optional();
const uri = z.string().max(255);
const code = <Code extends number>(number: Code) => z.literal(number);
/** What clients say, by message code. */
const schemas = {
  1: z.tuple([code(1), uri, dictionary]),
  6: z.tuple([code(6), dictionary, uri]),
  8: z.tuple([code(8), code(68), id, dictionary, uri, list, named]),
  16: z.tuple([code(16), id, dictionary, uri, list, named]),
  32: z.tuple([code(32), id, dictionary, uri]),
  34: z.tuple([code(34), id, id]),
  48: z.tuple([code(48), id, dictionary, uri, list, named]),
  64: z.tuple([code(64), id, dictionary, uri]),
  66: z.tuple([code(66), id, id]),
  70: z.tuple([code(70), id, dictionary, list, named]),
};
type Said = z.infer<(typeof schemas)[keyof typeof schemas]>;
type Arguments = readonly [positional?: unknown[] | undefined, named?: Record<string, unknown> | undefined];
interface Call {
  readonly caller: WampSession;
  readonly request: number;
  readonly callee: WampSession;
}
interface Host {
  readonly bus: Bus;
  readonly realm: string;
  readonly mayUse: NonNullable<WampOptions['mayUse']>;
  readonly procedures: Map<string, { readonly callee: WampSession; readonly registration: number }>;
  readonly calls: Map<number, Call>;
  next(): number;
}

/** An id of the global scope: 1 to 2^53, drawn at random. */
const globalId = (): number => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER) + 1;
const isUri = (text: string): boolean => /^[\w-]+(\.[\w-]+)*$/.test(text) && !text.startsWith('wamp.');

/** Lists, objects and plain values, no deeper than may be written again in either token. */
function isPlain(value: unknown, depth = maxDepth): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'bigint';
  const prototype: unknown = Object.getPrototypeOf(value);
  return (
    depth > 0 &&
    (prototype === Array.prototype || prototype === Object.prototype) &&
    Object.values(value).every((each) => isPlain(each, depth - 1))
  );
}

/** The arguments of a message, whoever wrote it. */
function argumentsOf({ body, contentType }: Message): Arguments {
  const text = decodeUtf8(body);
  if (contentType === wampType) return z.tuple([list, named]).parse(JSON.parse(text));
  return [[contentType === 'application/json' ? JSON.parse(text) : text]];
}

/** An EVENT behind its subscription: made once for all who hear it. Undefined: a body that WAMP cannot express. */
const eventTail = (write: (value: unknown) => Uint8Array, separator: Uint8Array): Encoding<Uint8Array | undefined> => ({
  encode(message) {
    try {
      const [positional = [], byName = {}] = argumentsOf(message);
      const publication = Number(message.headers.get('wamp-publication')) || globalId();
      const parts = [publication, {}, positional, byName].flatMap((each) => [separator, write(each)]);
      return Buffer.concat(separator.length > 0 ? [...parts, encodeUtf8(']')] : parts);
    } catch {
      return undefined;
    }
  },
});
const jsonTail = eventTail((value) => encodeUtf8(JSON.stringify(value)), encodeUtf8(','));
const packedTail = eventTail((value) => msgpack.encode(value), new Uint8Array());

/** A WAMP router: `attach(http, { protocols: [wamp({ bus })], authenticate })`. */
export function wamp({ bus, realm = 'realm1', mayUse = () => true }: WampOptions): Subprotocol {
  let last = 0;
  const host: Host = { bus, realm, mayUse, procedures: new Map(), calls: new Map(), next: () => ++last };
  return {
    names: [json, packed],
    faults,
    open: (connection, name) => new WampSession(connection, name === packed, host),
  };
}

class WampSession implements Session {
  readonly #connection: Connection;
  readonly #packs: boolean;
  readonly #host: Host;
  readonly #turn: InTurn;
  readonly #id = globalId();
  readonly #topics = new Map<string, { readonly subscription: number; readonly listening: ListenHandle }>();
  readonly #registered = new Map<number, string>();
  #calls = 0;
  #helloBy: number;
  #phase: 'new' | 'asked' | 'open' = 'new';

  constructor(connection: Connection, packs: boolean, host: Host) {
    this.#connection = connection;
    this.#packs = packs;
    this.#host = host;
    this.#turn = createInTurn(connection);
    this.#helloBy = connection.now + helloTimeout;
  }

  receive(data: string | Uint8Array): void {
    const said = this.#read(data);
    if (said[0] === 1) return this.#hello(said[1], said[2]);
    if (this.#phase !== 'open') throw new ProtocolError('malformed', 'HELLO comes first');
    switch (said[0]) {
      case 6:
        this.#say(6, {}, 'wamp.close.goodbye_and_out');
        return this.#connection.finish();
      case 8:
        return this.#answer(said[2], (call) => call.caller.#say(8, 48, call.request, {}, said[4], said[5], said[6]));
      case 16:
        return this.#publish(said[1], said[2], said[3], [said[4], said[5]]);
      case 32:
        return this.#subscribe(said[1], said[2], said[3]);
      case 34:
        return this.#unsubscribe(said[1], said[2]);
      case 48:
        return this.#call(said[1], said[3], [said[4], said[5]]);
      case 64:
        return this.#register(said[1], said[3]);
      case 66:
        return this.#unregister(said[1], said[2]);
      default:
        return this.#answer(said[1], (call) => call.caller.#say(50, call.request, {}, said[3], said[4]));
    }
  }

  #read(data: string | Uint8Array): Said {
    let said: unknown;
    try {
      if (this.#packs === (typeof data === 'string')) throw new TypeError('text for JSON, bytes for MessagePack');
      said = typeof data === 'string' ? JSON.parse(data) : msgpack.decode(data, { extensionCodec });
    } catch (cause) {
      throw new ProtocolError('malformed', undefined, { cause });
    }
    const first: unknown = Array.isArray(said) ? said[0] : undefined;
    const number = typeof first === 'number' ? String(first) : '';
    if (!Object.hasOwn(schemas, number)) throw new ProtocolError('malformed', 'no message of a client');
    const fit = schemas[Number(number) as keyof typeof schemas].safeParse(said);
    if (!fit.success || !isPlain(said)) throw new ProtocolError('malformed', `a message ${number} that is none`);
    return fit.data;
  }

  #hello(realm: string, details: Record<string, unknown>): void {
    if (this.#phase !== 'new') throw new ProtocolError('malformed', 'a second HELLO');
    this.#phase = 'asked';
    this.#helloBy = Infinity;
    this.#connection.hold();
    this.#connection.authenticate({ connectionParams: details }, (admitted) => {
      if (!admitted) throw new ProtocolError('unauthorized');
      if (realm !== this.#host.realm) {
        this.#say(3, {}, 'wamp.error.no_such_realm');
        return this.#connection.finish(1008, 'No such realm');
      }
      this.#phase = 'open';
      this.#say(2, this.#id, { roles: { broker: {}, dealer: {} } });
      this.#connection.release();
    });
  }

  // ── broker ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #publish(
    request: number,
    options: Record<string, unknown>,
    topic: string,
    [positional = [], byName]: Arguments,
  ): void {
    const acknowledges = options['acknowledge'] === true;
    const refuse = (error: string): void => {
      if (acknowledges) this.#refuse(16, request, error);
    };
    if (!isUri(topic)) return refuse('invalid_uri');
    if (!this.#host.bus.permits(topic, 'wamp', 'write')) return refuse('not_authorized');
    const alone = positional.length === 1 && byName === undefined;
    const publication = globalId();
    // Who is left out stands beside the message: the publisher may be on another server than we.
    const but = options['exclude_me'] === false ? 0 : this.#id;
    this.#turn.wait(
      this.#host.bus.publish(topic, encodeUtf8(JSON.stringify(alone ? positional[0] : [positional, byName ?? {}])), {
        contentType: alone ? 'application/json' : wampType,
        headers: { 'wamp-publication': String(publication), 'wamp-but': String(but) },
      }),
      () => {
        if (acknowledges) this.#say(17, request, publication);
      },
      () => refuse('unavailable'),
    );
  }

  #subscribe(request: number, options: Record<string, unknown>, topic: string): void {
    if (options['match'] !== undefined && options['match'] !== 'exact')
      return this.#refuse(32, request, 'option_not_allowed');
    if (!isUri(topic)) return this.#refuse(32, request, 'invalid_uri');
    const { bus } = this.#host;
    if (!bus.permits(topic, 'wamp', 'read')) return this.#refuse(32, request, 'not_authorized');
    const known = this.#topics.get(topic);
    if (known) return this.#say(33, request, known.subscription);
    if (this.#topics.size >= maxSubscriptions) return this.#refuse(32, request, 'too_many');
    this.#connection.charge(entryCost);
    const subscription = this.#host.next();
    const listening = bus.listen(topic, (message) => this.#forward(subscription, message), { protocol: 'wamp' });
    this.#topics.set(topic, { subscription, listening });
    this.#turn.wait(
      listening.active,
      () => this.#say(33, request, subscription),
      () => {
        this.#forget(topic, listening);
        this.#refuse(32, request, 'unavailable');
      },
    );
  }

  #forward(subscription: number, message: Message): void {
    const tail = message.encodedAs(this.#packs ? packedTail : jsonTail);
    if (!tail || message.headers.get('wamp-but') === String(this.#id)) return;
    // 0x96 is a list of six, 36 the code of EVENT.
    const head = this.#packs
      ? Buffer.concat([Uint8Array.of(0x96, 36), msgpack.encode(subscription)])
      : `[36,${subscription}`;
    this.#connection.send({ head, tail, binary: this.#packs });
  }

  #unsubscribe(request: number, subscription: number): void {
    const found = [...this.#topics].find(([, each]) => each.subscription === subscription);
    if (!found) return this.#refuse(34, request, 'no_such_subscription');
    this.#forget(found[0], found[1].listening);
    this.#say(35, request);
  }

  #forget(topic: string, listening: ListenHandle): void {
    listening.stop();
    this.#topics.delete(topic);
    this.#connection.charge(-entryCost);
  }

  // ── dealer ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #register(request: number, procedure: string): void {
    const { procedures, mayUse, next } = this.#host;
    if (!isUri(procedure)) return this.#refuse(64, request, 'invalid_uri');
    if (mayUse('register', procedure, this.#connection) !== true) return this.#refuse(64, request, 'not_authorized');
    if (procedures.has(procedure)) return this.#refuse(64, request, 'procedure_already_exists');
    if (this.#registered.size >= maxRegistrations) return this.#refuse(64, request, 'too_many');
    this.#connection.charge(entryCost);
    const registration = next();
    procedures.set(procedure, { callee: this, registration });
    this.#registered.set(registration, procedure);
    this.#say(65, request, registration);
  }

  #unregister(request: number, registration: number): void {
    const procedure = this.#registered.get(registration);
    if (procedure === undefined) return this.#refuse(66, request, 'no_such_registration');
    this.#registered.delete(registration);
    this.#host.procedures.delete(procedure);
    this.#connection.charge(-entryCost);
    this.#say(67, request);
  }

  #call(request: number, procedure: string, [positional, byName]: Arguments): void {
    const { procedures, calls, mayUse, next } = this.#host;
    if (!isUri(procedure)) return this.#refuse(48, request, 'invalid_uri');
    if (mayUse('call', procedure, this.#connection) !== true) return this.#refuse(48, request, 'not_authorized');
    const found = procedures.get(procedure);
    if (!found) return this.#refuse(48, request, 'no_such_procedure');
    if (this.#calls >= maxCalls) return this.#refuse(48, request, 'too_many');
    this.#connection.charge(entryCost);
    this.#calls++;
    const invocation = next();
    calls.set(invocation, { caller: this, request, callee: found.callee });
    found.callee.#say(68, invocation, found.registration, {}, positional, byName);
  }

  /** What nobody asked this callee is dropped: its caller may have left meanwhile. */
  #answer(invocation: number, tell: (call: Call) => void): void {
    const call = this.#host.calls.get(invocation);
    if (call?.callee !== this) return;
    this.#host.calls.delete(invocation);
    call.caller.#calls--;
    call.caller.#connection.charge(-entryCost);
    tell(call);
  }

  #say(...message: unknown[]): void {
    while (message.at(-1) === undefined) message.pop();
    const said = message.map((each, place) => (each === undefined && place > 0 ? [] : each));
    this.#connection.send({ head: this.#packs ? msgpack.encode(said) : JSON.stringify(said), binary: this.#packs });
  }

  #refuse(kind: number, request: number, error: string): void {
    this.#say(8, kind, request, {}, `wamp.error.${error}`);
  }

  get deadline(): number {
    return Math.min(this.#helloBy, this.#turn.deadline);
  }
  /** It counts while input is held as well. */
  get sendBy(): number {
    return this.#turn.deadline;
  }
  get awaiting(): boolean {
    return this.#turn.pending > 0;
  }
  get idle(): boolean {
    return this.#turn.pending === 0 && this.#calls === 0;
  }
  tick(now: number): void {
    if (now >= this.#helloBy) throw new ProtocolError('initTimeout');
    this.#turn.tick(now);
  }
  released(): void {}
  drained(): void {}
  drain(): void {
    this.#connection.close('goingAway');
  }
  fail({ fault }: ProtocolError): void {
    if (fault === 'goingAway') return this.#say(6, {}, 'wamp.close.system_shutdown');
    const reasons: Readonly<Record<string, string>> = {
      malformed: 'protocol_violation',
      unauthorized: 'not_authorized',
    };
    this.#say(3, {}, `wamp.error.${reasons[fault] ?? 'unavailable'}`);
  }
  end(): void {
    const { calls, procedures } = this.#host;
    for (const { listening } of this.#topics.values()) listening.stop();
    for (const procedure of this.#registered.values()) procedures.delete(procedure);
    for (const [invocation, call] of [...calls]) {
      if (call.caller === this) calls.delete(invocation);
      else if (call.callee === this) this.#answer(invocation, () => call.caller.#refuse(48, call.request, 'canceled'));
    }
  }
}
