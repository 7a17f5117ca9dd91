import { expect, test } from 'vitest';
import { createListeners } from '../../src/core/listeners.ts';

function make() {
  const errors: unknown[] = [];
  const heard: unknown[] = [];
  const listeners = createListeners<{ news: (what: string) => void; other: () => void }>((error) => errors.push(error));
  return { ...listeners, errors, heard };
}

test('each listener hears its event, in order, until it stops; the same one may listen twice', () => {
  const { on, emit, heard } = make();
  const listener = (what: string): unknown => heard.push(what);
  expect(emit('news', 'nobody')).toBe(false);
  const stop = on('news', listener);
  on('news', listener);
  on('other', () => heard.push('other'));
  expect(emit('news', 'a')).toBe(true);
  stop();
  stop();
  emit('news', 'b');
  expect(heard).toEqual(['a', 'a', 'b']);
});

test('who is added during an event hears the next one', () => {
  const { on, emit, heard } = make();
  on('other', () => on('other', () => heard.push('late')));
  emit('other');
  expect(heard).toEqual([]);
  emit('other');
  expect(heard).toEqual(['late']);
});

test('[GQL-82] [STOMP-76] a listener that throws harms no other; nor does a logger that throws', () => {
  const { on, emit, guard, heard, errors } = make();
  const bug = new Error('bug');
  const throws = (): never => {
    throw bug;
  };
  on('other', throws);
  on('other', () => heard.push('still'));
  expect(emit('other')).toBe(true);
  guard(throws);
  expect([heard, errors]).toEqual([['still'], [bug, bug]]);
  expect(() => createListeners(throws).report(bug)).not.toThrow();
});
