import type { Observed } from './observed.ts';
import type { What } from './parse.ts';

/** What `<name>` stood for when it was first seen. */
export type Captures = Map<string, string>;

const token = /<([A-Z]{2,3}|x[0-9A-Fa-f]{2}|[a-z][a-z0-9]*)>/g;
const octets: Readonly<Record<string, string>> = { LF: '\n', CR: '\r', NUL: '\0', SP: ' ', TAB: '\t', LT: '<' };

/** The octets that a text of a transcript stands for; `<name>` is what was captured under this name. */
export function octetsOf(text: string, captures: Captures): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (const found of text.matchAll(token)) {
    parts.push(Buffer.from(text.slice(at, found.index)));
    at = found.index + found[0].length;
    const name = found[1] as string;
    const value = octets[name] ?? captures.get(name);
    if (value !== undefined) parts.push(Buffer.from(value));
    else if (/^x[0-9A-Fa-f]{2}$/.test(name)) parts.push(Buffer.from(name.slice(1), 'hex'));
    else throw new Error(`<${name}> has not been seen yet`);
  }
  parts.push(Buffer.from(text.slice(at)));
  return Buffer.concat(parts);
}

/** Does a text match a pattern in which `<any>` and `<name>` stand for whatever is there? Captures what they stand for. */
export function matches(pattern: string, text: string, captures: Captures): boolean {
  const names: string[] = [];
  let at = 0;
  let source = '';
  const literal = (part: string): string => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  for (const found of pattern.matchAll(token)) {
    source += literal(pattern.slice(at, found.index));
    at = found.index + found[0].length;
    const name = found[1] as string;
    if (octets[name] !== undefined || /^x[0-9A-Fa-f]{2}$/.test(name)) {
      source += literal(octetsOf(found[0], captures).toString('latin1'));
    } else if (captures.has(name)) source += literal(captures.get(name) as string);
    else if (name === 'any') source += '.*';
    else {
      names.push(name);
      source += '(.+)';
    }
  }
  const found = new RegExp(`^${source}${literal(pattern.slice(at))}$`, 's').exec(text);
  if (!found) return false;
  names.forEach((name, index) => {
    captures.set(name, found[index + 1] as string);
  });
  return true;
}

/** Bodies are compared octet by octet: both as Latin-1. */
const latin = (text: string): string => Buffer.from(text).toString('latin1');

/** Is this what the transcript says? */
export function agrees(what: What, observed: Observed | undefined, captures: Captures): boolean {
  if (observed === undefined || what.kind !== observed.kind) return false;
  switch (what.kind) {
    case 'frame': {
      if (observed.kind !== 'frame' || what.command !== observed.command) return false;
      const { headers, body } = observed;
      return (
        what.headers.every(({ name, value, absent }) => {
          const actual = headers.get(name);
          return absent ? actual === undefined : actual !== undefined && matches(value, actual, captures);
        }) &&
        (matches(latin(what.body), body, captures) || (what.body === '' && what.command === 'ERROR'))
      );
    }
    case 'json':
      return observed.kind === 'json' && sameValue(what.value, observed.value, captures);
    case 'raw':
      return observed.kind === 'raw' && matches(what.text, observed.text, captures);
    case 'close':
      return (
        observed.kind === 'close' &&
        (what.code ?? observed.code) === observed.code &&
        matches(what.reason, observed.reason, captures)
      );
    case 'open':
      return observed.kind === 'open' && matches(what.protocol ?? '<any>', observed.protocol, captures);
    default:
      return true;
  }
}

/** Structurally equal, where strings are patterns, and a member `"..."` allows members that are not listed. */
function sameValue(pattern: unknown, value: unknown, captures: Captures): boolean {
  if (pattern === '<any>') return true;
  if (typeof pattern === 'string') return typeof value === 'string' && matches(pattern, value, captures);
  if (typeof pattern !== 'object' || pattern === null) return Object.is(pattern, value);
  if (typeof value !== 'object' || value === null || Array.isArray(pattern) !== Array.isArray(value)) return false;
  const open = Object.hasOwn(pattern, '...');
  const wanted = Object.entries(pattern).filter(([name]) => name !== '...');
  const actual = new Map(Object.entries(value));
  if (!open && wanted.length !== actual.size) return false;
  return wanted.every(([name, each]) => actual.has(name) && sameValue(each, actual.get(name), captures));
}
