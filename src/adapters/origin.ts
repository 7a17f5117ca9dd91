import type { Handshake } from '../core/subprotocol.ts';

/** Which pages may connect: those of this host, all, the listed ones, or those that a function lets in. */
export type OriginRule =
  | 'same'
  | '*'
  | readonly string[]
  | ((origin: string | undefined, handshake: Handshake) => boolean);

/** The headers of a request that are looked at. */
export interface RequestHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly 'sec-fetch-site'?: string | undefined;
}

/**
 * The check of an origin rule (RFC 6455 10.2). Browsers always send Origin; a request without one comes from a
 * program, which could write there what it likes, and is let in, unless it carries the fetch metadata of a browser.
 *
 * Throws a `TypeError` if the rule is none.
 *
 * @example
 * originCheck(['https://app.example']);
 */
export function originCheck(rule: OriginRule): (headers: RequestHeaders, handshake: Handshake) => boolean {
  if (rule === '*') return () => true;
  // Nothing but `true` lets in: a promise, say, would be truthy whatever becomes of it.
  if (typeof rule === 'function') return ({ origin }, handshake) => rule(origin, handshake) === true;
  let allows: (origin: string, headers: RequestHeaders) => boolean;
  if (rule === 'same') {
    // The scheme is not compared: a proxy may have ended TLS.
    allows = (origin, headers) => {
      const host = hostOf(origin);
      return host !== undefined && host === headers.host?.toLowerCase();
    };
  } else if (Array.isArray(rule)) {
    const listed = new Set((rule as readonly string[]).map(normalised));
    allows = (origin) => listed.has(origin.toLowerCase());
  } else {
    throw new TypeError(`origin must be 'same', '*', a list of origins or a function; got ${String(rule)}`);
  }
  return (headers) => {
    const { origin } = headers;
    if (origin !== undefined) return allows(origin, headers);
    return headers['sec-fetch-site'] === undefined;
  };
}

function hostOf(origin: string): string | undefined {
  // `null` is the origin of sandboxed and local pages: the same as nobody.
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function normalised(origin: string): string {
  if (!URL.canParse(origin) || new URL(origin).origin === 'null') {
    throw new TypeError(`origin must list origins such as "https://app.example"; got ${String(origin)}`);
  }
  return new URL(origin).origin;
}
