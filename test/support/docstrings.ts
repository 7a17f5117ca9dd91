/** An exported name, or a member of an exported interface or class, that has no docstring: file:line and its name. */
export interface Undocumented {
  readonly place: string;
  readonly name: string;
}

/** By the name of an interface: its members, and the interfaces that it extends. */
export type Interfaces = ReadonlyMap<
  string,
  { readonly members: ReadonlySet<string>; readonly parents: readonly string[] }
>;

const namesIn = (list: string): string[] => list.replaceAll(/<[^<>]*>/g, '').match(/\w+/g) ?? [];

/** The interfaces of some source files, with the members that have to say what they are. */
export function interfacesOf(texts: readonly string[]): Interfaces {
  const found = new Map<string, { members: Set<string>; parents: string[] }>();
  for (const text of texts) {
    for (const [, name = '', parents = '', body = ''] of text.matchAll(
      /^(?:export )?interface (\w+)(?:<[^{]*?>)?(?: extends ([^{]+?))? \{\n([\s\S]*?)^\}/gm,
    )) {
      const members = body.split('\n').flatMap((line) => memberOfInterface.exec(line)?.slice(1, 4) ?? []);
      found.set(name, {
        members: new Set(members.filter((member) => member !== undefined)),
        parents: namesIn(parents),
      });
    }
  }
  return found;
}

/** Is this member said by one of these interfaces, or by what they extend? */
function isSaid(member: string, names: readonly string[], interfaces: Interfaces): boolean {
  return names.some((name) => {
    const known = interfaces.get(name);
    return known !== undefined && (known.members.has(member) || isSaid(member, known.parents, interfaces));
  });
}

const declaration = /^export (?:declare )?(?:abstract )?(?:async )?(?:interface|class|function\*?|const|type) (\w+)/;
const memberOfInterface = /^ {2}(?:readonly )?(?:'([^']+)'|(\w+)|\[(\w[\w.]*)\])\??(?:<[^>]*>)?[(:]/;
const memberOfClass =
  /^ {2}(?:static |readonly |declare |override |async |abstract |get |set |\*)*(?:(\w+)|\[(\w[\w.]*)\])\??!?(?:<[^>]*>)?(?:[(:;=]| =)/;

/**
 * What a source file exports without a docstring. Members count where they are public: `private`, `protected`,
 * `#names`, `override`s and constructors explain nothing that their class does not; overloads follow the first of them;
 * what a class `implements` is explained by the interface.
 *
 * @example
 * undocumented('src/a.ts', 'export interface A {\n  b: number;\n}\n'); // A and A.b
 */
export function undocumented(path: string, text: string, interfaces: Interfaces = new Map()): Undocumented[] {
  const found: Undocumented[] = [];
  const lines = text.split('\n');
  let owner:
    | { readonly name: string; readonly kind: 'interface' | 'class'; readonly said: readonly string[] }
    | undefined;
  let documented = false;
  let previous = '';
  for (const [index, line] of lines.entries()) {
    const place = `${path}:${index + 1}`;
    const declared = declaration.exec(line);
    if (declared) {
      const [, name = ''] = declared;
      if (!documented && previous !== name) found.push({ place, name });
      previous = name;
      const opens = / class /.test(` ${line}`) || line.endsWith('{') || line.endsWith('<{') || /\bextends\b/.test(line);
      // The type of a constant says what its members are.
      const typed = /^export const \w+: /.test(line);
      const kind = / class /.test(` ${line}`)
        ? 'class'
        : !typed && / interface |= \{$/.test(line)
          ? 'interface'
          : undefined;
      const head = lines.slice(index, index + 20).join(' ');
      const [, parents = ''] = /^[^{]*?\bimplements ([^{]+)\{/.exec(head) ?? [];
      owner = opens && kind ? { name, kind, said: namesIn(parents) } : undefined;
      if (/^export (?:declare )?(?:async )?function/.test(line)) owner = undefined;
    } else if (line.startsWith('}')) owner = undefined;
    else if (owner && !documented) {
      const member = (owner.kind === 'class' ? memberOfClass : memberOfInterface).exec(line);
      const name = member?.[1] ?? member?.[2] ?? member?.[3];
      const silent =
        /^ {2}(?:private|protected|override|constructor|static \{)|^ {2}(?:async )?(?:if|for|while|return|switch)\b/.test(
          line,
        ) ||
        /\boverride\b/.test(line) ||
        (name !== undefined && isSaid(name, owner.said, interfaces));
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
