import { ProtocolError } from '../../core/fault.ts';
import { type Frame, malformed } from '../protocol/frame.ts';
import type { ClientHandler } from './destination-handler.ts';

interface OpenTransaction {
  readonly begin: Frame;
  handler: ClientHandler | undefined;
}

/**
 * The open transactions of a client whose destinations have several handlers. No handler can commit what another one
 * did, so that a transaction belongs to the handler of its first frame, and a frame for another one is refused.
 */
export class TransactionRoutes {
  readonly #limit: number;
  readonly #open = new Map<string, OpenTransaction>();

  /** `limit`: how many may be open at a time. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whose frame a COMMIT or ABORT is; undefined: nobody's, as with every BEGIN. Throws a `ProtocolError` as handlers do. */
  handlerOf(frame: Frame, id: string): ClientHandler | undefined {
    return frame.command === 'BEGIN' ? this.#begin(frame, id) : this.#end(id);
  }

  #begin(frame: Frame, id: string): undefined {
    if (this.#open.has(id)) throw new ProtocolError('duplicate', 'BEGIN of a transaction that is open already');
    if (this.#open.size >= this.#limit) {
      throw new ProtocolError('tooMany', `more than ${this.#limit} open transactions`);
    }
    const { command } = frame;
    // The RECEIPT is given here: for the handler the frame has none.
    const headers = new Map([['transaction', id]]);
    this.#open.set(id, { begin: { command, headers, body: nothing, text: '' }, handler: undefined });
  }

  /** A frame of this handler names a transaction, which is begun there if it was not. Throws if it is another's. */
  join(frame: Frame, handler: ClientHandler): void {
    const transaction = this.#find(frame.headers.get('transaction') ?? '');
    if (transaction.handler === undefined) {
      transaction.handler = handler;
      handler.begin(transaction.begin);
    } else if (transaction.handler !== handler) {
      throw new ProtocolError('forbidden', 'a transaction over destinations of two brokers; use one for each');
    }
  }

  #end(id: string): ClientHandler | undefined {
    const { handler } = this.#find(id);
    this.#open.delete(id);
    return handler;
  }

  #find(id: string): OpenTransaction {
    const transaction = this.#open.get(id);
    if (!transaction) throw malformed('a transaction that is not open');
    return transaction;
  }
}

const nothing = new Uint8Array(0);
