import type {
  ExecutionArgs,
  ExecutionResult,
  GraphQLError,
  GraphQLSchema,
  parse,
  ValidationRule,
  validate,
} from 'graphql';
import type { Bus } from '../../bus/bus.ts';
import type { LimitOptions } from '../../core/limits.ts';
import type { PromiseOr } from '../../core/promise-or.ts';
import type { Refusal } from '../../core/refuse.ts';
import type { SlowSubscriber } from '../../core/slow-subscriber.ts';
import type { Handshake, Principal } from '../../core/subprotocol.ts';
import type { Compile } from '../execution/compile.ts';
import type { MaskError } from '../execution/errors.ts';
import type { IncrementalResults, OperationKind, OperationResult } from '../execution/execute.ts';
import type { ShareKey } from '../execution/shared-results.ts';
import type {
  FormattedError,
  FormattedExecutionResult,
  JSONMessageReplacer,
  JSONMessageReviver,
  SubscribePayload,
} from '../protocol/messages.ts';
import type { graphqlLimits } from './limits.ts';
import type { TrustedDocuments } from './trusted-documents.ts';

/** The payload of `connection_init`. Never trusted before a hook has looked at it. */
export type ConnectionParams = Readonly<Record<string, unknown>>;

/** A hook has nothing to say. */
// biome-ignore lint/suspicious/noConfusingVoidType: a hook that returns nothing was declared so by its author
export type Nothing = undefined | void;

/** One connection, as hooks and `context` see it. */
export interface GraphqlContext<
  Params = ConnectionParams,
  Extra = Record<string, unknown>,
  User extends Principal = Principal,
> {
  /** `connection_init` came. */
  readonly connectionInitReceived: boolean;
  /** The client was let in. */
  readonly acknowledged: boolean;
  /** The payload of `connection_init`, or what the client refreshed its credentials with. */
  readonly connectionParams?: Params | undefined;
  /** The operations that run, by id: the iterable of one that streams, `null` for others. Made when it is read. */
  readonly subscriptions: Readonly<Record<string, AsyncIterable<unknown> | null>>;
  /** Whom `authenticate` named. */
  readonly principal: User | undefined;
  /** What is kept of the HTTP request. */
  readonly handshake: Handshake;
  /** Yours: what hooks of one connection want to tell each other. */
  extra: Extra;
}

/** Arguments of an execution. `abortSignal` is aborted when the client completes the operation or is gone. */
export type OperationArgs = ExecutionArgs & { readonly abortSignal: AbortSignal };

/**
 * Options and hooks of a GraphQL server. A hook of the connection that throws closes it (4500); a hook of an operation
 * that throws is the `error` of that operation. A hook that has not answered within `limits.hookTimeout` of `attach()` is
 * given up: 1013, or the `error` of its operation.
 *
 * `Params` is the type of `connectionParams`, `Extra` that of `context.extra`, `User` that of the principal, `Value` that
 * of what `context` makes for resolvers.
 */
export interface GraphqlOptions<
  Params = ConnectionParams,
  Extra = Record<string, unknown>,
  User extends Principal = Principal,
  Value = unknown,
> {
  /** The schema, or a function that is asked per operation. Needed unless `onSubscribe` returns arguments. */
  readonly schema?:
    | GraphQLSchema
    | ((
        context: GraphqlContext<Params, Extra, User>,
        id: string,
        payload: SubscribePayload,
        args: Omit<ExecutionArgs, 'schema'>,
      ) => PromiseOr<GraphQLSchema>)
    | undefined;
  /**
   * What resolvers get as context, or a function that makes it, once per operation.
   *
   * @defaultValue the {@link GraphqlContext}
   */
  readonly context?:
    | ((
        context: GraphqlContext<Params, Extra, User>,
        id: string,
        payload: SubscribePayload,
        args: OperationArgs,
      ) => PromiseOr<Value>)
    | object
    | string
    | number
    | boolean
    | symbol
    | null
    | undefined;
  /**
   * Ask `context` anew for each event of a subscription, for loaders that remember what they loaded, and for tracing. It
   * needs a `context` function. With `share`, the context of an event is that of one of those who share it.
   *
   * @defaultValue `false`: the context is made once per operation
   */
  readonly contextPerEvent?: boolean | undefined;
  /** The root value of each kind of operation. */
  readonly roots?: { readonly [Kind in OperationKind]?: unknown } | undefined;
  /** Instead of the functions of the `graphql` package. A document is parsed and validated once, unless it is refused. */
  readonly parse?: typeof parse | undefined;
  /** Instead of `validate` of the `graphql` package. */
  readonly validate?: typeof validate | undefined;
  /** For queries and mutations; a subscription's events are executed by what `subscribe` is, as in graphql-ws. */
  readonly execute?:
    | ((args: ExecutionArgs) => PromiseOr<AsyncIterable<ExecutionResult> | ExecutionResult | IncrementalResults>)
    | undefined;
  /** Instead of `subscribe` of the `graphql` package; its results are not pushed, and not shared. */
  readonly subscribe?: ((args: ExecutionArgs) => OperationResult) | undefined;
  /**
   * Instead of `execute` and `subscribe`: a compiler such as graphql-jit, for queries, mutations and the events of
   * subscriptions. It is asked once per document, schema and operation name. Where it answers with `undefined` or with
   * errors, the `graphql` package executes the document. Sources of subscriptions are opened by their resolvers.
   *
   * `stringify` of what it returns makes JSON of results without errors; `JSON.stringify` does where there is
   * `jsonMessageReplacer`, `onNext` or `onOperation`, which may change what a serialiser of the document can know.
   *
   * Compiling takes 0.1 ms for a few fields, and more than 100 ms for some that are 200 levels deep: where documents are
   * written by strangers, compile those that you know.
   *
   * @example
   * import { compileQuery } from 'graphql-jit';
   * graphqlServer({
   *   schema,
   *   compile: (schema, document, name) => compileQuery(schema, document, name, { customJSONSerializer: true }),
   * });
   */
  readonly compile?: Compile | undefined;
  /**
   * Execute these documents and no others: clients send the hash of one (`extensions.persistedQuery.sha256Hash` of Apollo,
   * `documentId`, or `id` of Relay), and what they send as `query` is not looked at. The strictest way to bound what one
   * operation may cost.
   *
   * @example
   * graphqlServer({ schema, trustedDocuments: JSON.parse(await readFile('persisted-documents.json', 'utf8')) });
   */
  readonly trustedDocuments?: TrustedDocuments<GraphqlContext<Params, Extra, User>> | undefined;
  /** Rules that are checked beside those of the specification. */
  readonly validationRules?: readonly ValidationRule[] | undefined;
  /** Limits of this server, beside those of every connection. */
  readonly limits?: LimitOptions<typeof graphqlLimits> | undefined;
  /**
   * The same as `limits.initTimeout`, in ms; 0 and `Infinity` switch it off.
   *
   * @defaultValue 3_000
   */
  readonly connectionInitWaitTimeout?: number | null | undefined;
  /**
   * Subscriptions with the same key, document, operation name, variables and event are executed once and encoded once.
   * Their results must not depend on anything else: the context is that of one of them.
   *
   * @defaultValue nothing is shared
   */
  readonly share?: ((context: Value, args: ExecutionArgs) => ShareKey) | undefined;
  /**
   * What a subscription that is pushed, such as one of a bus topic, does while its client does not read: `disconnect`
   * (the default) goes on up to `highWaterMark`, then the client is cut (1013); `dropOldest` keeps the last
   * `limits.maxBacklog` events; `latest` keeps one.
   */
  readonly slowSubscriber?: SlowSubscriber | undefined;
  /**
   * The bus that resolvers read. With it a client can ask where a query stands (`extensions.subwire.resume` of the
   * operation, `extensions.subwire.at` of its result), and subscribe behind that place, so that nothing is missed in between.
   */
  readonly bus?: Pick<Bus, 'position'> | undefined;
  /**
   * Say nothing to strangers that was not written for them: errors are masked, see `maskError`, and the reason of a close
   * does not say what was wrong with a message.
   *
   * @defaultValue whether `NODE_ENV` is `production`
   */
  readonly isProd?: boolean | undefined;
  /**
   * What clients are told of errors, on every way out: in results, in `error` messages, as the reason of a close. A
   * function gets each error and returns it, so that it is told as it is, or what is told instead: a GraphQLError, or an
   * object with a `message`. What was masked goes to the endpoint's `onError`. `false`: everything is told.
   *
   * @defaultValue in production an error that is no GraphQLError is told as `Internal server error`; else all are told
   * @example
   * graphqlServer({ schema, maskError: (error) => (isFriendly(error) ? error : new GraphQLError('Sorry')) });
   */
  readonly maskError?: MaskError | false | undefined;

  /**
   * After `authenticate`. `false` refuses (4403), and `refuse({ code, reason })` with this code and these words, returned or
   * thrown; an object becomes the payload of `connection_ack`. Not asked again
   * when credentials are refreshed: what decides about new `connectionParams` belongs into `authenticate`.
   */
  readonly onConnect?:
    | ((
        context: GraphqlContext<Params, Extra, User>,
      ) => PromiseOr<Record<string, unknown> | Refusal | boolean | Nothing>)
    | undefined;
  /** A client that was let in is gone; its operations were ended before. */
  readonly onDisconnect?:
    | ((context: GraphqlContext<Params, Extra, User>, code: number, reason: string) => PromiseOr<void>)
    | undefined;
  /** A client is gone, let in or not. */
  readonly onClose?:
    | ((context: GraphqlContext<Params, Extra, User>, code: number, reason: string) => PromiseOr<void>)
    | undefined;
  /** A ping came; its pong leaves afterwards. */
  readonly onPing?:
    | ((context: GraphqlContext<Params, Extra, User>, payload: ConnectionParams | null | undefined) => PromiseOr<void>)
    | undefined;
  /** A pong came. */
  readonly onPong?:
    | ((context: GraphqlContext<Params, Extra, User>, payload: ConnectionParams | null | undefined) => PromiseOr<void>)
    | undefined;
  /**
   * An operation came. Returns nothing; or arguments, which are executed as they are (for persisted operations); or
   * errors, which are its answer. `refuse({ code, reason })`, returned or thrown, ends the connection with that code (4403
   * without one) and these words.
   */
  readonly onSubscribe?:
    | ((
        context: GraphqlContext<Params, Extra, User>,
        id: string,
        payload: SubscribePayload,
      ) => PromiseOr<ExecutionArgs | readonly (GraphQLError | FormattedError)[] | Refusal | Nothing>)
    | undefined;
  /**
   * An operation was executed, or a subscription opened; may replace its result. Such subscriptions are not pushed. A
   * stream that is replaced by a result is given back; one that is replaced by another stream is that one's to give back.
   */
  readonly onOperation?:
    | ((
        context: GraphqlContext<Params, Extra, User>,
        id: string,
        payload: SubscribePayload,
        args: ExecutionArgs,
        result: AsyncIterable<ExecutionResult> | ExecutionResult,
      ) => PromiseOr<AsyncIterable<ExecutionResult> | ExecutionResult | Nothing>)
    | undefined;
  /** Before an event of a subscription is executed. Not with a `subscribe` of your own, which executes them itself. */
  readonly onEvent?:
    | ((
        context: GraphqlContext<Params, Extra, User>,
        id: string,
        payload: SubscribePayload,
        args: ExecutionArgs,
        event: unknown,
      ) => PromiseOr<void>)
    | undefined;
  /** Before each `next`; may replace the payload. */
  readonly onNext?:
    | ((
        context: GraphqlContext<Params, Extra, User>,
        id: string,
        payload: SubscribePayload,
        args: ExecutionArgs,
        result: ExecutionResult,
      ) => PromiseOr<FormattedExecutionResult | ExecutionResult | Nothing>)
    | undefined;
  /** Before each `error`; may replace the payload. */
  readonly onError?:
    | ((
        context: GraphqlContext<Params, Extra, User>,
        id: string,
        payload: SubscribePayload,
        errors: readonly (GraphQLError | FormattedError)[],
      ) => PromiseOr<readonly FormattedError[] | Nothing>)
    | undefined;
  /** An operation that was executed has ended, whoever ended it. */
  readonly onComplete?:
    | ((context: GraphqlContext<Params, Extra, User>, id: string, payload: SubscribePayload) => PromiseOr<void>)
    | undefined;
  /** For `JSON.parse` of messages. */
  readonly jsonMessageReviver?: JSONMessageReviver | undefined;
  /** For `JSON.stringify` of payloads: of each payload, not of whole messages. */
  readonly jsonMessageReplacer?: JSONMessageReplacer | undefined;
}

/** An array of errors, which `onSubscribe` may return instead of arguments. */
export function isErrors(value: unknown): value is readonly (GraphQLError | FormattedError)[] {
  if (!Array.isArray(value)) return false;
  if (value.length > 0 && value.every((error) => typeof error?.message === 'string')) return true;
  throw new Error('onSubscribe must return nothing, execution arguments, or a non-empty array of GraphQL errors');
}

/** Arguments that `onSubscribe` returned. Throws a `TypeError` if they have no document. */
export function checkedArguments(given: ExecutionArgs): ExecutionArgs {
  if (Array.isArray(given.document?.definitions)) return given;
  throw new TypeError('onSubscribe returned arguments without a document: { schema, document: parse(text) }');
}
