import { expect, test } from 'vitest';
import { isPrivate, networkOf } from '../../src/core/address.ts';

test.each([
  ['203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:0DB8:0001:0002::1', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['64:ff9b::192.0.2.33', '64:ff9b:0:0'],
  ['::', '0:0:0:0'],
  ['', ''],
])('[CONN-58] %s is counted as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

test('[CONN-58] loopback and private addresses are told from others', () => {
  const own = ['127.0.0.1', '::1', '10.0.0.1', '172.16.0.1', '172.31.9.9', '192.168.1.1', '169.254.0.1', '100.64.0.1'];
  for (const address of [...own, 'fd00::1', 'fe80::1', '::ffff:10.0.0.1', '']) expect(isPrivate(address)).toBe(true);
  const others = ['172.32.0.1', '100.128.0.1', '11.0.0.1', '192.169.0.1', '2001:db8::1', '8.8.8.8', 'fec0::1'];
  for (const address of others) expect(isPrivate(address)).toBe(false);
});
