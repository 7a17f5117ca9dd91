/**
 * The network that an address is counted as: an IPv4 address itself, also where it is written as IPv6, and the first 64
 * bits of an IPv6 address, since one customer has all that follow. What is no address is counted as it is.
 *
 * @example
 * networkOf('2001:db8:1:2:3:4:5:6'); // '2001:db8:1:2'
 * networkOf('::ffff:203.0.113.7'); // '203.0.113.7'
 */
export function networkOf(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase();
  const mapped = /^(?:::ffff:|0:0:0:0:0:ffff:)(\d+\.\d+\.\d+\.\d+)$/.exec(plain);
  if (mapped) return mapped[1] as string;
  if (!plain.includes(':')) return plain;
  const [before = '', after] = plain.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  // An IPv4 address at the end stands for two groups.
  const missing = 8 - head.length - tail.length - (tail.at(-1)?.includes('.') ? 1 : 0);
  const groups =
    after === undefined ? head : [...head, ...Array.from({ length: Math.max(0, missing) }, () => '0'), ...tail];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}

/** Loopback, private, link-local and carrier-grade addresses (RFC 1918, 4193, 6598): a proxy's more often than a client's. */
export function isPrivate(address: string): boolean {
  const network = networkOf(address);
  return (
    network === '' ||
    /^(?:127|10|0)\.|^192\.168\.|^172\.(?:1[6-9]|2\d|3[01])\.|^169\.254\.|^100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(
      network,
    ) ||
    /^(?:f[cd]..|fe[89ab].):|^0:0:0:0$/.test(network)
  );
}
