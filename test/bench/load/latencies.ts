/** Latencies of many messages, in ms. Holds the last million of them. */
export class Latencies {
  readonly #values = new Float64Array(1_000_000);
  #count = 0;

  add(ms: number, times = 1): void {
    for (let left = times; left > 0; left--) this.#values[this.#count++ % this.#values.length] = ms;
  }

  /** The value below which so many parts of all are, and start anew. */
  take(): { readonly p50: number; readonly p99: number } {
    const sorted = this.#values.slice(0, Math.min(this.#count, this.#values.length)).sort();
    this.#count = 0;
    const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN;
    return { p50: at(0.5), p99: at(0.99) };
  }
}
