/**
 * Refuse options that nobody reads: a hook with a mistyped name would let everybody in. `known` is a table of every
 * name, so that the compiler notices one that is missing.
 *
 * Throws a `TypeError` that names the option and those that there are.
 *
 * @example
 * checkNames({ pth: '/ws' }, { path: true }, 'attach()');
 */
export function checkNames(options: object, known: Readonly<Record<string, true>>, owner: string): void {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue;
    throw new TypeError(`${owner} has no option "${name}". There are: ${Object.keys(known).join(', ')}`);
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
  if (!valid) throw new TypeError(`${name} must be ${expected}; got ${String(value)}`);
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
