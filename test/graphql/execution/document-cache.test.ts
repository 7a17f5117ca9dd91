import { buildSchema, GraphQLError, parse, validate } from 'graphql';
import { expect, test, vi } from 'vitest';
import { DocumentCache, memoryOf } from '../../../src/graphql/execution/document-cache.ts';

const schema = buildSchema('type Query { a: Int }');
const bytesOf = (text: string, document = parse(text)): number => memoryOf(text, document);

/** Far more than the documents of a test are. */
const roomy = 1_000_000;
const errorLimit = 101;

function createCache(maxBytes = roomy) {
  const parser = vi.fn((text: string) => parse(text));
  const validator = vi.fn((...args: Parameters<typeof validate>) => validate(...args));
  const cache = new DocumentCache({ maxDocument: 1_000_000, maxBytes, parse: parser, validate: validator });
  return { cache, parser, validator, ask: (text: string) => cache.errors(cache.parse(text), schema) };
}

test('[GQL-37] a text is parsed once, and validated once per schema that accepts it', () => {
  const { cache, parser, validator } = createCache();
  const extended = buildSchema('type Query { a: Int, b: Int }');
  for (let round = 0; round < 3; round++) {
    const parsed = cache.parse('{ a }');
    expect(cache.errors(parsed, schema)).toEqual([]);
    expect(cache.errors(parsed, extended)).toEqual([]);
  }
  expect(parser).toHaveBeenCalledTimes(1);
  expect(validator).toHaveBeenCalledTimes(2);
});

test('[GQL-37] [GQL-101] of a document that is refused a few errors are kept: a hundred are dearer than its text', () => {
  const { parser, validator, ask } = createCache();
  const wrong = `{ ${'z '.repeat(errorLimit)} }`;
  expect(ask(wrong)).toHaveLength(errorLimit);
  const first = ask(wrong);
  expect(first).toHaveLength(5);
  expect(first[0]).toEqual({ message: expect.stringContaining('"z"'), locations: [{ line: 1, column: 3 }] });
  const [syntax] = ask('{');
  expect(ask('{')).toEqual([JSON.parse(JSON.stringify(syntax))]);
  expect(parser).toHaveBeenCalledTimes(3);
  expect(validator).toHaveBeenCalledTimes(1);
});

test('[GQL-101] those that were refused are forgotten after a thousand others, and never taken for another', () => {
  const { validator, ask } = createCache();
  for (let round = 0; round < 2; round++) ask('{ first }');
  expect(validator).toHaveBeenCalledTimes(1);
  for (let other = 0; other < 1_000; other++) expect(ask(`{ other${other} }`)[0]?.message).toContain(`"other${other}"`);
  ask('{ first }');
  expect(validator).toHaveBeenCalledTimes(1_002);
});

test('[GQL-37] what one schema accepts, another may refuse', () => {
  const { cache, parser, validator, ask } = createCache();
  const other = buildSchema('type Query { b: Int }');
  for (let round = 0; round < 2; round++) {
    expect(ask('{ a }')).toEqual([]);
    expect(cache.errors(cache.parse('{ a }'), other)).toHaveLength(1);
  }
  expect(parser).toHaveBeenCalledTimes(1);
  expect(validator).toHaveBeenCalledTimes(2);
});

test('a text that comes twice before it is validated counts once', () => {
  const { cache, parser, ask } = createCache(2 * bytesOf('{ a }'));
  const both = [cache.parse('{ a }'), cache.parse('{ a }')];
  for (const parsed of both) expect(cache.errors(parsed, schema)).toEqual([]);
  expect(ask('{a  }')).toEqual([]);
  parser.mockClear();
  for (const text of ['{ a }', '{a  }']) expect(ask(text)).toEqual([]);
  expect(parser).not.toHaveBeenCalled();
});

test('of a text that is kept there is one copy, whoever sends it; another one stays as it is', () => {
  const { cache, ask } = createCache();
  expect(ask('{ a }')).toEqual([]);
  expect(cache.known('{ a }')).toBe('{ a }');
  expect(cache.known('{ a, a }')).toBe('{ a, a }');
});

test('what a parser throws that is no syntax error is a bug, and not remembered', () => {
  const { cache, parser } = createCache();
  parser.mockImplementationOnce(() => {
    throw new Error('bug');
  });
  expect(() => cache.parse('{ a }')).toThrow('bug');
  expect(cache.parse('{ a }').document).toBeDefined();
});

test('the least recently used goes first when the documents are too large together', () => {
  const { parser, ask } = createCache(3 * bytesOf('{ a  }'));
  for (const text of ['{ a }', '{a  }', '{  a}', '{ a }', '{ a  }']) ask(text);
  parser.mockClear();
  ask('{ a }');
  ask('{ a  }');
  expect(parser).not.toHaveBeenCalled();
  ask('{a  }');
  expect(parser).toHaveBeenCalledTimes(1);
});

test('a document that is larger than the bound is not kept, and drives nobody out', () => {
  const { parser, ask } = createCache(bytesOf('{ a }'));
  for (const text of ['{ a }', '{ a a a a }', '{ a a a a }', '{ a }']) expect(ask(text)).toEqual([]);
  expect(parser.mock.calls).toEqual([['{ a }'], ['{ a a a a }'], ['{ a a a a }']]);
});

test('a document counts as many bytes as its tokens take, comments as well; without tokens, its letters', () => {
  expect(bytesOf('{a a a a a}')).toBeGreaterThan(bytesOf('{a        }') + 4 * 500);
  expect(bytesOf('{a #\n#\n#\n}')).toBeGreaterThan(bytesOf('{a       }') + 3 * 90);
  expect(bytesOf('{a}', parse('{a}', { noLocation: true }))).toBeGreaterThanOrEqual(3 * 500);
});

test('a parser that returns nothing has a bug', () => {
  const cache = new DocumentCache({ maxDocument: 1_000_000, maxBytes: 100, parse: () => undefined as never, validate });
  expect(() => cache.parse('{ a }')).toThrow(/^parse must return a document/);
});

test('[GQL-24] a document that exhausts the stack is the client’s fault; anything else that rules throw is not', () => {
  const tooDeep = [new GraphQLError('The document is nested too deeply')];
  const exhausted = (): never => {
    throw new RangeError('Maximum call stack size exceeded');
  };
  const inParser = new DocumentCache({ maxDocument: 1_000_000, maxBytes: 100, parse: exhausted, validate });
  expect(inParser.errors(inParser.parse('{ hello }'), schema)).toEqual(tooDeep);
  const inRules = new DocumentCache({ maxDocument: 1_000_000, maxBytes: 100, parse, validate: exhausted });
  expect(inRules.errors(inRules.parse('{ a }'), schema)).toEqual(tooDeep);
  const broken = new DocumentCache({
    maxDocument: 1_000_000,
    maxBytes: 100,
    parse,
    validate() {
      throw new Error('a rule broke');
    },
  });
  expect(() => broken.errors(broken.parse('{ hello }'), schema)).toThrow('a rule broke');
});
