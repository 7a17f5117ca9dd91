import { isPattern, PatternIndex } from '../bus/pattern.ts';

/** Values by topic or pattern: which of them a topic reaches, each once. */
export class Names<Value> {
  readonly #topics = new Map<string, Set<Value>>();
  readonly #patterns = new PatternIndex<Set<Value>>();

  /** Let a topic or a pattern lead to a value. Throws where patterns have their wildcards in too many places. */
  add(name: string, value: Value): void {
    const index = isPattern(name) ? this.#patterns : this.#topics;
    const values = index.get(name);
    if (values) values.add(value);
    else index.set(name, new Set([value]));
  }

  /** Undo `add`. */
  delete(name: string, value: Value): void {
    const index = isPattern(name) ? this.#patterns : this.#topics;
    const values = index.get(name);
    if (values?.delete(value) && values.size === 0) index.delete(name);
  }

  /** The values that this topic reaches. */
  match(topic: string): Iterable<Value> {
    const exact = this.#topics.get(topic) ?? [];
    const matching = this.#patterns.match(topic);
    if (matching.length === 0) return exact;
    const found = new Set(exact);
    for (const values of matching) for (const value of values) found.add(value);
    return found;
  }
}

/** Does this topic or pattern reach the topic? */
export function matcher(name: string): (topic: string) => boolean {
  if (!isPattern(name)) return (topic) => topic === name;
  const index = new PatternIndex<true>();
  index.set(name, true);
  return (topic) => index.match(topic).length > 0;
}
