import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CloseCode,
  closeReason,
  type Fault,
  isSendableCode,
  maxReasonBytes,
  ProtocolError,
} from '../../src/core/fault.ts';
import { graphqlFaults } from '../../src/graphql/server/faults.ts';
import { mqttFaults } from '../../src/mqtt/server/faults.ts';
import { stompFaults } from '../../src/stomp/server/faults.ts';

test('[CONN-28] [RFC6455-40] a close reason has at most 123 bytes and is cut between characters', () => {
  const units = fc.array(fc.constantFrom('a', 'é', '漢', '😀', '\ud800', '\udfff'), { maxLength: 150 });
  fc.assert(
    fc.property(units, (parts) => {
      const text = parts.join('');
      const reason = closeReason(text);
      const bytes = Buffer.byteLength(reason);
      expect(bytes).toBeLessThanOrEqual(maxReasonBytes);
      // A lone surrogate goes out as U+FFFD, which is what it is in UTF-8.
      const wellFormed = Buffer.from(text).toString();
      if (Buffer.byteLength(text) <= maxReasonBytes) expect(reason).toBe(text);
      else {
        expect(wellFormed.startsWith(reason)).toBe(true);
        expect(bytes).toBeGreaterThan(maxReasonBytes - 4);
      }
    }),
  );
});

test.each([
  ['a'.repeat(123), 123],
  ['a'.repeat(124), 123],
  ['漢'.repeat(41), 123],
  ['漢'.repeat(42), 123],
  [`a${'漢'.repeat(41)}`, 121],
  [`ab${'😀'.repeat(31)}`, 122],
])('[CONN-28] %s leaves %i bytes', (text, bytes) => {
  expect(Buffer.byteLength(closeReason(text))).toBe(bytes);
  expect(closeReason(text)).not.toContain('\ufffd');
});

test('[CONN-28] [RFC6455-38] only codes that may stand in a close frame are sendable', () => {
  const sendable = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
  const reserved = [-1, 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535, 1000.5, Number.NaN];
  expect(sendable.filter(isSendableCode)).toEqual(sendable);
  expect(reserved.filter(isSendableCode)).toEqual([]);
});

test('every close code that subwire may send is sendable; 1005 and 1006 are only read', () => {
  const unsendable = Object.entries(CloseCode).filter(([, code]) => !isSendableCode(code));
  expect(unsendable).toEqual([
    ['noStatus', 1005],
    ['abnormal', 1006],
  ]);
  expect(new Set(Object.values(CloseCode)).size).toBe(Object.keys(CloseCode).length);
});

test('a protocol error carries its fault, its detail and its cause', () => {
  const cause = new Error('why');
  const error = new ProtocolError('tooLarge', 'a body of 2 GiB', { cause });
  expect(error).toMatchObject({ name: 'ProtocolError', fault: 'tooLarge', detail: 'a body of 2 GiB', cause });
  expect(error.message).toBe('a body of 2 GiB');
  expect(new ProtocolError('tooSlow')).toMatchObject({ message: 'tooSlow', detail: undefined });
});

test('[CONN-42] spec-notes/close-codes.md has the codes and words of all protocols for every fault', () => {
  const notes = readFileSync(new URL('../../spec-notes/close-codes.md', import.meta.url), 'utf8').split('\n');
  const cells = notes.filter((line) => /^\| [a-zA-Z]+ \| .* `/.test(line)).map((line) => line.split(' | '));
  const noted = cells.map(([fault = '', , graphql, stomp, mqtt]) => [fault.slice(2), graphql, stomp, mqtt]);
  const coded = Object.keys(graphqlFaults).map((fault) => [
    fault,
    ...[graphqlFaults, stompFaults, mqttFaults].map((table) => {
      const { code, reason } = table[fault as Fault];
      return `${code} \`${reason()}\``;
    }),
  ]);
  expect(noted).toEqual(coded);
});
