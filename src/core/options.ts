/**
 * How many letters have to be put in, left out, changed or swapped with a neighbour to make one word of another, whatever
 * their case.
 */
function distance(one: string, other: string): number {
  const [from, to] = [one.toLowerCase(), other.toLowerCase()];
  // Rows of the usual table: of the letter before the last one, of the last one, and of this one.
  let [before, above, row]: number[][] = [[], [], Array.from({ length: to.length + 1 }, (_, index) => index)];
  for (let x = 1; x <= from.length; x++) {
    [before, above, row] = [above as number[], row as number[], [x]];
    for (let y = 1; y <= to.length; y++) {
      const at = (line: number[] | undefined, index: number): number => line?.[index] ?? Number.POSITIVE_INFINITY;
      const changed = from[x - 1] === to[y - 1] ? 0 : 1;
      const swapped = from[x - 1] === to[y - 2] && from[x - 2] === to[y - 1] ? at(before, y - 2) + 1 : at([], 0);
      row[y] = Math.min(at(above, y) + 1, at(row, y - 1) + 1, at(above, y - 1) + changed, swapped);
    }
  }
  return (row as number[])[to.length] as number;
}

/**
 * The known name that a mistyped one was most likely meant to be: at most a third of its letters are wrong.
 *
 * @example
 * nearest('onConect', ['onConnect', 'onClose']); // 'onConnect'
 */
export function nearest(name: string, names: readonly string[]): string | undefined {
  let found: string | undefined;
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const each of names) {
    const wrong = Math.abs(each.length - name.length) < least ? distance(name, each) : least;
    if (wrong >= least) continue;
    least = wrong;
    found = each;
  }
  return found;
}

/**
 * Does it have names and values of the application? A promise, a Date, a Map or a list would pass for an object without
 * any, and what somebody wrote in it would be lost in silence.
 */
export function isRecord(given: unknown): given is Readonly<Record<string, unknown>> {
  try {
    const isObject = /^\[object (Object|Module)\]$/.test(Object.prototype.toString.call(given));
    return isObject && typeof (given as { readonly then?: unknown }).then !== 'function' && !(given instanceof Date);
  } catch {
    return false;
  }
}

/**
 * What was given in place of what was expected, for an error: text and numbers as they are, else what kind of thing it is.
 * Never throws.
 *
 * @example
 * inWords(Promise.resolve()); // 'a Promise'
 */
export function inWords(given: unknown): string {
  if (typeof given === 'function') return 'a function';
  if (typeof given !== 'object' || given === null) return given === '' ? '""' : String(given);
  if (Array.isArray(given)) return 'an array';
  try {
    const name = given.constructor?.name;
    if (name && name !== 'Object') return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`;
  } catch {
    // It does not let itself be looked at.
  }
  return 'an object';
}

/**
 * Refuse options that nobody reads: a hook with a mistyped name would let everybody in. `known` is a table of every
 * name, so that the compiler notices one that is missing. `foreign` holds names that other libraries use, each with what
 * to write here instead.
 *
 * Throws a `TypeError` that names the option, what was probably meant, and the names that there are.
 *
 * @example
 * checkNames({ pth: '/ws' }, { path: true }, 'attach()'); // attach() has no option "pth": did you mean "path"? …
 */
export function checkNames(
  options: object,
  known: Readonly<Record<string, true>>,
  owner: string,
  foreign: Readonly<Record<string, string>> = {},
): void {
  if (!isRecord(options)) throw new TypeError(`${owner} takes an object of options; got ${inWords(options)}`);
  for (const name of namesOf(options, owner)) {
    if (Object.hasOwn(known, name)) continue;
    const names = Object.keys(known);
    const meant = nearest(name, names);
    const hint = Object.hasOwn(foreign, name) ? `: ${foreign[name]}` : meant ? `: did you mean "${meant}"?` : '.';
    throw new TypeError(`${owner} has no option "${name}"${hint} There are: ${names.join(', ')}`);
  }
}

/** Its names, once each value could be read: a getter that throws later would name nothing. */
function namesOf(options: object, owner: string): string[] {
  let at = '';
  try {
    const names = Object.keys(options);
    for (at of names) void (options as Record<string, unknown>)[at];
    return names;
  } catch (cause) {
    throw new TypeError(`${owner}: reading the option "${at}" throws`, { cause });
  }
}

/** Each of these is absent, or a function. Throws a `TypeError` that names the one which is not; `owner` goes before. */
export function mustBeFunctions(hooks: object, owner = ''): void {
  for (const [name, hook] of Object.entries(hooks)) {
    if (hook !== undefined && typeof hook !== 'function')
      throw new TypeError(`${owner}${name} must be a function; got ${typeof hook}`);
  }
}

/** Throws a `TypeError` that names the option, and says what was expected. */
export function assertOption(valid: unknown, name: string, expected: string, value: unknown): void {
  if (!valid) throw new TypeError(`${name} must be ${expected}; got ${inWords(value)}`);
}

/** Throws a `TypeError` that names the option unless it is absent, or an object of the application ([CONN-52]). */
export function mustBeRecord(value: unknown, name: string, expected: string): void {
  assertOption(value === undefined || isRecord(value), name, expected, value);
}

/** Throws a `TypeError` that names the clock unless it is absent, or keeps time ([CONN-52]). */
export function mustBeClock(clock: unknown, owner = ''): void {
  const { now, watch } = (isRecord(clock) ? clock : {}) as { readonly now?: unknown; readonly watch?: unknown };
  const good = clock === undefined || (typeof now === 'function' && typeof watch === 'function');
  assertOption(good, `${owner}clock`, 'something that keeps time, such as createTestClock()', clock);
}

/**
 * The numbers of these names: those that are given, else the defaults. Throws as {@link assertOption} when one is less than
 * `least`, or none; `owner` goes before its name.
 *
 * @example
 * const { openTimeout } = numbers(options, { openTimeout: 10_000 }, 1);
 */
export function numberOptions<Name extends string>(
  given: { readonly [Each in NoInfer<Name>]?: number | undefined },
  defaults: Readonly<Record<Name, number>>,
  least: number,
  owner = '',
): Record<Name, number> {
  const values: Record<Name, number> = { ...defaults };
  for (const name in defaults) {
    const { [name]: value = defaults[name] } = given;
    assertOption(typeof value === 'number' && value >= least, owner + name, `a number from ${least} up`, value);
    values[name] = value;
  }
  return values;
}
