/** A row of `spec-notes/*.md`: `- [STOMP-24] MUST. What is done. → src/stomp/client/client-session.ts` */
export interface Rule {
  readonly id: string;
  readonly level: 'MUST' | 'SHOULD' | 'MAY';
  readonly text: string;
  readonly files: readonly string[];
  /** file:line */
  readonly place: string;
}

/** The ids that a title, or the head of a transcript, names, with where. */
export interface Mention {
  readonly id: string;
  readonly place: string;
}

const row = /^- \[([A-Z]+-\d+)\] (MUST|SHOULD|MAY)\. (.+) → (.+)$/;
/** Looks like a row, so it has to be one. */
const rowLike = /^\s*[-*+]\s*`?\[[A-Z]+-\d+\]/;
const mentioned = /\[([A-Z]+-\d+)\]/g;
/** A string that is the first of several arguments of a call: the title of a test or of a group of tests. */
const title = /\(\s*(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"|`((?:\\.|[^`\\])*)`)\s*,/g;

/** The rules of a note. Throws with file:line when a row does not parse. */
export function parseRules(file: string, text: string): Rule[] {
  return text.split('\n').flatMap((line, index): Rule[] => {
    const place = `${file}:${index + 1}`;
    if (!rowLike.test(line)) return [];
    const found = row.exec(line);
    if (!found) {
      throw new Error(
        `${place}: not a rule. Wanted: - [ID-1] MUST|SHOULD|MAY. What is done. → src/file.ts\ngot: ${line}`,
      );
    }
    const [, id = '', level, what = '', files = ''] = found;
    return [
      { id, level: level as Rule['level'], text: what, place, files: files.split(', ').map((each) => each.trim()) },
    ];
  });
}

/** The rule ids in the titles of a test file. */
export function mentionsInTitles(file: string, text: string): Mention[] {
  return [...text.matchAll(title)].flatMap((found) => {
    const line = text.slice(0, found.index).split('\n').length;
    return mentionsIn(`${file}:${line}`, found[1] ?? found[2] ?? found[3] ?? '');
  });
}

/** The rule ids in the heads of a transcript file: its lines that begin with `# `. */
export const mentionsInTranscript = (file: string, text: string): Mention[] =>
  text.split('\n').flatMap((line, index) => (line.startsWith('# ') ? mentionsIn(`${file}:${index + 1}`, line) : []));

const mentionsIn = (place: string, text: string): Mention[] =>
  [...text.matchAll(mentioned)].map(([, id = '']) => ({ id, place }));

/** Everything that is wrong between rules and titles, one line each. */
export function mismatches(
  rules: readonly Rule[],
  mentions: readonly Mention[],
  exists: (file: string) => boolean,
): string[] {
  const known = new Map<string, Rule>();
  const problems: string[] = [];
  for (const rule of rules) {
    const first = known.get(rule.id);
    if (first) problems.push(`${rule.place}: [${rule.id}] is taken already, at ${first.place}`);
    known.set(rule.id, rule);
    for (const file of rule.files) {
      if (!exists(file)) problems.push(`${rule.place}: [${rule.id}] names ${file}, which does not exist`);
    }
  }
  const tested = new Set(mentions.map(({ id }) => id));
  for (const { id, place, text } of known.values()) {
    if (!tested.has(id)) problems.push(`${place}: [${id}] stands in no test title: ${text}`);
  }
  for (const { id, place } of mentions) {
    if (!known.has(id)) problems.push(`${place}: there is no rule [${id}]`);
  }
  return problems;
}
