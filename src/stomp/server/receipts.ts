import type { Entries } from '../protocol/forward-frame.ts';

/** What the RECEIPT of a frame says besides its id, and what has to come behind it. */
export interface Answer {
  /** More headers of the RECEIPT. */
  readonly headers: Entries;
  /** Called once the RECEIPT has left, or could have if the frame had asked for one. */
  readonly behind?: (() => void) | undefined;
}

/** A frame whose outcome is awaited. */
export interface PendingReceipt {
  /** The receipt that it asked for; undefined: none. */
  readonly receipt: string | undefined;
  /** What its RECEIPT says besides. */
  answer?: Answer | undefined;
  /** The frame was processed. Its RECEIPT may still wait for those before it. */
  done: boolean;
}

/** RECEIPTs leave in the order of their frames, each once its frame was processed ([STOMP-61]). */
export class Receipts {
  readonly #send: (receipt: string, more?: Entries) => void;
  #waiting: PendingReceipt[] = [];

  /** `send` sends a RECEIPT; `more`: headers beside its id. */
  constructor(send: (receipt: string, more?: Entries) => void) {
    this.#send = send;
  }

  /** Frames whose outcome is awaited, and those whose RECEIPT waits for them. */
  get pending(): number {
    return this.#waiting.length;
  }

  /** A frame was processed at once. */
  processed(receipt: string | undefined): void {
    if (receipt === undefined) return;
    if (this.#waiting.length === 0) this.#send(receipt);
    else this.#waiting.push({ receipt, done: true });
  }

  /** A frame waits for its outcome: {@link settle} tells that it came. */
  expect(receipt: string | undefined): PendingReceipt {
    const entry = { receipt, done: false };
    this.#waiting.push(entry);
    return entry;
  }

  /** The outcome is there: this RECEIPT leaves, and those that waited for it, unless it waits itself. */
  settle(entry: PendingReceipt): void {
    entry.done = true;
    let settled = 0;
    for (const { receipt, done, answer } of this.#waiting) {
      if (!done) break;
      settled++;
      if (receipt !== undefined) this.#send(receipt, answer?.headers);
    }
    if (settled === 0) return;
    for (const { answer } of this.#waiting.splice(0, settled)) answer?.behind?.();
  }
}
