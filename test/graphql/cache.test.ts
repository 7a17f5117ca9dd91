import { buildSchema, GraphQLError, parse, validate } from 'graphql';
import { expect, test, vi } from 'vitest';
import { DocumentCache } from '../../src/graphql/cache.ts';

const schema = buildSchema('type Query { a: Int }');

function createCache(maxLength = 1_000) {
  const parser = vi.fn((text: string) => parse(text));
  const validator = vi.fn((...args: Parameters<typeof validate>) => validate(...args));
  return { cache: new DocumentCache({ maxLength, parse: parser, validate: validator }), parser, validator };
}

test('[GQL-37] a text is parsed once, and validated once per schema', () => {
  const { cache, parser, validator } = createCache();
  const other = buildSchema('type Query { b: Int }');
  for (let round = 0; round < 2; round++) {
    const parsed = cache.parse('{ a }');
    expect(cache.errors(parsed, schema)).toEqual([]);
    expect(cache.errors(parsed, other)).toHaveLength(1);
  }
  expect(parser).toHaveBeenCalledTimes(1);
  expect(validator).toHaveBeenCalledTimes(2);
});

test('of a text that is kept there is one copy, whoever sends it; another one stays as it is', () => {
  const { cache } = createCache(5);
  const { text } = cache.parse('{ a }');
  expect([cache.known('{ a }'), text]).toEqual(['{ a }', '{ a }']);
  cache.parse('{ a, b }');
  expect(cache.known('{ a, b }')).toBe('{ a, b }');
});

test('a syntax error is remembered like a document', () => {
  const { cache, parser } = createCache();
  const { document, syntaxError } = cache.parse('{');
  expect(document).toBeUndefined();
  expect(syntaxError).toBeInstanceOf(GraphQLError);
  expect(cache.parse('{').syntaxError).toBe(syntaxError);
  expect(parser).toHaveBeenCalledTimes(1);
});

test('what a parser throws that is no syntax error is a bug, and not remembered', () => {
  const { cache, parser } = createCache();
  parser.mockImplementationOnce(() => {
    throw new Error('bug');
  });
  expect(() => cache.parse('{ a }')).toThrow('bug');
  expect(cache.parse('{ a }').document).toBeDefined();
});

test('the least recently used goes first when the texts are too long together', () => {
  const { cache, parser } = createCache(15);
  for (const text of ['{ a }', '{a  }', '{  a}', '{ a }', '{ a  }']) cache.parse(text);
  parser.mockClear();
  cache.parse('{ a }');
  cache.parse('{ a  }');
  expect(parser).not.toHaveBeenCalled();
  cache.parse('{a  }');
  expect(parser).toHaveBeenCalledTimes(1);
});

test('a text that is longer than the bound is not kept, and drives nobody out', () => {
  const { cache, parser } = createCache(5);
  for (const text of ['{ a }', '{ a a a a }', '{ a a a a }', '{ a }']) expect(cache.parse(text).document).toBeDefined();
  expect(parser.mock.calls).toEqual([['{ a }'], ['{ a a a a }'], ['{ a a a a }']]);
});

test('a parser that returns nothing has a bug', () => {
  const cache = new DocumentCache({ maxLength: 100, parse: () => undefined as never, validate });
  expect(() => cache.parse('{ a }')).toThrow(/^parse must return a document/);
});

test('[GQL-24] a document that exhausts the stack is the client’s fault; anything else that rules throw is not', () => {
  const tooDeep = [new GraphQLError('The document is nested too deeply')];
  const exhausted = (): never => {
    throw new RangeError('Maximum call stack size exceeded');
  };
  const inParser = new DocumentCache({ maxLength: 100, parse: exhausted, validate });
  expect(inParser.errors(inParser.parse('{ hello }'), schema)).toEqual(tooDeep);
  const inRules = new DocumentCache({ maxLength: 100, parse, validate: exhausted });
  expect(inRules.errors(inRules.parse('{ a }'), schema)).toEqual(tooDeep);
  const broken = new DocumentCache({
    maxLength: 100,
    parse,
    validate() {
      throw new Error('a rule broke');
    },
  });
  expect(() => broken.errors(broken.parse('{ hello }'), schema)).toThrow('a rule broke');
});
