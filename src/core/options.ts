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

/** Throws a `TypeError` that names the option, and says what was expected. */
export function must(valid: unknown, name: string, expected: string, value: unknown): void {
  if (!valid) throw new TypeError(`${name} must be ${expected}; got ${String(value)}`);
}

/** The options of these names are absent, or numbers of at least `least`. Throws as {@link must}. */
export function mustBeNumbers(options: object, names: readonly string[], least: number): void {
  for (const name of names) {
    const value: unknown = options[name as keyof typeof options];
    must(
      value === undefined || (typeof value === 'number' && value >= least),
      name,
      `a number from ${least} up`,
      value,
    );
  }
}
