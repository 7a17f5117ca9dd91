/** A number that a docstring says is the default of a member. */
export interface NamedDefault {
  readonly place: string;
  readonly name: string;
  readonly value: number;
}

/** Lines of docstrings that tell a default in prose: `Default 5,000.` or `Default: none.` instead of `@defaultValue`. */
export const proseDefaults = (path: string, text: string): string[] =>
  text
    .split('\n')
    .flatMap((line, index) =>
      /^\s*(?:\/\*\*|\*) .*(?:\bDefault:? [^{]|\(default )/.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [],
    );

/** Each `@defaultValue` with a number, and the member that it belongs to. */
export function defaultsOf(path: string, text: string): NamedDefault[] {
  const found: NamedDefault[] = [];
  let value: number | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const [, number] = /@defaultValue `?(\d[\d_,.]*)`?(?!\w)/.exec(line) ?? [];
    if (number !== undefined) value = Number(number.replaceAll(/[_,]|\.$/g, ''));
    const [, name] = /^\s+(?:readonly )?(\w+)\??: /.exec(line) ?? [];
    if (name !== undefined && value !== undefined) found.push({ place: `${path}:${index + 1}`, name, value });
    if (!/^\s*(?:\/\*\*|\*)/.test(line)) value = undefined;
  }
  return found;
}
