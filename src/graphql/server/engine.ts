import { type DocumentNode, type ExecutionArgs, type GraphQLSchema, parse, specifiedRules, validate } from 'graphql';
import { resolveLimits } from '../../core/limits.ts';
import { CompiledDocuments } from '../execution/compile.ts';
import { DocumentCache } from '../execution/document-cache.ts';
import { type CompiledOperation, type Encode, encoder } from '../execution/execute.ts';
import { type ShareGroup, ShareGroups } from '../execution/shared-results.ts';
import { type GraphqlLimits, graphqlLimits } from './limits.ts';
import { type ConnectionParams, checkOptions, type GraphqlOptions } from './options.ts';

/** What all connections of a server have in common. */
export interface ServerRuntime {
  readonly options: GraphqlOptions<ConnectionParams, unknown>;
  readonly limits: GraphqlLimits;
  readonly documents: DocumentCache;
  /** Subscriptions are read as events that are executed here; otherwise somebody else makes results of them. */
  readonly opensEvents: boolean;
  readonly hidesErrors: boolean;
  /** JSON of results that were not compiled, or that a hook may have changed. */
  readonly encode: Encode;
  /** Undefined where there is no compiler, or where it leaves the document to others. Throws what `compile` throws. */
  compiled(args: ExecutionArgs): CompiledOperation | undefined;
  /** With whom a subscription shares its results; undefined: with nobody. Throws what `share` throws. */
  groupOf(args: ExecutionArgs): ShareGroup | undefined;
  leaveGroup(group: ShareGroup): void;
}

/** Throws a `TypeError` that names the option when one is wrong. */
export function createEngine<Params, Extra>(given: GraphqlOptions<Params, Extra>): ServerRuntime {
  checkOptions(given as GraphqlOptions<never, never>);
  const options = given as unknown as GraphqlOptions<ConnectionParams, unknown>;
  const { share, isProd = globalThis.process?.env['NODE_ENV'] === 'production' } = options;
  const limits = resolveLimits(graphqlLimits, { ...options.limits, ...initTimeout(options) });
  const groups = new ShareGroups();
  const encode = encoder(options.jsonMessageReplacer);
  const compiled = createCompiled(options, encode);
  return {
    options,
    limits,
    documents: createDocuments(options, limits),
    opensEvents: !options.subscribe && !options.onOperation,
    hidesErrors: isProd,
    encode,
    compiled: (args) => compiled?.of(args),
    groupOf(args) {
      const key = share?.(args.contextValue, args);
      if (key === undefined) return undefined;
      const { schema, document, operationName, variableValues: variables } = args;
      return groups.join(key, { schema, document, operationName, variables });
    },
    leaveGroup: (group) => groups.leave(group),
  };
}

const initTimeout = ({ connectionInitWaitTimeout: timeout }: GraphqlOptions<ConnectionParams, unknown>) =>
  timeout === undefined ? undefined : { initTimeout: timeout || Number.POSITIVE_INFINITY };

function createCompiled(
  { compile, jsonMessageReplacer, onNext, onOperation }: GraphqlOptions<ConnectionParams, unknown>,
  encode: Encode,
): CompiledDocuments | undefined {
  // A compiled serialiser writes what the document names, and would leave out what a hook has added.
  return compile && new CompiledDocuments(compile, encode, !jsonMessageReplacer && !onNext && !onOperation);
}

function createDocuments(
  { parse: parseText = parse, validate: validateDocument = validate, validationRules }: GraphqlOptions<never, never>,
  { maxTokens, documentCache }: GraphqlLimits,
): DocumentCache {
  const parseOptions = { maxTokens };
  const rules = validationRules && [...specifiedRules, ...validationRules];
  return new DocumentCache({
    maxBytes: documentCache,
    parse: (text: string): DocumentNode => parseText(text, parseOptions),
    validate: (schema: GraphQLSchema, document: DocumentNode) => validateDocument(schema, document, rules),
  });
}
