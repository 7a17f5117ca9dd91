import { describe, expect, test } from 'vitest';
import { assertOption, checkNames, nearest, numberOptions } from '../../src/core/options.ts';

describe('names of options', () => {
  test('a name that is none is refused, with those that there are', () => {
    expect(() => checkNames({ authentcate: () => true }, { authenticate: true, path: true }, 'attach()')).toThrow(
      new TypeError('attach() has no option "authentcate": did you mean "authenticate"? There are: authenticate, path'),
    );
    expect(() => checkNames({ banana: 1 }, { path: true }, 'attach()')).toThrow(
      new TypeError('attach() has no option "banana". There are: path'),
    );
  });

  test('the name of another library is answered with what it is called here', () => {
    const foreign = { keepAlive: 'pings are limits.pingInterval of attach().' };
    expect(() => checkNames({ keepAlive: 5 }, { path: true }, 'x()', foreign)).toThrow(
      new TypeError('x() has no option "keepAlive": pings are limits.pingInterval of attach(). There are: path'),
    );
    expect(() => checkNames({ toString: 1 }, { path: true }, 'x()', foreign)).toThrow('no option "toString". There');
  });

  test.each([
    ['uri', 'url'],
    ['conectionParams', 'connectionParams'],
    ['onconnect', 'onConnect'],
    ['onCnonect', 'onConnect'],
    ['retryAttempt', 'retryAttempts'],
    ['reconnectDelay', undefined],
    ['', undefined],
    ['x', undefined],
  ])('the nearest name of %s is %s', (name, expected) => {
    expect(nearest(name, ['url', 'connectionParams', 'onConnect', 'onClose', 'retryAttempts'])).toBe(expected);
  });

  test('what every object has is not a name', () => {
    expect(() => checkNames({ toString: 1 }, { path: true }, 'attach()')).toThrow(/no option "toString"/);
  });

  test('known names pass, whatever their value', () => {
    expect(() => checkNames({ path: undefined }, { path: true }, 'attach()')).not.toThrow();
  });
});

describe('values of options', () => {
  test('what must hold is said with the name of the option and with what came', () => {
    expect(() => assertOption(false, 'path', 'a string', 5)).toThrow(new TypeError('path must be a string; got 5'));
    expect(() => assertOption('yes', 'path', 'a string', 5)).not.toThrow();
  });

  test('numbers have defaults, and say whose they are', () => {
    expect(numberOptions({ a: 5, b: undefined }, { a: 1, b: 2, c: 3 }, 1)).toEqual({ a: 5, b: 2, c: 3 });
    expect(() => numberOptions({ a: 0 }, { a: 1 }, 1, 'limits.')).toThrow(
      new TypeError('limits.a must be a number from 1 up; got 0'),
    );
  });

  test('numbers are absent, or numbers that are large enough', () => {
    const defaults = { a: 7, b: 7, c: 7, d: 7 };
    expect(numberOptions({ a: 1, b: Number.POSITIVE_INFINITY, c: undefined }, defaults, 1).b).toBe(
      Number.POSITIVE_INFINITY,
    );
    for (const a of [0, Number.NaN, '5', null, -1]) {
      expect(() => numberOptions({ a } as { a: number }, { a: 7 }, 1)).toThrow(
        new TypeError(`a must be a number from 1 up; got ${a}`),
      );
    }
  });
});
