import { expect, test } from 'vitest';
import { proxyView, type Seen } from '../../src/adapters/proxies.ts';
import type { TrustProxy } from '../../src/adapters/server-types.ts';

const look = (
  trust: TrustProxy | undefined,
  headers: Record<string, string>,
  remoteAddress: string | undefined = '10.0.0.1',
): Seen => proxyView(trust)({ headers, socket: { remoteAddress } } as never);

const client = '203.0.113.7';

test.each([
  ['no option', undefined, { 'x-forwarded-for': client }, '10.0.0.1', false],
  ['one hop', 1, { 'x-forwarded-for': client }, client, true],
  ['one hop, an entry of the client before it', 1, { 'x-forwarded-for': `1.1.1.1, ${client}` }, client, true],
  ['two hops', 2, { 'x-forwarded-for': `1.1.1.1, ${client}, 10.0.0.2` }, client, true],
  ['two hops, one entry', 2, { 'x-forwarded-for': client }, client, true],
  ['one hop, no header', 1, {}, '10.0.0.1', false],
  ['one hop, no address', 1, { 'x-forwarded-for': `${client}, unknown` }, '10.0.0.1', false],
  ['two hops, no address at the second', 2, { 'x-forwarded-for': 'x, 10.0.0.2' }, '10.0.0.2', true],
  ['an empty entry', 1, { 'x-forwarded-for': `${client}, ` }, '10.0.0.1', false],
  ['a port', 1, { 'x-forwarded-for': `${client}:4711` }, client, true],
  ['version 6', 1, { 'x-forwarded-for': '2001:db8::1' }, '2001:db8::1', true],
  ['version 6 with a port', 1, { 'x-forwarded-for': '[2001:db8::1]:80' }, '2001:db8::1', true],
  ['a zone', 1, { 'x-forwarded-for': 'fe80::1%eth0' }, '10.0.0.1', false],
  ['version 4 in 6', 1, { 'x-forwarded-for': `::ffff:${client}` }, client, true],
  ['networks', ['10.0.0.0/8'], { 'x-forwarded-for': `1.1.1.1, ${client}, 10.9.9.9` }, client, true],
  ['networks, all ours', ['10.0.0.0/8'], { 'x-forwarded-for': '10.1.1.1' }, '10.1.1.1', true],
  ['networks, a peer that is none', ['192.168.0.0/16'], { 'x-forwarded-for': client }, '10.0.0.1', false],
  ['networks of version 6', ['fd00::/8', '10.0.0.1'], { 'x-forwarded-for': `${client}, fd00::1` }, client, true],
  ['Forwarded is not looked at', 1, { forwarded: `for=${client}` }, '10.0.0.1', false],
  ['Forwarded', { hops: 1, header: 'forwarded' }, { forwarded: `for=1.1.1.1, for=${client}` }, client, true],
  [
    'Forwarded, quoted, with a comma inside',
    { hops: 1, header: 'forwarded' },
    { forwarded: 'for="a,b";by=x, For="[2001:db8::1]:4711";proto=https' },
    '2001:db8::1',
    true,
  ],
  ['Forwarded, hidden', { hops: 1, header: 'forwarded' }, { forwarded: `for=${client}, for=_x` }, '10.0.0.1', false],
  [
    'Forwarded, X-Forwarded-For of the client',
    { networks: ['10.0.0.0/8'], header: 'forwarded' },
    { forwarded: `for=${client}`, 'x-forwarded-for': '1.1.1.1' },
    client,
    true,
  ],
] as [string, TrustProxy | undefined, Record<string, string>, string, boolean][])(
  '[CONN-76] the address of the client: %s',
  (_, trust, headers, remoteAddress, trusted) => {
    expect(look(trust, headers)).toMatchObject({ remoteAddress, trusted });
  },
);

test('[CONN-76] a peer of version 4 on a socket of version 6, and one on a socket of the file system', () => {
  expect(look(['10.0.0.0/8'], { 'x-forwarded-for': client }, '::ffff:10.0.0.1').remoteAddress).toBe(client);
  expect(look(['10.0.0.0/8'], { 'x-forwarded-for': client }, '').remoteAddress).toBe(client);
});

test.each([
  [undefined, { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'app.example' }, false, 'inner'],
  [1, { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'app.example' }, true, 'app.example'],
  [1, { 'x-forwarded-proto': 'https, http', 'x-forwarded-host': 'evil, app.example' }, false, 'app.example'],
  [2, { 'x-forwarded-for': '1.1.1.1, 10.0.0.2', 'x-forwarded-proto': 'wss, http' }, true, 'inner'],
  [['192.168.0.0/16'], { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'evil' }, false, 'inner'],
  [
    { hops: 1, header: 'forwarded' },
    { forwarded: 'for=1.1.1.1;host="app.example:1";proto=HTTPS' },
    true,
    'app.example:1',
  ],
] as [TrustProxy | undefined, Record<string, string>, boolean, string][])(
  '[CONN-76] scheme and host under trustProxy %j, headers %j',
  (trust, headers, secure, host) => {
    expect(look(trust, { host: 'inner', ...headers })).toMatchObject({ secure, host });
  },
);

test.each([
  true,
  0,
  1.5,
  -1,
  'loopback',
  [],
  ['10.0.0.0/33'],
  ['10.0.0.0/8/8'],
  ['10.0.0'],
  [5],
  {},
  { hops: 1, networks: ['10.0.0.0/8'] },
  { hops: 1, header: 'x-real-ip' },
  { hop: 1 },
  null,
])('[CONN-10] trustProxy of %j is a TypeError that says what can be written', (trust) => {
  expect(() => proxyView(trust as never)).toThrow(TypeError);
  expect(() => proxyView(trust as never)).toThrow(/^trustProxy/);
});
