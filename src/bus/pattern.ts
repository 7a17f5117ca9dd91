/**
 * Topic names are segments between `.` or `/`. In a pattern `*` stands for one segment and a last `**` for any number
 * of them, none included: `prices.*` matches `prices.eur`, `prices.**` also `prices` and `prices.eur.usd`.
 */
export const isPattern = (name: string): boolean =>
  segments(name).some((segment) => segment === '*' || segment === '**');

const segments = (name: string): string[] => name.split(/[./]/);

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  /** Of patterns that end here, and of those that end here by `**`. */
  here?: Set<T> | undefined;
  rest?: Set<T> | undefined;
}

/** Which patterns match a topic: the work grows with the segments of the topic, not with the number of patterns. */
export interface PatternTree<T> {
  readonly size: number;
  /** Another number whenever what `match` says may have changed. */
  readonly version: number;
  add(pattern: string, value: T): void;
  delete(pattern: string, value: T): boolean;
  match(topic: string): T[];
}

/** @example tree.add('prices.*', sink); tree.match('prices.eur'); // [sink] */
export function createPatternTree<T>(): PatternTree<T> {
  const root: Node<T> = { children: new Map() };
  let size = 0;
  let version = 0;

  function walk(node: Node<T>, path: readonly string[], depth: number, found: T[]): void {
    if (node.rest) for (const value of node.rest) found.push(value);
    const segment = path[depth];
    if (segment === undefined) {
      if (node.here) for (const value of node.here) found.push(value);
      return;
    }
    const same = node.children.get(segment);
    if (same) walk(same, path, depth + 1, found);
    const any = segment === '*' ? undefined : node.children.get('*');
    if (any) walk(any, path, depth + 1, found);
  }

  return {
    get size() {
      return size;
    },
    get version() {
      return version;
    },
    add(pattern, value) {
      let node = root;
      const path = segments(pattern);
      const isRest = path.at(-1) === '**';
      for (const segment of isRest ? path.slice(0, -1) : path) {
        let child = node.children.get(segment);
        if (!child) {
          child = { children: new Map() };
          node.children.set(segment, child);
        }
        node = child;
      }
      const set = (isRest ? node.rest : node.here) ?? new Set<T>();
      if (isRest) node.rest = set;
      else node.here = set;
      if (!set.has(value)) size++;
      set.add(value);
      version++;
    },
    delete(pattern, value) {
      const path = segments(pattern);
      const isRest = path.at(-1) === '**';
      const steps = isRest ? path.slice(0, -1) : path;
      const way = [root];
      for (const segment of steps) {
        const child = (way.at(-1) as Node<T>).children.get(segment);
        if (!child) return false;
        way.push(child);
      }
      const last = way.at(-1) as Node<T>;
      const set = isRest ? last.rest : last.here;
      if (!set?.delete(value)) return false;
      size--;
      version++;
      if (set.size === 0 && isRest) last.rest = undefined;
      else if (set.size === 0) last.here = undefined;
      // Branches without leaves go, or patterns of passing clients would stay for ever.
      for (let depth = way.length - 1; depth > 0; depth--) {
        const node = way[depth] as Node<T>;
        if (node.here || node.rest || node.children.size > 0) break;
        (way[depth - 1] as Node<T>).children.delete(steps[depth - 1] as string);
      }
      return true;
    },
    match(topic) {
      const found: T[] = [];
      if (size > 0) walk(root, segments(topic), 0, found);
      return found;
    },
  };
}
