import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { inWords } from '../core/options.ts';
import type { TrustedProxies, TrustProxy } from './server-types.ts';

/** Where a request comes from, as far as it is known. */
export interface Seen {
  /** The address of the client, or of the nearest proxy where the client's is not known; '' if there is none. */
  readonly remoteAddress: string;
  /** The client came by TLS. */
  readonly secure: boolean;
  /** The address was named by a proxy that is trusted. */
  readonly trusted: boolean;
  /** The host that the client asked for. */
  readonly host: string | undefined;
}

/** What the proxies say, nearest to us last, as they append. */
interface Forwarded {
  readonly addresses: readonly string[];
  readonly schemes: readonly string[];
  readonly hosts: readonly string[];
}

/**
 * How requests are looked at under the option `trustProxy`. Entries are walked from the nearest proxy outwards; the walk
 * stops after the last proxy that is trusted, and at an entry that is no address.
 *
 * Throws a `TypeError` that says what can be written when the option is wrong.
 *
 * @example
 * const look = proxyView(1);
 * look(request).remoteAddress;
 */
export function proxyView(trust: TrustProxy | undefined): (request: IncomingMessage) => Seen {
  if (trust === undefined) return direct;
  const { hops, networks, header = 'x-forwarded-for' } = readTrust(trust);
  const trusts = trusted(hops, networks);
  const read = header === 'forwarded' ? readForwarded : readXForwarded;
  return (request) => {
    const near = direct(request);
    // A peer without an address came by a socket of this machine's file system.
    if (near.remoteAddress !== '' && !trusts(near.remoteAddress, 0)) return near;
    const { addresses, schemes, hosts } = read(request.headers);
    let address = near.remoteAddress;
    let walked = 0;
    do {
      const next = addressOf(addresses[addresses.length - 1 - walked]);
      if (next === undefined) break;
      address = next;
      walked++;
    } while (trusts(address, walked));
    const scheme = said(schemes, walked)?.toLowerCase();
    return {
      remoteAddress: address,
      secure: scheme === undefined ? near.secure : scheme === 'https' || scheme === 'wss',
      trusted: walked > 0,
      host: said(hosts, walked) ?? near.host,
    };
  };
}

function direct({ headers, socket }: IncomingMessage): Seen {
  return {
    remoteAddress: socket.remoteAddress ?? '',
    secure: (socket as { readonly encrypted?: boolean }).encrypted === true,
    trusted: false,
    // HTTP/2 has another name for it.
    host: headers.host ?? headers[':authority']?.toString(),
  };
}

/** What the farthest trusted proxy said. One that replaces the header says a single thing, however many there are. */
const said = (list: readonly string[], walked: number): string | undefined =>
  list[Math.max(0, list.length - Math.max(1, walked))];

function readTrust(trust: TrustProxy): TrustedProxies {
  const given: unknown =
    typeof trust === 'number' ? { hops: trust } : Array.isArray(trust) ? { networks: trust } : trust;
  const { hops, networks, header, ...rest } = (
    typeof given === 'object' && given !== null ? given : { rest: given }
  ) as TrustedProxies & Readonly<Record<string, unknown>>;
  const valid =
    Object.keys(rest).length === 0 &&
    (hops === undefined) !== (networks === undefined) &&
    (hops === undefined || (Number.isInteger(hops) && hops >= 1)) &&
    (networks === undefined || (Array.isArray(networks) && networks.length > 0)) &&
    (header === undefined || header === 'x-forwarded-for' || header === 'forwarded');
  if (!valid) {
    throw new TypeError(
      "trustProxy must be the number of proxies before this server, their networks such as ['10.0.0.0/8'], or " +
        `{ hops or networks, header: 'x-forwarded-for' or 'forwarded' }; got ${
          typeof trust === 'object' ? JSON.stringify(trust) : String(trust)
        }`,
    );
  }
  return { hops, networks, header };
}

/** Is this address, so many proxies away, one of ours? */
function trusted(
  hops: number | undefined,
  networks: readonly string[] | undefined,
): (address: string, away: number) => boolean {
  if (hops !== undefined) return (_, away) => away < hops;
  const list = new BlockList();
  for (const network of networks ?? []) addNetwork(list, network);
  return (address) => {
    const plain = unmapped(address);
    const family = isIP(plain);
    return family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6');
  };
}

function addNetwork(list: BlockList, network: unknown): void {
  const [address = '', bits, ...rest] = typeof network === 'string' ? network.split('/') : [];
  const family = isIP(address);
  const longest = family === 4 ? 32 : 128;
  const length = bits === undefined ? longest : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (family === 0 || rest.length > 0 || length < 0 || length > longest) {
    throw new TypeError(
      `trustProxy: a network is an address such as '10.0.0.7', '10.0.0.0/8' or 'fd00::/8'; got ${inWords(network)}`,
    );
  }
  list.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
}

function readXForwarded(headers: IncomingHttpHeaders): Forwarded {
  return {
    addresses: listOf(headers['x-forwarded-for']),
    schemes: listOf(headers['x-forwarded-proto']),
    hosts: listOf(headers['x-forwarded-host']),
  };
}

function listOf(value: string | string[] | undefined): string[] {
  if (value === undefined) return [];
  return String(value)
    .split(',')
    .map((each) => each.trim());
}

/** RFC 7239 4: elements by commas, pairs by semicolons, values as tokens or quoted. */
function readForwarded({ forwarded = '' }: IncomingHttpHeaders): Forwarded {
  const elements = forwarded.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? [];
  const read = (name: string): string[] =>
    elements.map((element) => {
      const pair = new RegExp(`(?:^|;)\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;"\\s]*))\\s*(?=;|$)`, 'i');
      const [, quoted, token = ''] = pair.exec(element.trim()) ?? [];
      return quoted?.replace(/\\(.)/g, '$1') ?? token;
    });
  const filled = (list: readonly string[]): string[] => list.filter((each) => each !== '');
  return { addresses: read('for'), schemes: filled(read('proto')), hosts: filled(read('host')) };
}

/** The address in an entry, which may have a port; undefined if there is none. */
function addressOf(entry: string | undefined): string | undefined {
  if (entry === undefined) return undefined;
  const [, bracketed, plain = entry] = /^\[([^\]]*)\](?::\d{1,5})?$|^([\d.]+):\d{1,5}$/.exec(entry) ?? [];
  const address = bracketed ?? plain;
  const family = isIP(address);
  return family === 0 || (bracketed !== undefined && family !== 6) || address.includes('%')
    ? undefined
    : unmapped(address);
}

/** An address of version 4 that was written as one of version 6. */
const unmapped = (address: string): string => /^::ffff:([\d.]+)$/i.exec(address)?.[1] ?? address;
