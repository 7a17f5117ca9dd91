import { isPattern } from '../bus/pattern.ts';

/**
 * Topics as subjects of NATS. Both separators of a topic are the dot of a subject, and a last token says which they
 * were: `a/b.c` is `a.b.c.-sd`. So a pattern is a pattern of subjects, and a subject is one topic.
 */
const token = (segment: string): string =>
  segment === ''
    ? '%'
    : encodeURIComponent(segment).replace(/[*!'()~]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);

/** The subject of a topic, or that of all topics that a pattern matches, or of some more. Throws if it is no text. */
export function subjectOf(name: string): string {
  const segments = name.split(/[./]/);
  if (!isPattern(name)) {
    const separators = (name.match(/[./]/g) ?? []).map((sign) => (sign === '/' ? 's' : 'd')).join('');
    return [...segments.map(token), `-${separators}`].join('.');
  }
  const rest = segments.at(-1) === '**';
  if (rest) segments.pop();
  const tokens = segments.map((segment) => (segment === '*' ? '*' : token(segment)));
  return [...tokens, rest ? '>' : '*'].join('.');
}

/** The topic of a subject. Throws if {@link subjectOf} did not make it. */
export function topicOf(subject: string): string {
  const tokens = subject.split('.');
  const separators = tokens.pop() ?? '';
  if (separators.length !== tokens.length || separators[0] !== '-') throw new Error(`"${subject}" is no topic`);
  return tokens
    .map((each, index) => {
      const segment = each === '%' ? '' : decodeURIComponent(each);
      return index === 0 ? segment : (separators[index] === 's' ? '/' : '.') + segment;
    })
    .join('');
}
