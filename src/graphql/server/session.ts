import { never } from '../../core/clock.ts';
import { CloseCode, ProtocolError } from '../../core/fault.ts';
import { SmallMap } from '../../core/small-map.ts';
import type { Connection, Session } from '../../core/subprotocol.ts';
import { byteLength } from '../../core/wire.ts';
import { jsonNodes } from '../protocol/json-nodes.ts';
import {
  encodeMessageHead,
  encodePayload,
  idOfSubscribe,
  type JSONMessageReviver,
  type PingMessage,
  parseMessage,
  type SubscribeMessage,
} from '../protocol/messages.ts';
import type { GraphqlLimits } from './limits.ts';
import { markInterval, type Places } from './resume.ts';
import { Works } from './works.ts';

/** What lives beside the session and may take its time: hooks, authentication, execution. */
export interface SessionHandler {
  /** `connection_init` came. Answers by {@link GraphqlSession.acknowledge}, or closes. */
  init(payload: PingMessage['payload']): void;
  /** A `ping` came: answer it. */
  ping(payload: PingMessage['payload']): void;
  /** A `pong` came. */
  pong(payload: PingMessage['payload']): void;
  /** When a hook of the application runs out of time; undefined: none is asked. */
  readonly hooksDeadline: number | undefined;
  /** `hooksDeadline` has come. */
  hooksTick(now: number): void;
  /** A `subscribe` came: make its operation, which is started next. */
  operation(message: SubscribeMessage): RunningOperation;
  /** The transport is gone: operations are about to be cancelled, and then they were. */
  ending(): void;
  /** The transport is gone and operations were cancelled: tell the application. */
  end(code: number, reason: string): void;
}

/** An operation as its session sees it. Compared by identity: the client may use its id again at once. */
export interface RunningOperation {
  /** The client's name for it. */
  readonly id: string;
  /** A subscription: it has no end that would be worth waiting for. */
  readonly streams: boolean;
  /** The iterable that it reads, if it does. */
  readonly stream: AsyncIterable<unknown> | null;
  /** Where its client is, if it wants to know that. */
  readonly places: Pick<Places, 'mark'> | undefined;
  /** What it keeps, in bytes: charged to its connection for as long as it runs. */
  readonly cost: number;
  /** Prepare it, execute it, and send what comes of it. */
  start(): void;
  /** The connection takes more; called once after {@link GraphqlSession.takes} or `mayPull` said no. */
  goOn(): void;
  /** Nobody listens any more: let go of everything, send nothing. */
  cancel(): void;
}

/**
 * So many results are pulled from all sources of a connection in one turn of the event loop. A source that is always
 * ready would otherwise keep pings, other operations and other connections waiting for ever.
 */
export const pullsPerTurn = 64;

/**
 * graphql-transport-ws on a server, for one connection: which message may come when.
 *
 * opened ──connection_init──▶ initialising ──acknowledge()──▶ acknowledged
 */
export class GraphqlSession implements Session {
  /** By when `connection_init` has to come. */
  #initBy: number;
  readonly #connection: Connection;
  readonly #handler: SessionHandler;
  readonly #limits: GraphqlLimits;
  readonly #reviver: JSONMessageReviver | undefined;
  #phase: 'opened' | 'initialising' | 'acknowledged' = 'opened';
  #draining = false;
  /** What runs for operations, and what gives their sources back, made for the first that has a promise ([GQL-107]). */
  #works: Works<RunningOperation> | undefined;
  #returns: Works<RunningOperation> | undefined;
  #operations: SmallMap<string, RunningOperation> | undefined;
  /** Those that wait until the connection takes more, and since when it does not: by then it has to. */
  #waiting: Set<RunningOperation> | undefined;
  #stalledBy: number | undefined;
  /** When operations are told next where they are; undefined: none wants to know it. */
  #markAt: number | undefined;
  /** Those that may pull again in the next turn. */
  #nextTurn: Set<RunningOperation> | undefined;
  #looksAfterTurn = false;
  #pulls = 0;

  constructor(connection: Connection, handler: SessionHandler, limits: GraphqlLimits, reviver?: JSONMessageReviver) {
    this.#connection = connection;
    this.#handler = handler;
    this.#limits = limits;
    this.#reviver = reviver;
    this.#initBy = connection.now + limits.initTimeout;
  }

  get deadline(): number {
    return Math.min(
      this.#initBy,
      this.#handler.hooksDeadline ?? never,
      this.#stalledBy ?? never,
      this.#markAt ?? never,
    );
  }

  get idle(): boolean {
    for (const { streams } of this.operations()) if (!streams) return false;
    return true;
  }

  /** Those that run now, the oldest first. */
  operations(): Iterable<RunningOperation> {
    return this.#operations?.values() ?? [];
  }

  receive(data: string | Uint8Array): void {
    if (this.#phase !== 'acknowledged') this.#checkSize(data, this.#limits.maxInitPayload);
    else if (this.#isTooMuch(data)) return this.#refuseLong(data);
    const message = parseMessage(data, this.#reviver);
    switch (message.type) {
      case 'connection_init':
        if (this.#phase !== 'opened') return this.#refuseSecondInit();
        this.#phase = 'initialising';
        this.#initBy = never;
        return this.#handler.init(message.payload);
      case 'ping':
        return this.#handler.ping(message.payload);
      case 'pong':
        return this.#handler.pong(message.payload);
      case 'subscribe':
        return this.#subscribe(message);
      case 'complete':
        return this.#complete(message.id);
      default:
        throw new ProtocolError('malformed', `Only servers send ${message.type}`);
    }
  }

  #checkSize(data: string | Uint8Array, most: number): void {
    if (byteLength(data) > most) throw new ProtocolError('tooLarge');
  }

  /** Too long, or too much to parse at once. */
  #isTooMuch(data: string | Uint8Array): boolean {
    const { maxMessage, maxNodes } = this.#limits;
    return data.length > maxMessage || jsonNodes(data, maxNodes) > maxNodes;
  }

  /** Such a `subscribe` is the error of its operation, if its id can be read without all of it ([GQL-104]). */
  #refuseLong(data: string | Uint8Array): void {
    const { maxMessage, maxNodes } = this.#limits;
    const bytes = byteLength(data);
    const isLong = bytes > maxMessage;
    const bound = isLong ? `${maxMessage} bytes; this one has ${bytes}` : `${maxNodes} objects, lists and names`;
    const words = `A message may have ${bound}`;
    const id = idOfSubscribe(data);
    if (id === undefined) throw isLong ? new ProtocolError('tooLarge') : new ProtocolError('malformed', words);
    if (this.#operations?.has(id)) throw new ProtocolError('duplicate', id);
    this.#checkId(id);
    this.#refuse(id, 'MESSAGE_TOO_LARGE', words);
  }

  #checkId(id: string): void {
    const { maxId } = this.#limits;
    if (id.length * 3 <= maxId) return;
    const bytes = byteLength(id);
    if (bytes > maxId) throw new ProtocolError('tooLarge', `An id may have ${maxId} bytes; this one has ${bytes}`);
  }

  #refuseSecondInit(): void {
    this.#cancelAll();
    this.#connection.finish(CloseCode.tooManyInits, 'Too many initialisation requests');
  }

  /** The client is let in: to be called before the ack leaves, since its answer may come while it is being sent. */
  acknowledge(): void {
    this.#phase = 'acknowledged';
  }

  #subscribe(message: SubscribeMessage): void {
    const { id } = message;
    if (this.#phase !== 'acknowledged') throw new ProtocolError('unauthorized');
    this.#checkId(id);
    this.#operations ??= new SmallMap();
    if (this.#operations.has(id)) throw new ProtocolError('duplicate', id);
    // Not started and not answered: the close that follows makes the client send it again, to another server.
    if (this.#draining) return;
    const { maxOperations } = this.#limits;
    // Whoever completes what still runs has not made room yet.
    if (this.#operations.size + (this.#works?.outliving ?? 0) >= maxOperations) {
      const message = `Too many operations: at most ${maxOperations} may run on one connection`;
      return this.#refuse(id, 'TOO_MANY_OPERATIONS', message);
    }
    const operation = this.#handler.operation(message);
    if (!this.charge(operation.cost)) {
      return this.#refuse(id, 'TOO_MUCH_KEPT', 'The operations of this connection keep too much in memory');
    }
    this.#operations.set(id, operation);
    operation.start();
  }

  /** Count what this client makes us keep ([GQL-57]). False: it may not make us keep so much. */
  charge(bytes: number): boolean {
    try {
      this.#connection.charge(bytes);
      return true;
    } catch {
      return false;
    }
  }

  #refuse(id: string, code: string, message: string): void {
    const errors = encodePayload([{ message, extensions: { code } }]);
    this.#connection.send({ head: `${encodeMessageHead(id, 'error')}${errors}}`, binary: false });
  }

  #complete(id: string): void {
    const operation = this.#operations?.get(id);
    if (!operation) return;
    const listed = this.#unlist(operation);
    operation.cancel();
    if (listed) this.#settle(operation);
  }

  /** The operation has ended: its id is free. */
  forget(operation: RunningOperation): void {
    if (this.#unlist(operation)) this.#settle(operation);
  }

  #unlist(operation: RunningOperation): boolean {
    this.#waiting?.delete(operation);
    this.#nextTurn?.delete(operation);
    if (this.#operations?.get(operation.id) !== operation) return false;
    this.#operations.delete(operation.id);
    return true;
  }

  /**
   * This runs for an operation: its charge and its slot are taken until it settles, whether or not somebody still wants
   * what comes of it ([GQL-107]).
   */
  runs(operation: RunningOperation, outcome: Promise<unknown>): void {
    this.#works ??= new Works();
    this.#until(this.#works, operation, outcome);
  }

  /**
   * Its source is being given back, or its end told, which takes no slot: a generator that waits for an event may return
   * late.
   */
  returns(operation: RunningOperation, outcome: Promise<unknown> | undefined): void {
    if (!outcome) return;
    this.#returns ??= new Works();
    this.#until(this.#returns, operation, outcome);
  }

  #until(works: Works<RunningOperation>, operation: RunningOperation, outcome: Promise<unknown>): void {
    const settled = (): void => {
      const last = works.settled(operation);
      // Most connections wait for nothing most of the time: what is empty is not kept.
      if (works.empty) this.#forgetWorks(works);
      if (last && this.#operations) this.#settle(operation);
    };
    works.begin(operation);
    outcome.then(settled, settled);
  }

  #forgetWorks(works: Works<RunningOperation>): void {
    if (works === this.#works) this.#works = undefined;
    if (works === this.#returns) this.#returns = undefined;
  }

  #settle(operation: RunningOperation): void {
    if (this.#works?.outlives(operation) || this.#returns?.outlives(operation)) return;
    this.charge(-operation.cost);
  }

  // ── backpressure ───────────────────────────────────────────────────────────────────────────────────────────────

  /** May this operation send now? If not, it is told to go on. */
  takes(operation: RunningOperation): boolean {
    if (!this.#connection.mustWait()) return true;
    this.#wait(operation);
    return false;
  }

  /** May this operation pull one more result from its source in this turn? If not, it is told to go on. */
  mayPull(operation: RunningOperation): boolean {
    if (this.#pulls < pullsPerTurn) {
      this.#pulls++;
      return true;
    }
    this.#nextTurn ??= new Set();
    this.#nextTurn.add(operation);
    this.#lookAfterTurn();
    return false;
  }

  #wait(operation: RunningOperation): void {
    this.#waiting ??= new Set();
    this.#waiting.add(operation);
    if (this.#stalledBy === undefined) {
      this.#stalledBy = this.#connection.now + this.#limits.stallTimeout;
      this.#connection.touch();
    }
    this.#lookAfterTurn();
  }

  #lookAfterTurn(): void {
    if (this.#looksAfterTurn) return;
    this.#looksAfterTurn = true;
    // What this turn queued may be all that saturates: then nothing would ever be reported as drained.
    this.#connection.afterTurn(() => {
      this.#looksAfterTurn = false;
      this.#pulls = 0;
      const operations = this.#nextTurn;
      this.#nextTurn = undefined;
      for (const operation of operations ?? []) operation.goOn();
      this.#goOn();
    });
  }

  drained(): void {
    this.#goOn();
  }

  #goOn(): void {
    const waiting = this.#waiting;
    if (!waiting || this.#connection.mustWait()) return;
    this.#waiting = this.#stalledBy = undefined;
    for (const operation of waiting) operation.goOn();
  }

  // ── places ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** An operation wants to know where it is, though nothing comes for it ([GQL-115]). */
  marks(): void {
    if (this.#markAt !== undefined) return;
    this.#markAt = this.#connection.now + Math.min(this.#connection.limits.pingInterval, markInterval);
    this.#connection.touch();
  }

  #mark(): void {
    this.#markAt = undefined;
    // Whoever does not read hears it some other time: what waits for it says where it stands.
    const isBusy = this.#connection.mustWait();
    for (const { places } of this.operations()) {
      if (!places) continue;
      if (!isBusy) places.mark();
      this.marks();
    }
  }

  // ── the rest of a session's life ───────────────────────────────────────────────────────────────────────────────

  tick(now: number): void {
    if (now >= this.#initBy) throw new ProtocolError('initTimeout');
    // Who reads nothing for so long while sources wait would make those keep what nobody takes ([GQL-35]).
    if (now >= (this.#stalledBy ?? never)) {
      if (this.#connection.mustWait()) throw new ProtocolError('tooSlow');
      this.#goOn();
    }
    if (now >= (this.#markAt ?? never)) this.#mark();
    this.#handler.hooksTick(now);
  }

  released(): void {}

  drain(): void {
    this.#draining = true;
  }

  fail(error?: ProtocolError): void {
    // What was wrong is worked out already: the application hears of it, whatever the client may know ([GQL-52]).
    if (error?.fault === 'malformed') this.#connection.report(error);
    this.#cancelAll();
  }

  end(code: number, reason: string): void {
    this.#handler.ending();
    this.#cancelAll();
    this.#handler.end(code, reason);
  }

  #cancelAll(): void {
    const operations = this.operations();
    this.#operations = this.#waiting = this.#nextTurn = this.#stalledBy = undefined;
    // What is charged ends with the connection.
    this.#works = this.#returns = undefined;
    for (const operation of operations) operation.cancel();
  }
}
