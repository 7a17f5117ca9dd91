/** A frame whose outcome is awaited. */
export interface PendingReceipt {
  readonly receipt: string | undefined;
  done: boolean;
}

export interface ReceiptSender {
  sendReceipt(receipt: string): void;
}

/** RECEIPTs leave in the order of their frames, each once its frame was processed ([STOMP-61]). */
export class Receipts {
  readonly #sender: ReceiptSender;
  #waiting: PendingReceipt[] = [];

  constructor(sender: ReceiptSender) {
    this.#sender = sender;
  }

  /** Frames whose outcome is awaited, and those whose RECEIPT waits for them. */
  get pending(): number {
    return this.#waiting.length;
  }

  /** A frame was processed at once. */
  processed(receipt: string | undefined): void {
    if (receipt === undefined) return;
    if (this.#waiting.length === 0) this.#sender.sendReceipt(receipt);
    else this.#waiting.push({ receipt, done: true });
  }

  /** A frame waits for its outcome. */
  expect(receipt: string | undefined): PendingReceipt {
    const entry = { receipt, done: false };
    this.#waiting.push(entry);
    return entry;
  }

  settle(entry: PendingReceipt): void {
    entry.done = true;
    let settled = 0;
    for (const { receipt, done } of this.#waiting) {
      if (!done) break;
      settled++;
      if (receipt !== undefined) this.#sender.sendReceipt(receipt);
    }
    if (settled > 0) this.#waiting.splice(0, settled);
  }
}
