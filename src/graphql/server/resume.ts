import type { ExecutionResult } from 'graphql';
import type { Bus } from '../../bus/bus.ts';
import { positionOf, positionText, type Resumed } from '../../bus/history.ts';
import type { Position } from '../../bus/message.ts';
import { resume, type Subscription } from '../../bus/subscription.ts';
import { isPromise, type PromiseOr } from '../../core/promise-or.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { encodeControl, isObject, type SubscribePayload } from '../protocol/messages.ts';
import type { OperationLimits } from './operation-limits.ts';
import type { Source } from './source.ts';

/** What a client wants of the past: `extensions.subwire.resume`. */
export interface Wish {
  /** What came after this position; undefined: it only wants to be able to come back. */
  readonly after: Position | undefined;
}

/** The wish of an operation; undefined: it has none, and sees nothing of all this ([GQL-110]). */
export function wishOf({ extensions }: SubscribePayload): Wish | undefined {
  const extension = extensions?.['subwire'];
  const wish = isObject(extension) ? extension['resume'] : undefined;
  if (wish === undefined || wish === false || wish === null) return undefined;
  return { after: wish === true ? undefined : positionOf(wish) };
}

/**
 * How often an operation is told where it is though nothing came, in ms: as often as servers ping, which is a small part of
 * the two minutes that are kept by default.
 */
export const markInterval = 25_000;

const nowhere: Resumed = { position: undefined, recovered: false };

/**
 * Let a source begin where its reader was. Live comes first: a source that is not live yet could miss what was published
 * since it was read what is missing. Never rejects: a source that cannot come to be live tells so by itself.
 */
function resumeSource(source: AsyncIterable<unknown>, after: Position | undefined): PromiseOr<Resumed> {
  const { active, [resume]: begin } = source as Partial<Subscription<unknown>>;
  if (!begin) return nowhere;
  const run = (): PromiseOr<Resumed> => begin.call(source as Subscription<unknown>, after);
  return active ? active.then(run).then(undefined, () => nowhere) : run();
}

/** The operation whose places these are. */
export interface PlacedOperation {
  /** The client's name for it. */
  readonly id: string;
  /** What the client asked for. */
  readonly payload: SubscribePayload;
  /** The connection that its results leave by. */
  readonly connection: Connection;
  /** Its last message is being prepared, or has left. */
  readonly over: boolean;
}

/**
 * Where a client is with an operation of which it wants to know that. Each result says its offset, and the epoch was told
 * before it, in a ping that says whether all that was missed comes as well ([GQL-111]).
 */
export class Places {
  /** Where the value stands that is being handled. */
  now: Position | undefined;
  readonly #operation: PlacedOperation;
  readonly #source: Pick<Source, 'mark'>;
  #epoch: string | undefined;
  /** The offset that was told last; undefined: none was, nor whether anything was missed. */
  #told: number | undefined;
  /** That something may be missing was told, and where it goes on was not. */
  #gap = false;

  constructor(operation: PlacedOperation, source: Pick<Source, 'mark'>) {
    this.#operation = operation;
    this.#source = source;
  }

  /** The places of an operation whose client wants them. */
  static of(operation: PlacedOperation, source: Pick<Source, 'mark'>): Places | undefined {
    const { withoutPlaces } = operation.connection.handshake as OperationLimits;
    return withoutPlaces || !wishOf(operation.payload) ? undefined : new Places(operation, source);
  }

  /** Begin where the client was, tell it, then go on. */
  begin(opened: AsyncIterable<unknown>, then: () => void): void {
    const { connection, payload } = this.#operation;
    const after = wishOf(payload)?.after;
    const resumed = ({ position, recovered }: Resumed): void => {
      if (this.#operation.over) return;
      this.#tell(position ?? null, after && recovered);
      then();
    };
    const outcome = resumeSource(opened, after);
    if (isPromise(outcome)) connection.resume(Promise.resolve(outcome), resumed);
    else resumed(outcome);
  }

  /** Something may be missing: the client hears of it at once. */
  gap(): void {
    this.#tell(undefined, false);
    this.#gap = true;
  }

  /** The offset of the value that is being handled, in the epoch that the client knows by then; undefined: it has none. */
  step(): number | undefined {
    const { now } = this;
    if (!now) return undefined;
    if (now.epoch !== this.#epoch) {
      this.#tell({ epoch: now.epoch, offset: now.offset - 1 }, this.#gap ? undefined : false);
      this.#gap = false;
    }
    return now.offset;
  }

  /**
   * All up to here was sent, or passed its filter by: a client that comes back from here is behind by little, however long
   * nothing came ([GQL-115]).
   */
  mark(): void {
    const at = this.#source.mark?.();
    if (!at || this.#told === undefined || this.#operation.over) return;
    const { now } = this;
    const isKnown = at.epoch === this.#epoch;
    if (isKnown && at.offset <= Math.max(this.#told, now?.epoch === at.epoch ? now.offset : 0)) return;
    this.#tell(at, isKnown || this.#epoch === undefined ? undefined : false);
    this.#gap = false;
  }

  #tell(at: Position | null | undefined, recovered: boolean | undefined): void {
    const { connection, id } = this.#operation;
    this.#epoch = at?.epoch;
    this.#told = at?.offset ?? 0;
    const told = { live: id, at: at && positionText(at), recovered };
    connection.send({ head: encodeControl('ping', { subwire: told }), binary: false });
  }
}

/** Where a query stands: what a client needs to subscribe without a hole behind it ([GQL-113]). */
export function queryPlace(bus: Pick<Bus, 'position'> | undefined, payload: SubscribePayload): string | undefined {
  const position = bus && wishOf(payload) && bus.position();
  return position && positionText(position);
}

/** A result that says where it stands, beside what it says of itself. */
export function withPlace(result: ExecutionResult, at: string | undefined): ExecutionResult {
  if (at === undefined) return result;
  const { extensions } = result;
  return { ...result, extensions: { ...extensions, subwire: { ...(extensions?.['subwire'] as object), at } } };
}
