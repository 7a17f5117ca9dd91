import { isPattern } from '../bus/pattern.ts';

/**
 * Topics as the dotted names of brokers. Both separators of a topic are a dot there, and a last token says which they
 * were: `a/b.c` is `a.b.c.-sd`. So a pattern of topics is a pattern of the broker, and a subject is one topic. What is
 * special to any broker is written as `=` and two digits.
 */
const token = (segment: string): string =>
  segment === ''
    ? '='
    : encodeURIComponent(segment)
        .replace(/[*!'()~]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)
        .replaceAll('%', '=');

/**
 * The subject of a topic; or the pattern of the broker for one of topics, which matches those and perhaps some more.
 * `rest` is the broker's word for any number of tokens. Throws a `URIError` if the name is no text.
 *
 * @example
 * subjectOf('a/b', '>'); // 'a.b.-s'
 * subjectOf('a.**', '#'); // 'a.#'
 */
export function subjectOf(name: string, rest: '>' | '#'): string {
  const segments = name.split(/[./]/);
  if (!isPattern(name)) {
    const separators = (name.match(/[./]/g) ?? []).map((sign) => (sign === '/' ? 's' : 'd')).join('');
    return [...segments.map(token), `-${separators}`].join('.');
  }
  const open = segments.at(-1) === '**';
  if (open) segments.pop();
  const tokens = segments.map((segment) => (segment === '*' ? '*' : token(segment)));
  return [...tokens, open ? rest : '*'].join('.');
}

/** The topic of a subject. Throws an `Error` if {@link subjectOf} did not make it. */
export function topicOf(subject: string): string {
  const tokens = subject.split('.');
  const separators = tokens.pop() ?? '';
  if (separators.length !== tokens.length || separators[0] !== '-') throw new Error(`"${subject}" is no topic`);
  return tokens
    .map((each, index) => {
      const segment = each === '=' ? '' : decodeURIComponent(each.replaceAll('=', '%'));
      return index === 0 ? segment : (separators[index] === 's' ? '/' : '.') + segment;
    })
    .join('');
}
