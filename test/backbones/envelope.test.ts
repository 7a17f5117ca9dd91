import { expect, test } from 'vitest';
import { openEnvelope, sealEnvelope } from '../../src/backbones/envelope.ts';

test('what is sealed is opened as it was', () => {
  const headers = new Map([
    ['a', ''],
    ['ü', 'x\n'],
  ]);
  for (const parts of [
    {},
    { contentType: 'text/plain' },
    { headers },
    { id: '' },
    { contentType: '', headers, id: 'i' },
  ]) {
    const opened = openEnvelope(sealEnvelope(Buffer.from([0, 1]), parts));
    expect({ ...opened, body: [...opened.body] }).toEqual({
      contentType: undefined,
      headers: new Map(),
      id: undefined,
      ...parts,
      body: [0, 1],
    });
  }
});

test('cut anywhere it is refused, or only its body is shorter; rubbish is refused; nothing is read past the end', () => {
  const whole = sealEnvelope(Buffer.alloc(0), {
    contentType: 'text/plain',
    headers: new Map([['name', 'value']]),
    id: '7',
  });
  for (let length = 0; length < whole.length; length++) {
    const cut = Buffer.concat([whole, whole]).subarray(0, length);
    expect(() => openEnvelope(cut), `${length}`).toThrow(/not written by subwire|version|cut/);
  }
  const huge = Buffer.from(whole);
  huge.writeUInt32BE(0xffffffff, 5);
  expect(() => openEnvelope(huge)).toThrow('cut');
  const bad = Buffer.from(whole);
  bad[9] = 0xff;
  expect(() => openEnvelope(bad)).toThrow(TypeError);
});

test('another version says both versions and what to do', () => {
  expect(() => openEnvelope(Buffer.from([0xb5, 2, 0, 0, 0]))).toThrow(
    'its version is 2, and this server reads version 1: update it',
  );
});
