import { ProtocolError } from '../core/fault.ts';

/** How names are cut into segments, and which segments of a pattern are wildcards. */
export interface PatternGrammar {
  /** What stands between two segments. */
  readonly separator: string | RegExp;
  /** A character that no segment has. */
  readonly joint: string;
  /** Stands for one segment. */
  readonly one: string;
  /** At the end: stands for any number of segments, none included. */
  readonly rest: string;
}

/** Patterns of the bus: `prices.*`, `prices/**`. */
export const busGrammar: PatternGrammar = { separator: /[./]/, joint: '.', one: '*', rest: '**' };

/** Topic filters of MQTT, where a dot is a character as any other: `prices/+`, `prices/#`. */
export const mqttGrammar: PatternGrammar = { separator: '/', joint: '/', one: '+', rest: '#' };

/** Segments of a name are told apart by `.` or `/`. */
const segmentsOf = (name: string): string[] => name.split(/[./]/);

/**
 * Is this name a pattern? In a pattern `*` stands for one segment and a last `**` for any number of segments, none
 * included: `prices.*` matches `prices.eur`, `prices.**` also matches `prices` and `prices.eur.usd`.
 *
 * @example
 * isPattern('prices.*'); // true
 */
export const isPattern = (name: string): boolean =>
  name.includes('*') && segmentsOf(name).some((segment) => segment === '*' || segment === '**');

/** Names that begin like this belong to a protocol or to the application alone: no wildcard of another one matches them. */
export const isPrivate = (name: string): boolean => name.startsWith('$');

/** A pattern as the index sees it. */
interface ParsedPattern {
  /** The segments before a last `**`, put together. Equal for `a.*` and `a/*`, which match the same topics. */
  readonly key: string;
  /** How many segments those are. */
  readonly depth: number;
  /** Bit `n` is set where segment `n` is a `*`. */
  readonly mask: number;
  /** It ends with `**`. */
  readonly rest: boolean;
}

/** The patterns whose wildcards stand in the same places: at most one of them matches a topic. */
interface Shape<Value> {
  readonly depth: number;
  readonly mask: number;
  readonly byKey: Map<string, Value>;
}

/** Shapes up to this depth are so few (254) that they need no limit. */
const shallow = 6;

/** How many different shapes may be deeper than that and have a `*` ([BUS-5]). */
export const maxDeepShapes = 256;

/** The most segments that a pattern can have: a mask has one bit for each. */
export const maxPatternSegments = 32;

function parse(pattern: string, grammar: PatternGrammar): ParsedPattern {
  const path = pattern.split(grammar.separator);
  const rest = path.at(-1) === grammar.rest;
  if (rest) path.pop();
  if (path.length > maxPatternSegments) throw new RangeError(`A pattern of more than ${maxPatternSegments} segments`);
  let mask = 0;
  for (let index = 0; index < path.length; index++) if (path[index] === grammar.one) mask |= 1 << index;
  return { key: path.join(grammar.joint), depth: path.length, mask, rest };
}

/** What stands under this key for a topic: its first segments, with a `*` where the shape has one. */
function keyOf({ one, joint }: PatternGrammar, path: readonly string[], depth: number, mask: number): string {
  if (depth === 0) return '';
  let key = mask & 1 ? one : (path[0] as string);
  for (let index = 1; index < depth; index++) key += joint + (mask & (1 << index) ? one : path[index]);
  return key;
}

/**
 * A value for each pattern, and the values of the patterns that match a topic. Patterns are kept by shape (how many
 * segments, and which of them are `*`), as one text each. A lookup asks each shape once, so that its cost is bounded by
 * the number of shapes, however many patterns there are and however they branch; and there is a limit on shapes
 * ([BUS-5]). `a.*` and `a/*` are one pattern.
 *
 * @example
 * const index = new PatternIndex<string>();
 * index.set('prices.*', 'x');
 * index.match('prices.eur'); // ['x']
 */
export class PatternIndex<Value> {
  /** How many patterns there are. */
  size = 0;
  /** Another number whenever the answer of `match` may have changed. */
  version = 0;
  /** How many keys were looked up by `match` so far: what matching costs, for measurements. */
  lookups = 0;
  // By depth: patterns that end with `**`, and those that end with their last segment.
  readonly #rest: (Shape<Value>[] | undefined)[] = [];
  readonly #exact: (Shape<Value>[] | undefined)[] = [];
  #deep = 0;
  readonly #grammar: PatternGrammar;

  constructor(grammar: PatternGrammar = busGrammar) {
    this.#grammar = grammar;
  }

  /** The value of this pattern. */
  get(pattern: string): Value | undefined {
    const parsed = parse(pattern, this.#grammar);
    return this.#shapeOf(parsed)?.byKey.get(parsed.key);
  }

  /**
   * Give a pattern its value, instead of the one that it had. Throws a {@link ProtocolError} `tooMany` if it would be one
   * shape too many, and a `RangeError` if it has more than 32 segments.
   */
  set(pattern: string, value: Value): void {
    const parsed = parse(pattern, this.#grammar);
    const { key, depth, mask, rest } = parsed;
    let shape = this.#shapeOf(parsed);
    if (!shape) {
      this.#count(depth, mask, 1);
      shape = { depth, mask, byKey: new Map() };
      const byDepth = rest ? this.#rest : this.#exact;
      byDepth[depth] = [...(byDepth[depth] ?? []), shape];
    }
    if (!shape.byKey.has(key)) this.size++;
    shape.byKey.set(key, value);
    this.version++;
  }

  /** Forget a pattern. False: it had no value. */
  delete(pattern: string): boolean {
    const parsed = parse(pattern, this.#grammar);
    const { key, depth, mask, rest } = parsed;
    const shape = this.#shapeOf(parsed);
    if (!shape?.byKey.delete(key)) return false;
    if (shape.byKey.size === 0) {
      const byDepth = rest ? this.#rest : this.#exact;
      byDepth[depth] = byDepth[depth]?.filter((each) => each !== shape);
      this.#count(depth, mask, -1);
    }
    this.size--;
    this.version++;
    return true;
  }

  /** The values of all patterns that match this topic. A wildcard in the first segment matches no name with `$`. */
  match(topic: string): Value[] {
    const found: Value[] = [];
    if (this.size === 0) return found;
    const path = topic.split(this.#grammar.separator);
    const hidden = isPrivate(topic);
    const deepest = Math.min(path.length, this.#rest.length - 1);
    for (let depth = 0; depth <= deepest; depth++) this.#collect(this.#rest[depth], path, hidden, found);
    this.#collect(this.#exact[path.length], path, hidden, found);
    return found;
  }

  /** All values, in no particular order. */
  *values(): Generator<Value> {
    for (const byDepth of [this.#rest, this.#exact]) {
      for (const shapes of byDepth) for (const { byKey } of shapes ?? []) yield* byKey.values();
    }
  }

  #shapeOf({ depth, mask, rest }: ParsedPattern): Shape<Value> | undefined {
    return (rest ? this.#rest : this.#exact)[depth]?.find((each) => each.mask === mask);
  }

  #collect(
    shapes: readonly Shape<Value>[] | undefined,
    path: readonly string[],
    hidden: boolean,
    found: Value[],
  ): void {
    if (shapes === undefined) return;
    for (const { depth, mask, byKey } of shapes) {
      if (hidden && (depth === 0 || mask & 1)) continue;
      this.lookups++;
      const value = byKey.get(keyOf(this.#grammar, path, depth, mask));
      if (value !== undefined) found.push(value);
    }
  }

  #count(depth: number, mask: number, change: number): void {
    if (depth <= shallow || mask === 0) return;
    if (change > 0 && this.#deep >= maxDeepShapes) {
      throw new ProtocolError(
        'tooMany',
        `more than ${maxDeepShapes} different places of wildcards in patterns of more than ${shallow} segments`,
      );
    }
    this.#deep += change;
  }
}
