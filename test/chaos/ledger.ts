/** What one receiver saw: numbers in the order in which they came, and where it was told that something may be missing. */
export type Seen = number | 'told';

/** What became of everything that was sent. */
export interface Balance {
  readonly sent: number;
  /** A receipt, or an answer, said that the server has it. */
  readonly confirmed: number;
  /** Over all receivers. */
  readonly received: number;
  /** Confirmed, due to a receiver, never come, and nobody said a word. */
  readonly lost: number;
  readonly doubled: number;
  /** Came after a later one. */
  readonly swapped: number;
  /** Not come, and its receiver, or its sender, was told. */
  readonly saidAloud: number;
}

/**
 * Numbers go out, and it is written down which came in.
 *
 * @example
 * const ledger = new Ledger();
 * const note = ledger.receiver();
 * ledger.confirm(ledger.next());
 * note(1);
 * ledger.balance(); // { sent: 1, confirmed: 1, received: 1, lost: 0, … }
 */
export class Ledger {
  readonly #confirmed = new Set<number>();
  readonly #receivers: Seen[][] = [];
  readonly #refused = new Set<number>();
  #sent = 0;

  /** A number that is about to be sent. */
  next(): number {
    return ++this.#sent;
  }

  get sent(): number {
    return this.#sent;
  }

  confirm(number: number): void {
    this.#confirmed.add(number);
  }

  /** The sender was told that this one may not have arrived: whether it comes, and when, is not promised any more. */
  refuse(number: number): void {
    this.#refused.add(number);
  }

  /** Somebody who has to get every number from now on. */
  receiver(): (seen: Seen) => void {
    const seen: Seen[] = [];
    this.#receivers.push(seen);
    return (each) => void seen.push(each);
  }

  /** What each receiver saw so far. */
  get seen(): readonly (readonly Seen[])[] {
    return this.#receivers;
  }

  /** Each receiver of a topic is due every number from its first one to the last confirmed. */
  balance(): Balance {
    const last = Math.max(0, ...this.#confirmed);
    const sums = { received: 0, lost: 0, doubled: 0, swapped: 0, saidAloud: this.#refused.size };
    for (const seen of this.#receivers) {
      const come = new Set<number>();
      let highest = 0;
      let told = false;
      const missing = (until: number): void => {
        for (let number = highest + 1; number < until; number++) {
          if (come.has(number) || !this.#confirmed.has(number) || highest === 0) continue;
          if (told) sums.saidAloud++;
          else sums.lost++;
        }
      };
      for (const each of seen) {
        if (each === 'told') told = true;
        else {
          sums.received++;
          if (this.#refused.has(each)) continue;
          if (come.has(each)) sums.doubled++;
          else if (each < highest) sums.swapped++;
          else {
            missing(each);
            highest = each;
            told = false;
          }
          come.add(each);
        }
      }
      missing(last + 1);
    }
    return { sent: this.#sent, confirmed: this.#confirmed.size, ...sums };
  }

  /** Of a queue: each number is due once, whoever gets it. `again`: it may come once more, marked as redelivered. */
  queueBalance(): Balance {
    const counts = new Map<number, number>();
    let swapped = 0;
    for (const seen of this.#receivers) {
      let highest = 0;
      for (const each of seen) {
        if (each === 'told') continue;
        counts.set(each, (counts.get(each) ?? 0) + 1);
        if (each < highest) swapped++;
        highest = Math.max(highest, each);
      }
    }
    const received = [...counts.values()].reduce((sum, count) => sum + count, 0);
    const lost = [...this.#confirmed].filter((number) => !counts.has(number)).length;
    return {
      sent: this.#sent,
      confirmed: this.#confirmed.size,
      received,
      lost,
      doubled: received - counts.size,
      swapped,
      saidAloud: this.#refused.size,
    };
  }
}

/** One line of the report. */
export const lineOf = ({ sent, confirmed, received, lost, doubled, swapped, saidAloud }: Balance): string =>
  `sent ${sent} / confirmed ${confirmed} / received ${received} / lost ${lost} / doubled ${doubled} / swapped ${swapped} / said aloud ${saidAloud}`;
