/**
 * A map that keeps its only entry by itself. A `Map` takes 200 bytes, and most connections have one operation, or one
 * subscription.
 *
 * @example
 * const operations = new SmallMap<string, RunningOperation>();
 * operations.set('7', operation);
 */
export class SmallMap<Key, Value extends object> {
  // The only entry, while there is no map.
  #key: Key | undefined;
  #value: Value | undefined;
  #map: Map<Key, Value> | undefined;

  get size(): number {
    return this.#map ? this.#map.size : this.#value ? 1 : 0;
  }

  get(key: Key): Value | undefined {
    if (this.#map) return this.#map.get(key);
    return this.#key === key ? this.#value : undefined;
  }

  has(key: Key): boolean {
    return this.get(key) !== undefined;
  }

  set(key: Key, value: Value): void {
    if (!this.#map && this.#value && this.#key !== key) {
      this.#map = new Map([[this.#key as Key, this.#value]]);
      this.#key = this.#value = undefined;
    }
    if (this.#map) this.#map.set(key, value);
    else {
      this.#key = key;
      this.#value = value;
    }
  }

  delete(key: Key): void {
    if (this.#map) this.#map.delete(key);
    else if (this.#key === key) this.clear();
  }

  clear(): void {
    this.#map?.clear();
    this.#key = this.#value = undefined;
  }

  /** The oldest first. */
  values(): Iterable<Value> {
    if (this.#map) return this.#map.values();
    return this.#value ? [this.#value] : [];
  }
}
