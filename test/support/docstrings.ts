/** An exported name, or a member of an exported interface or class, that has no docstring: file:line and its name. */
export interface Undocumented {
  readonly place: string;
  readonly name: string;
}

const declaration = /^export (?:declare )?(?:abstract )?(?:async )?(?:interface|class|function\*?|const|type) (\w+)/;
const memberOfInterface = /^ {2}(?:readonly )?(?:'([^']+)'|(\w+)|\[(\w[\w.]*)\])\??(?:<[^>]*>)?[(:]/;
const memberOfClass =
  /^ {2}(?:static |readonly |declare |override |async |abstract |get |set |\*)*(?:(\w+)|\[(\w[\w.]*)\])\??!?(?:<[^>]*>)?(?:[(:;=]| =)/;

/**
 * What a source file exports without a docstring. Members count where they are public: `private`, `protected`,
 * `#names`, `override`s and constructors explain nothing that their class does not; overloads follow the first of them.
 *
 * @example
 * undocumented('src/a.ts', 'export interface A {\n  b: number;\n}\n'); // A and A.b
 */
export function undocumented(path: string, text: string): Undocumented[] {
  const found: Undocumented[] = [];
  let owner: { readonly name: string; readonly kind: 'interface' | 'class' } | undefined;
  let documented = false;
  let previous = '';
  for (const [index, line] of text.split('\n').entries()) {
    const place = `${path}:${index + 1}`;
    const declared = declaration.exec(line);
    if (declared) {
      const [, name = ''] = declared;
      if (!documented && previous !== name) found.push({ place, name });
      previous = name;
      const opens = line.endsWith('{') || line.endsWith('<{') || /\bextends\b|\bimplements\b/.test(line);
      const kind = / class /.test(` ${line}`) ? 'class' : / interface |= \{$/.test(line) ? 'interface' : undefined;
      owner = opens && kind ? { name, kind } : undefined;
      if (/^export (?:declare )?(?:async )?function/.test(line)) owner = undefined;
    } else if (line.startsWith('}')) owner = undefined;
    else if (owner && !documented) {
      const member = (owner.kind === 'class' ? memberOfClass : memberOfInterface).exec(line);
      const name = member?.[1] ?? member?.[2] ?? member?.[3];
      const silent =
        /^ {2}(?:private|protected|override|constructor|static \{)|^ {2}(?:async )?(?:if|for|while|return|switch)\b/.test(
          line,
        ) || /\boverride\b/.test(line);
      if (name !== undefined && !silent && previous !== `${owner.name}.${name}`) {
        found.push({ place, name: `${owner.name}.${name}` });
      }
      if (name !== undefined) previous = `${owner.name}.${name}`;
    } else if (owner) {
      const member = (owner.kind === 'class' ? memberOfClass : memberOfInterface).exec(line);
      const name = member?.[1] ?? member?.[2] ?? member?.[3];
      if (name !== undefined) previous = `${owner.name}.${name}`;
    }
    const trimmed = line.trim();
    // A remark of the linter may stand between the two.
    if (!trimmed.startsWith('// biome-ignore')) documented = trimmed.endsWith('*/');
  }
  return found;
}
