import { inWords } from '../core/options.ts';
/** What a pattern found in a path, by name. */
export type PathParams = Readonly<Record<string, string>>;

/** A path of an endpoint, read once. */
export interface PathPattern {
  /** As it was given. */
  readonly text: string;
  /** The same for two paths that match the same requests. */
  readonly shape: string;
  /** True if it has no parameters: such a path goes before a pattern that matches as well. */
  readonly literal: boolean;
  /** The parameters of a request's path, which is without a query; undefined if it does not match. */
  match(path: string): PathParams | undefined;
}

const none: PathParams = {};
const parameter = /^:([A-Za-z]\w*)$/;

/**
 * Read the option `path`: literal segments, and `:name` for any one segment. A slash at the end makes no difference.
 *
 * Throws a `TypeError` that says what can be written, for a RegExp, wildcards and other patterns that would never match.
 *
 * @example
 * readPath('/tenants/:id/graphql').match('/tenants/7/graphql'); // { id: '7' }
 */
export function readPath(path: unknown): PathPattern {
  if (typeof path !== 'string' || !path.startsWith('/') || /[?#\s]/.test(path)) {
    throw new TypeError(
      `path must begin with "/" and have no query, such as "/ws" or "/tenants/:id/graphql"; got ${inWords(path)}`,
    );
  }
  const segments = withoutEnd(path).split('/');
  const names = segments.map((segment) => parameter.exec(segment)?.[1]);
  for (const [index, segment] of segments.entries()) {
    if (names[index] === undefined && /[:*(){}[\]\\^$|]/.test(segment)) {
      throw new TypeError(
        `path knows ":name" for one whole segment and no other pattern, such as "/tenants/:id/graphql"; got ${path}`,
      );
    }
  }
  const named = names.filter((name) => name !== undefined);
  if (new Set(named).size < named.length) throw new TypeError(`path names a parameter twice: ${path}`);
  const literal = named.length === 0;
  const plain = withoutEnd(path);
  return {
    text: path,
    shape: segments.map((segment, index) => (names[index] === undefined ? segment : ':')).join('/'),
    literal,
    match(wanted) {
      const asked = withoutEnd(wanted);
      if (literal) return asked === plain ? none : undefined;
      const parts = asked.split('/');
      if (parts.length !== segments.length) return undefined;
      const found: [name: string, value: string][] = [];
      for (const [index, part] of parts.entries()) {
        const name = names[index];
        const value = name === undefined ? part : decoded(part);
        if (name === undefined ? part !== segments[index] : !value) return undefined;
        if (name !== undefined) found.push([name, value as string]);
      }
      return Object.fromEntries(found);
    },
  };
}

/**
 * Read the option `path` where it may be a list.
 *
 * Throws a `TypeError` that says what can be written.
 *
 * @example
 * readPaths(['/graphql', '/stomp']).length; // 2
 */
export function readPaths(path: unknown): readonly PathPattern[] {
  const patterns = (Array.isArray(path) ? (path as readonly unknown[]) : [path]).map(readPath);
  if (patterns.length === 0) throw new TypeError('path must name at least one path, such as "/ws"; got an empty list');
  const twice = patterns.find(({ shape }, index) => patterns.findIndex((each) => each.shape === shape) < index);
  if (twice) throw new TypeError(`path lists "${twice.text}" twice`);
  return patterns;
}

/** The path of a request target, without its query. */
export function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

const withoutEnd = (path: string): string => (path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path);

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
