/** A frame whose outcome is awaited. */
export interface PendingReceipt {
  /** The receipt that it asked for; undefined: none. */
  readonly receipt: string | undefined;
  /** The frame was processed. Its RECEIPT may still wait for those before it. */
  done: boolean;
}

/** RECEIPTs leave in the order of their frames, each once its frame was processed ([STOMP-61]). */
export class Receipts {
  readonly #send: (receipt: string) => void;
  #waiting: PendingReceipt[] = [];

  /** `send` sends a RECEIPT. */
  constructor(send: (receipt: string) => void) {
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
    for (const { receipt, done } of this.#waiting) {
      if (!done) break;
      settled++;
      if (receipt !== undefined) this.#send(receipt);
    }
    if (settled > 0) this.#waiting.splice(0, settled);
  }
}
