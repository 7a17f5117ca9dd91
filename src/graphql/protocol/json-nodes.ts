import { encodeUtf8 } from '../../core/wire.ts';

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const bracket = 0x5b;
const brace = 0x7b;

/**
 * Objects, lists and names of properties in a JSON text, without parsing it: they are what parsing takes its time for, some
 * microsecond each. Counting stops at one more than `most`. Never throws; of what is no JSON it is some number.
 *
 * @example
 * jsonNodes('[{"a":1},{"a":"{"}]', 100); // 5
 */
export function jsonNodes(data: string | Uint8Array, most: number): number {
  // One node takes two bytes at least.
  if (data.length < 2 * most) return 0;
  const bytes = typeof data === 'string' ? encodeUtf8(data) : data;
  let nodes = 0;
  for (let index = 0; index < bytes.length && nodes <= most; index++) {
    const byte = bytes[index];
    if (byte === colon || byte === brace || byte === bracket) nodes++;
    else if (byte === quote) index = endOfString(bytes, index);
  }
  return nodes;
}

/** Where the text ends that begins at `start`; the end of all bytes, if it does not end. */
function endOfString(bytes: Uint8Array, start: number): number {
  for (let end = bytes.indexOf(quote, start + 1); end !== -1; end = bytes.indexOf(quote, end + 1)) {
    let before = end - 1;
    while (bytes[before] === backslash) before--;
    if ((end - before) % 2 === 1) return end;
  }
  return bytes.length;
}
