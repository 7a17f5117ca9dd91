/**
 * A map that needs no `Map` for a single entry. A `Map` takes 200 bytes, and most connections have one operation or one
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

  /** How many entries there are. */
  get size(): number {
    return this.#map ? this.#map.size : this.#value ? 1 : 0;
  }

  /** The value of a key; undefined where there is none. */
  get(key: Key): Value | undefined {
    if (this.#map) return this.#map.get(key);
    return this.#key === key ? this.#value : undefined;
  }

  /** Is there an entry of this key? */
  has(key: Key): boolean {
    return this.get(key) !== undefined;
  }

  /** Add an entry, or put another value in its place. */
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

  /** Take an entry out, if it is there. */
  delete(key: Key): void {
    if (this.#map) this.#map.delete(key);
    else if (this.#key === key) this.clear();
  }

  /** Take all entries out. */
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
