/** What was acknowledged, as one: it is undone by the ABORT of its transaction. */
export interface Claim {
  /** Its transaction was aborted: what it acknowledged can be acknowledged again. */
  undone: boolean;
  /** Its transaction was committed. */
  done: boolean;
}

/** Of an acknowledgement that belongs to no transaction. */
const kept: Claim = { undone: false, done: true };

/**
 * What of a subscription was acknowledged on one connection. The server answers a second ACK, and one that comes after
 * UNSUBSCRIBE, by an ERROR that ends the connection: so they are not sent ([STOMP-117]).
 */
export class Acknowledgements {
  /** The `ack` header of the SUBSCRIBE. */
  readonly mode: string;
  /** The subscription has ended: the server has taken back what was not acknowledged. */
  ended = false;
  readonly #transactions: ReadonlyMap<string, Claim>;
  #count = 0;
  // Mode `client`: what is before this was covered by the acknowledgement of a later one …
  #upTo = 0;
  // … or by one in a transaction that still may be aborted.
  #open: (readonly [upTo: number, claim: Claim])[] = [];

  constructor(mode: string, transactions: ReadonlyMap<string, Claim>) {
    this.mode = mode;
    this.#transactions = transactions;
  }

  /** A message came: its place in the order of the subscription. */
  next(): number {
    return ++this.#count;
  }

  /** Was the message at this place covered by an acknowledgement of another one, or is it too late for any? */
  covers(place: number): boolean {
    return this.ended || place <= this.#upTo || this.#open.some(([upTo, { undone }]) => !undone && place <= upTo);
  }

  /** The message at this place is acknowledged, perhaps in a transaction. */
  claim(place: number, transaction: string | undefined): Claim {
    const claim = (transaction !== undefined && this.#transactions.get(transaction)) || kept;
    if (this.mode !== 'client') return claim;
    this.#open = [...this.#open, [place, claim] as const].filter(([upTo, { undone, done }]) => {
      if (done) this.#upTo = Math.max(this.#upTo, upTo);
      return !undone && !done;
    });
    return claim;
  }
}
