import { malformed } from '../protocol/frame.ts';

/** A message that was sent to a client which has not acknowledged it yet. */
export interface Delivery {
  /** What the client's ACK or NACK names it by, within its subscription. */
  readonly key: string;
  /** Its place among the deliveries of the subscription: later ones have more. */
  readonly order: number;
}

/** The deliveries of one subscription that wait for an ACK or NACK, in their order. */
export class Unacknowledged<Each extends Delivery> {
  #waiting = new Map<string, Each>();

  /** How many wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Does a delivery of this key wait? */
  has(key: string): boolean {
    return this.#waiting.has(key);
  }

  /** One more was sent. It is younger than all that wait. */
  add(delivery: Each): void {
    this.#waiting.set(delivery.key, delivery);
  }

  /**
   * Take out what an ACK or NACK of this key is about, oldest first: its delivery, and where it is `cumulative` (mode
   * `client`) also all that were sent to this subscription before it ([STOMP-51] [STOMP-52]). The deliveries belong to the
   * caller then. Throws a `ProtocolError` `malformed` if no delivery of this key waits.
   */
  claim(key: string, cumulative: boolean): Each[] {
    const delivery = this.#waiting.get(key);
    if (!delivery) throw malformed('a message that does not wait for an ACK or NACK');
    const claimed: Each[] = [];
    if (cumulative) {
      for (const each of this.#waiting.values()) {
        claimed.push(each);
        if (each === delivery) break;
      }
    } else claimed.push(delivery);
    for (const each of claimed) this.#waiting.delete(each.key);
    return claimed;
  }

  /** The transaction that claimed these was aborted: they wait again, in their old order. */
  restore(deliveries: readonly Each[]): void {
    const all = [...deliveries, ...this.#waiting.values()].sort((one, other) => one.order - other.order);
    this.#waiting = new Map(all.map((each) => [each.key, each]));
  }

  /** Take out all that wait, oldest first: the subscription has ended. */
  takeAll(): Each[] {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    return all;
  }
}
