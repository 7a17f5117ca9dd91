import { expect, test } from 'vitest';
import { faultTable } from '../../src/core/fault-table.ts';

test('[CONN-96] every fault has a code and words, and a protocol says only where its own differ', () => {
  const table = faultTable({ malformed: 4400, duplicate: [4409, 'This room is taken'] });
  expect(Object.keys(table)).toHaveLength(14);
  expect([table.malformed.code, table.malformed.reason()]).toEqual([4400, 'Malformed message']);
  expect(table.malformed.reason('no JSON')).toBe('Malformed message: no JSON');
  expect([table.duplicate.code, table.duplicate.reason('lobby')]).toEqual([4409, 'This room is taken: lobby']);
  expect(faultTable().tooLarge.code).toBe(1009);
});

test.each([
  [{ mallformed: 4400 }, /knows no fault "mallformed"\. There are: malformed, /],
  [{ malformed: 1006 }, /malformed needs a code that a close frame may have; got 1006/],
  [{ malformed: ['x'] }, /needs a code that a close frame may have/],
])('[CONN-96] faultTable(%o) is refused', (own, words) => {
  expect(() => faultTable(own as never)).toThrow(words);
});
