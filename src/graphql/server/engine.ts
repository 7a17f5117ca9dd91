import type { GraphQLSchema } from 'graphql';
import { type DocumentNode, type ExecutionArgs, type ExecutionResult, parse, specifiedRules, validate } from 'graphql';
import { closeReason } from '../../core/fault.ts';
import { resolveLimits } from '../../core/limits.ts';
import type { PromiseOr } from '../../core/promise-or.ts';
import { Refusal } from '../../core/refuse.ts';
import type { Principal } from '../../core/subprotocol.ts';
import { CompiledDocuments } from '../execution/compile.ts';
import { DocumentCache } from '../execution/document-cache.ts';
import { type Encode, encoder, type FormatError, masking, type Reporter, unmasked } from '../execution/errors.ts';
import {
  type CompiledOperation,
  chain,
  EventStream,
  type ExecuteEvent,
  execute,
  flatten,
  openEvents,
  resultsOf,
  subscribe,
} from '../execution/execute.ts';
import { type ShareGroup, ShareGroups } from '../execution/shared-results.ts';
import { checkOptions } from './check-options.ts';
import { GivenArgumentsOf } from './given-arguments.ts';
import { type GraphqlLimits, graphqlLimits } from './limits.ts';
import type { ConnectionParams, GraphqlOptions } from './options.ts';
import { ParsingTime } from './parsing-time.ts';
import { Shares } from './shares.ts';
import { type GraphqlCounts, noCounts } from './stats.ts';

type Options = GraphqlOptions<ConnectionParams, unknown>;

/** What an operation was executed to: one result, results over time, or events that are to be executed. */
export type Outcome = ExecutionResult | AsyncIterable<ExecutionResult> | EventStream;

/** What all connections of a server have in common. */
export interface ServerRuntime {
  /** The options as they were given. */
  readonly options: Options;
  /** The limits, with their defaults. */
  readonly limits: GraphqlLimits;
  /** The documents that are known. */
  readonly documents: DocumentCache;
  /** What operations are counted in. */
  readonly counts: GraphqlCounts;
  /** Makes arguments of onSubscribe ready. */
  readonly given: GivenArgumentsOf;
  /** Where events wait for their share of time. */
  readonly shares: Shares;
  /** Does what a hook of an operation threw end the connection? A `refuse()` does, and with graphql-ws all of it. */
  endsConnection(error: unknown): boolean;
  /** What unknown documents cost, and when the next one may be parsed. */
  readonly parsing: ParsingTime;
  /** JSON of results that were not compiled, or that a hook may have changed. */
  readonly encode: Encode;
  /** What a client is told of an error. */
  readonly format: FormatError;
  /** What a client may read of it as the reason of a close; undefined: nothing. */
  reasonOf(error: unknown): string | undefined;
  /** Tell the application of an error; of one error once, however many operations it ended. */
  report(reporter: Reporter, error: unknown): void;
  /** Undefined where there is no compiler, or where it leaves the document to others. Throws what `compile` throws. */
  compiled(args: ExecutionArgs): CompiledOperation | undefined;
  /** Execute a query or a mutation. Throws what the executor throws. */
  execute(args: ExecutionArgs, compiled: CompiledOperation | undefined): PromiseOr<Outcome>;
  /**
   * Open a subscription. Where its events are executed here, `wrap` may put something before that. Throws what the
   * resolver throws.
   */
  subscribe(
    args: ExecutionArgs,
    shared: boolean,
    compiled: CompiledOperation | undefined,
    wrap: (execute: ExecuteEvent) => ExecuteEvent,
  ): PromiseOr<Outcome>;
  /** With whom a subscription shares its results; undefined: with nobody. Throws what `share` throws. */
  groupOf(args: ExecutionArgs): ShareGroup | undefined;
  /** The subscription has ended. */
  leaveGroup(group: ShareGroup): void;
}

/**
 * What connections of a server share, out of its options. `asGraphqlWs`: with the behaviour of graphql-ws where ours is
 * another by default.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 */
export function createEngine<Params, Extra, User extends Principal, Value>(
  given: GraphqlOptions<Params, Extra, User, Value>,
  asGraphqlWs = false,
): ServerRuntime {
  checkOptions(given as unknown as GraphqlOptions<never, never>);
  const options = given as unknown as Options;
  const { share } = options;
  const hidesErrors = isProduction(options);
  const limits = resolveLimits(graphqlLimits, { ...options.limits, ...initTimeout(options) });
  const groups = new ShareGroups();
  const format = createFormat(options, hidesErrors, asGraphqlWs);
  const encode = encoder(options.jsonMessageReplacer, format);
  const compiled = createCompiled(options, encode);
  const told = new WeakSet<object>();
  return {
    options,
    limits,
    documents: createDocuments(options, limits),
    counts: noCounts(),
    given: new GivenArgumentsOf(asGraphqlWs),
    shares: new Shares(),
    parsing: new ParsingTime(),
    endsConnection: (error) => asGraphqlWs || error instanceof Refusal,
    encode,
    format,
    reasonOf(error) {
      if (!(error instanceof Error) || (asGraphqlWs && hidesErrors)) return undefined;
      const { message } = format(error, { report() {} });
      // Some libraries put an object there; a reason is text. With graphql-ws it is whole, or not told.
      if (typeof message !== 'string' || (asGraphqlWs && closeReason(message) !== message)) return undefined;
      return message;
    },
    report(reporter, error) {
      if (typeof error === 'object' && error !== null) {
        if (told.has(error)) return;
        told.add(error);
      }
      reporter.report(error);
    },
    compiled: (args) => compiled?.of(args),
    execute: (args, operation) =>
      chain(
        operation ? operation.executor(args)(args.rootValue) : (options.execute ?? execute)(args),
        flatten,
      ) as PromiseOr<Outcome>,
    subscribe(args, shared, operation, wrap) {
      if (options.subscribe && !operation) return options.subscribe(args);
      // Without a hook that wants to see results, events stay what they are: they can be pushed, and shared.
      if (!options.onOperation) {
        return chain(openEvents(args, shared, operation), (opened) => wrapped(opened, wrap));
      }
      if (!operation && !executesEvents(options)) return subscribe(args) as PromiseOr<Outcome>;
      return chain(openEvents(args, shared, operation), (opened) => resultsOf(wrapped(opened, wrap)));
    },
    groupOf(args) {
      const key = share?.(args.contextValue, args);
      if (key === undefined) return undefined;
      const { schema, document, operationName, variableValues: variables } = args;
      return groups.join(key, { schema, document, operationName, variables });
    },
    leaveGroup: (group) => groups.leave(group),
  };
}

/** Are errors hidden from strangers? */
export const isProduction = ({
  isProd = globalThis.process?.env['NODE_ENV'] === 'production',
}: Pick<GraphqlOptions<never, never>, 'isProd'>): boolean => isProd;

const executesEvents = ({ contextPerEvent, onEvent }: Options): boolean => Boolean(contextPerEvent || onEvent);

const wrapped = <T>(opened: EventStream | T, wrap: (execute: ExecuteEvent) => ExecuteEvent): EventStream | T =>
  opened instanceof EventStream ? new EventStream(opened.events, wrap(opened.execute)) : opened;

const initTimeout = ({ connectionInitWaitTimeout: timeout }: Options) =>
  timeout === undefined ? undefined : { initTimeout: timeout || Number.POSITIVE_INFINITY };

function createFormat({ maskError }: Options, hidesErrors: boolean, asGraphqlWs: boolean): FormatError {
  if (typeof maskError === 'function') return masking(maskError);
  return maskError === false || asGraphqlWs || !hidesErrors ? unmasked : masking();
}

function createCompiled(
  { compile, jsonMessageReplacer, onNext, onOperation }: Options,
  encode: Encode,
): CompiledDocuments | undefined {
  // A compiled serialiser writes what the document names, and would leave out what a hook has added.
  return compile && new CompiledDocuments(compile, encode, !jsonMessageReplacer && !onNext && !onOperation);
}

function createDocuments(
  { parse: parseText = parse, validate: validateDocument = validate, validationRules }: GraphqlOptions<never, never>,
  { maxTokens, maxDocument, documentCache }: GraphqlLimits,
): DocumentCache {
  const parseOptions = { maxTokens };
  const rules = validationRules && [...specifiedRules, ...validationRules];
  return new DocumentCache({
    maxDocument,
    maxBytes: documentCache,
    parse: (text: string): DocumentNode => parseText(text, parseOptions),
    validate: (schema: GraphQLSchema, document: DocumentNode) => validateDocument(schema, document, rules),
  });
}
