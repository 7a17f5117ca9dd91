import { inWords } from '../core/options.ts';
import { isPromise, type PromiseOr } from '../core/promise-or.ts';
import type { Handshake } from '../core/subprotocol.ts';

/**
 * Which pages may connect (RFC 6455 10.2): `same` for those of this host, `*` for all, a list, or a function.
 *
 * A list holds origins as browsers send them: `https://app.example`, `http://localhost:5173`, those of apps and
 * extensions such as `capacitor://localhost`, `tauri://localhost`, `chrome-extension://<id>` and `file://`, `null` for
 * sandboxed and local pages, and `https://*.example.com` for every subdomain of example.com and not itself.
 *
 * A function gets the origin, undefined where there is none, and lets in with `true` or a promise of it, and with
 * nothing else.
 */
export type OriginRule =
  | 'same'
  | '*'
  | readonly string[]
  | ((origin: string | undefined, handshake: Handshake) => PromiseOr<boolean>);

/** What a request says about where it comes from and where it goes. */
export interface RequestOrigin {
  /** The header Origin. */
  readonly origin: string | undefined;
  /** The header Sec-Fetch-Site, which browsers send and scripts cannot. */
  readonly fetchSite: string | undefined;
  /** The host that was asked for, with its port where it has one. */
  readonly host: string | undefined;
}

/**
 * The check of an origin rule. Browsers always send Origin. A request without one comes from a program, which could
 * write there what it likes, and is let in, unless it carries the fetch metadata of a browser.
 *
 * Throws a `TypeError` if the rule is none, or lists what no browser sends. What a function throws, or its promise
 * rejects with, comes out of the check.
 *
 * @example
 * const allows = originCheck(['https://app.example', 'https://*.app.example']);
 */
export function originCheck(rule: OriginRule): (request: RequestOrigin, handshake: Handshake) => PromiseOr<boolean> {
  if (rule === '*') return () => true;
  if (typeof rule === 'function') {
    return ({ origin }, handshake) => {
      const answer: unknown = rule(origin, handshake);
      // Only `true` lets in: whatever else is truthy is a mistake.
      return isPromise(answer) ? answer.then((late) => late === true) : answer === true;
    };
  }
  const allows = rule === 'same' ? sameHost : listed(rule);
  return (request, { secure }) => {
    if (request.origin === undefined) return request.fetchSite === undefined;
    return allows(request.origin.toLowerCase(), request.host?.toLowerCase(), secure);
  };
}

type OriginCheck = (origin: string, host: string | undefined, secure: boolean) => boolean;

const serialised = /^([a-z][a-z0-9+.-]*):\/\/([^/?#@\s]*)$/;
const defaultPorts: Readonly<Record<string, string>> = { http: ':80', https: ':443' };

/**
 * A page of http and the same host is another origin than that of a connection over TLS. Where TLS ends at a proxy
 * nothing says that there was any, unless `trustProxy` is set: then schemes are not compared.
 */
const sameHost: OriginCheck = (origin, host, secure) => {
  const [, scheme = '', own = ''] = serialised.exec(origin) ?? [];
  if (own === '' || host === undefined || (secure && scheme === 'http')) return false;
  return withoutPort(own, scheme) === withoutPort(host, scheme);
};

/** A host without the port that its scheme has anyway. */
function withoutPort(host: string, scheme: string): string {
  const port = defaultPorts[scheme];
  return port !== undefined && host.endsWith(port) ? host.slice(0, -port.length) : host;
}

function listed(rule: unknown): OriginCheck {
  if (!Array.isArray(rule)) {
    throw new TypeError(
      `origin must be 'same', '*', a list of origins such as ['https://app.example'], or a function; got ${inWords(rule)}`,
    );
  }
  const origins = new Set<string>();
  const subdomains: (readonly [start: string, end: string])[] = [];
  for (const each of rule as readonly unknown[]) {
    const origin = readOrigin(each);
    const star = origin.indexOf('*');
    if (star < 0) origins.add(origin);
    else subdomains.push([origin.slice(0, star), origin.slice(star + 1)]);
  }
  return (origin) => {
    const [, scheme = ''] = serialised.exec(origin) ?? [];
    const plain = withoutPort(origin, scheme);
    if (origins.has(plain)) return true;
    return subdomains.some(
      ([start, end]) =>
        plain.length > start.length + end.length &&
        plain.startsWith(start) &&
        plain.endsWith(end) &&
        /^[a-z0-9_-][a-z0-9._-]*$/.test(plain.slice(start.length, -end.length)),
    );
  };
}

/**
 * Is this what a browser sends as Origin?
 *
 * @example
 * isOrigin('https://app.example'); // true
 */
export const isOrigin = (text: string): boolean => text.length < 256 && (text === 'null' || serialised.test(text));

/** An entry of a list as browsers would send it. Throws a `TypeError` for what none ever sends. */
function readOrigin(entry: unknown): string {
  if (entry === 'null') return entry;
  const text =
    typeof entry === 'string'
      ? entry
          .trim()
          .toLowerCase()
          .replace(/(?<=[^/])\/$/, '')
      : '';
  const [, scheme, host = ''] = serialised.exec(text) ?? [];
  if (scheme === undefined || (host === '' && scheme !== 'file')) {
    throw new TypeError(
      `origin must list origins such as 'https://app.example', which have a scheme, a host and no path; got ${inWords(entry)}`,
    );
  }
  const star = host.lastIndexOf('*');
  if (star > 0 || (star === 0 && !/^\*\.([^.:]+\.[^.:]|localhost)/.test(host))) {
    throw new TypeError(
      `origin: a * stands for the subdomains of a host, such as 'https://*.example.com'; got ${inWords(entry)}`,
    );
  }
  // Hosts of the web are sent as ASCII.
  if (star < 0 && defaultPorts[scheme] !== undefined) {
    if (!URL.canParse(text)) throw new TypeError(`origin lists a host that is none: ${String(entry)}`);
    return new URL(text).origin;
  }
  return withoutPort(text, scheme);
}

/**
 * The check of the option `hosts`: which hosts may be asked for. It closes DNS rebinding, where a page of a stranger
 * comes by a name of the stranger's that points here. An entry without a port stands for every port.
 *
 * Throws a `TypeError` if the list is none, or names what is no host.
 *
 * @example
 * const serves = hostCheck(['app.example', '*.app.example', 'localhost:4000']);
 */
export function hostCheck(hosts: readonly string[] | undefined): (host: string | undefined) => boolean {
  if (hosts === undefined) return () => true;
  if (!Array.isArray(hosts)) throw new TypeError(`hosts must be a list such as ['app.example']; got ${inWords(hosts)}`);
  const known = (hosts as readonly unknown[]).map((entry) => {
    const text = typeof entry === 'string' ? entry.toLowerCase() : '';
    const [, star, name = '', port] = /^(\*\.)?(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/.exec(text) ?? [];
    if (name === '' || (star && name.startsWith('['))) {
      throw new TypeError(
        `hosts must list hosts such as 'app.example', '*.app.example' or 'localhost:4000'; got ${inWords(entry)}`,
      );
    }
    return { star: star !== undefined, name, port };
  });
  return (host) => {
    const [, asked = '', port] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?$/.exec(host?.toLowerCase() ?? '') ?? [];
    if (asked === '') return false;
    return known.some(
      (each) =>
        (each.port === undefined || each.port === port) &&
        (each.star ? asked.endsWith(`.${each.name}`) && asked.length > each.name.length + 1 : asked === each.name),
    );
  };
}
