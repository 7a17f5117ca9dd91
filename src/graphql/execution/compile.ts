import type { DocumentNode, ExecutionArgs, ExecutionResult, GraphQLSchema } from 'graphql';
import type { PromiseOr } from '../../core/promise-or.ts';
import { isObject } from '../protocol/messages.ts';
import type { Encode } from './errors.ts';
import type { CompiledOperation } from './execute.ts';

/** One operation of a document, compiled: what `compileQuery` of graphql-jit returns. */
export interface CompiledDocument {
  /** Runs a query or mutation; of a subscription, runs one event, which is the root value then. */
  readonly query: (
    rootValue: unknown,
    contextValue: unknown,
    variables: ExecutionArgs['variableValues'],
  ) => PromiseOr<ExecutionResult>;
  /**
   * JSON of a result without errors, which may know no more than what the document selects.
   *
   * @defaultValue `JSON.stringify`
   */
  readonly stringify?: ((result: ExecutionResult) => string) | undefined;
}

/** Compiles a document, for one operation of it. `undefined` or errors leave it to the `graphql` package. */
export type Compile = (
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName?: string,
) => CompiledDocument | ExecutionResult | undefined;

/**
 * What was compiled of each document, by schema and operation name: once, and for as long as document and schema live.
 *
 * @example
 * const compiled = new CompiledDocuments((schema, document) => compileQuery(schema, document), encode, true);
 * const result = compiled.of(args)?.executor(args)(args.rootValue);
 */
export class CompiledDocuments {
  readonly #compile: Compile;
  readonly #encode: Encode;
  readonly #stringifies: boolean;
  readonly #documents = new WeakMap<DocumentNode, WeakMap<GraphQLSchema, Map<string, CompiledOperation | undefined>>>();

  /** `encode` makes JSON of everything, unless it `stringifies`: then only of what a compiled serialiser does not know. */
  constructor(compile: Compile, encode: Encode, stringifies: boolean) {
    this.#compile = compile;
    this.#encode = encode;
    this.#stringifies = stringifies;
  }

  /** Undefined: the compiler leaves it to the `graphql` package. Throws what the compiler throws. */
  of({ schema, document, operationName }: ExecutionArgs): CompiledOperation | undefined {
    const schemas = getOrAdd(this.#documents, document, () => new WeakMap());
    const operations = getOrAdd(schemas, schema, () => new Map());
    return getOrAdd(operations, operationName ?? '', () =>
      this.#operation(this.#compile(schema, document, operationName ?? undefined)),
    );
  }

  #operation(compiled: CompiledDocument | ExecutionResult | undefined): CompiledOperation | undefined {
    if (compiled === undefined || (isObject(compiled) && 'errors' in compiled)) return undefined;
    if (!isCompiled(compiled)) throw new TypeError(notCompiled);
    const { query, stringify } = compiled;
    const encode = this.#encode;
    return {
      executor: ({ contextValue, variableValues }) => {
        return (rootValue, fresh) => query(rootValue, fresh ? fresh.contextValue : contextValue, variableValues);
      },
      encode:
        stringify && this.#stringifies
          ? // Errors carry what no document tells of, such as extensions.
            (result, reporter) => (result && !result.errors ? stringify(result) : encode(result, reporter))
          : encode,
    };
  }
}

function getOrAdd<Key, Value>(
  map: { has(key: Key): boolean; get(key: Key): Value | undefined; set(key: Key, value: Value): unknown },
  key: Key,
  make: () => Value,
): Value {
  if (map.has(key)) return map.get(key) as Value;
  const value = make();
  map.set(key, value);
  return value;
}

const notCompiled =
  'compile must return { query, stringify } as compileQuery of graphql-jit does; or undefined, or a result with errors, for a document that the graphql package is to execute';

const isCompiled = (value: unknown): value is CompiledDocument =>
  isObject(value) &&
  typeof value['query'] === 'function' &&
  (value['stringify'] === undefined || typeof value['stringify'] === 'function');
