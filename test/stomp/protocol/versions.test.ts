import { expect, test } from 'vitest';
import { agreedInterval, parseHeartBeat } from '../../../src/stomp/protocol/heart-beat.ts';
import { negotiateVersion, subprotocolOf, versionOf, versions } from '../../../src/stomp/protocol/versions.ts';

test('each version has its registered WebSocket token', () => {
  expect(versions.map(subprotocolOf)).toEqual(['v12.stomp', 'v11.stomp', 'v10.stomp']);
  expect(versions.map((version) => versionOf(subprotocolOf(version)))).toEqual(versions);
  expect(['stomp', '', 'v13.stomp', 'graphql-transport-ws'].map(versionOf)).toEqual(Array(4).fill(undefined));
});

test('[STOMP-26] without accept-version only 1.0 is meant', () => {
  expect(negotiateVersion(undefined, versions)).toBe('1.0');
  expect(negotiateVersion(undefined, ['1.2', '1.1'])).toBeUndefined();
});

test('[STOMP-27] the highest version that both speak is chosen, in whatever order they are listed', () => {
  expect(negotiateVersion('1.0,1.1,2.0', versions)).toBe('1.1');
  expect(negotiateVersion('1.2,1.0', ['1.0', '1.2'])).toBe('1.2');
  expect(negotiateVersion('1.0, 1.1', versions)).toBe('1.1');
  expect(negotiateVersion('2.0,3.0', versions)).toBeUndefined();
  expect(negotiateVersion('', versions)).toBeUndefined();
});

test('[STOMP-34] heart-beat is two non-negative integers, and 0,0 when it is missing', () => {
  expect(parseHeartBeat(undefined)).toEqual([0, 0]);
  expect(parseHeartBeat('0,30000')).toEqual([0, 30_000]);
  expect(parseHeartBeat(' 0, 30000\t')).toEqual([0, 30_000]);
  for (const bad of ['', '10', '-1,0', '1.5,2', '1,2,3', 'a,b', '1 0,2', '99999999999,0']) {
    expect(() => parseHeartBeat(bad), bad).toThrow(expect.objectContaining({ fault: 'malformed' }));
  }
});

test('[STOMP-35] a direction beats at the slower wish, and not if either side says 0', () => {
  expect(agreedInterval(10_000, 20_000)).toBe(20_000);
  expect(agreedInterval(4_000, 3_000)).toBe(4_000);
  for (const [canSend, wants] of [
    [10_000, 0],
    [0, 10_000],
    [0, 0],
  ] as const) {
    expect(agreedInterval(canSend, wants)).toBe(Number.POSITIVE_INFINITY);
  }
});
