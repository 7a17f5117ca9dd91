/** What a server tells of an operation that is live: `subwire` in the payload of a ping. */
export interface Told {
  /** The id of the operation. */
  readonly live?: unknown;
  /** Where it begins; null: its source has no positions. */
  readonly at?: unknown;
  /** All that was missed comes. False: something may be missing. */
  readonly recovered?: unknown;
}

/** Where an operation is, so that its client can come back to it ([GQL-114]). */
export class Recovery {
  readonly #onRecovery: (recovered: boolean) => void;
  #epoch: string | undefined;
  #offset = 0;
  /** It came back, and has not been told what of. */
  #pending: boolean;
  #sent = false;

  constructor(onRecovery: (recovered: boolean) => void, since: string | undefined) {
    this.#onRecovery = onRecovery;
    this.#pending = since !== undefined;
    this.#place(since);
  }

  #place(at: unknown): void {
    const text = String(at);
    const colon = text.lastIndexOf(':');
    this.#epoch = colon > 0 ? text.slice(0, colon) : undefined;
    this.#offset = Number(text.slice(colon + 1));
  }

  /** It is sent on one more connection. */
  sends(): void {
    if (this.#sent) this.#pending = true;
    this.#sent = true;
  }

  /** What is asked for: what came after a position, or positions. */
  wish(): string | true {
    return this.#epoch === undefined ? true : `${this.#epoch}:${this.#offset}`;
  }

  /** The server says where it is. */
  live({ at, recovered }: Told): void {
    if (at === undefined && recovered === undefined) return;
    if (at !== undefined) this.#place(at);
    if (this.#pending || recovered === false) this.#tell(recovered === true);
  }

  /** A result came; false: it had come already. */
  isNew(at: unknown): boolean {
    // A server that knows nothing of this says nothing of it.
    if (this.#pending) this.#tell(false);
    if (typeof at !== 'number' || this.#epoch === undefined) return true;
    if (at <= this.#offset) return false;
    this.#offset = at;
    return true;
  }

  #tell(recovered: boolean): void {
    this.#pending = false;
    this.#onRecovery(recovered);
  }
}
