import { type ExecutionArgs, GraphQLError } from 'graphql';
import type { PromiseOr } from '../../core/promise-or.ts';
import { Refusal } from '../../core/refuse.ts';
import { memoryOf } from '../execution/document-cache.ts';
import { type OperationKind, operationKind } from '../execution/execute.ts';
import type { SubscribePayload } from '../protocol/messages.ts';
import type { ServerRuntime } from './engine.ts';
import type { OperationLimits } from './operation-limits.ts';
import {
  type ConnectionParams,
  checkedArguments,
  type GraphqlContext,
  isErrors,
  type OperationArgs,
} from './options.ts';
import { queryPlace } from './resume.ts';
import { trustedText, untrusted } from './trusted-documents.ts';

/** An operation that is being prepared. */
export interface Prepared {
  /** The client's name for it. */
  readonly id: string;
  /** What the client asked for. */
  readonly payload: SubscribePayload;
  /** Aborted when nobody waits for it any more. */
  readonly signal: AbortSignal;
  /** Nobody waits for it any more. */
  readonly over: boolean;
  /** Where a query stands, if its client wants to know that. */
  at?: string | undefined;
  /** What it needs of its connection. */
  readonly host: {
    readonly engine: ServerRuntime;
    readonly context: GraphqlContext<ConnectionParams, unknown>;
    /** May one more document that nobody knows be parsed for this client? */
    mayParse(): boolean;
    /** Go on when there is time for one more document that nobody knows: at once, or in a later turn. */
    whenParseable(run: () => void): void;
    /** Such a document took so many ms just now; `refused`: so many in all, if it was refused, else 0. */
    spent(took: number, refused: number): void;
    /** Knows the time, and what brought the operation here. */
    readonly connection: { readonly now: number; readonly handshake: object };
    /** A document of this client was refused. */
    countRefusal(): void;
  };
  /** It keeps so many bytes more. False: it may not. */
  keep(bytes: number): boolean;
  /** Run a hook and go on, unless nobody waits for it any more. */
  step<T>(run: () => PromiseOr<T>, then: (value: T) => void): void;
  /** Answer with errors instead of executing. */
  refuse(errors: readonly unknown[]): void;
}

/** Arguments of an operation by its text: one shape for all of them, since executors read them at every result. */
class OperationArguments implements OperationArgs {
  // Set once the schema is known; hooks that are asked for it get the rest.
  schema: ExecutionArgs['schema'] = undefined as unknown as ExecutionArgs['schema'];
  document: ExecutionArgs['document'];
  operationName: ExecutionArgs['operationName'];
  variableValues: ExecutionArgs['variableValues'];
  rootValue: unknown = undefined;
  contextValue: unknown = undefined;
  declare readonly abortSignal: AbortSignal;
  readonly #operation: Prepared;

  constructor(operation: Prepared, document: ExecutionArgs['document']) {
    const { operationName, variables } = operation.payload;
    this.#operation = operation;
    this.document = document;
    // Some tools send an empty name for none ([GQL-53]).
    this.operationName = operationName === '' ? undefined : operationName;
    this.variableValues = variables;
    Object.defineProperty(this, 'abortSignal', OperationArguments.#signal);
  }

  // Made for who reads it: an AbortController per operation is not free. A property of its own, with one getter for all:
  // executors are handed copies of arguments, and the shape stays one.
  static readonly #signal = {
    enumerable: true,
    get(this: OperationArguments): AbortSignal {
      return this.#operation.signal;
    },
  };
}

type Execute = (kind: OperationKind, args: ExecutionArgs) => void;

/**
 * From what a client sent to what can be executed, in these steps:
 *
 *   onSubscribe ─▶ parse ─▶ schema ─▶ validate ─▶ root value ─▶ context ─▶ execute
 *        └─ arguments of its own ────────────────────┘
 *
 * Each step is `operation.step(run, then)`: `then` follows at once when `run` gives a value, and later when it gives a
 * promise. Nothing here is `async`, since an `await` costs each operation a turn and some hundred bytes that most of them
 * do not need. A step after which nobody waits any more has no `then`, so that all of it ends in `execute`, in an `error`
 * message, or nowhere.
 */
export function prepare(operation: Prepared, execute: Execute): void {
  const { host, id, payload } = operation;
  const { onSubscribe } = host.engine.options;
  if (!onSubscribe) return prepareText(operation, execute);
  operation.step(
    () => onSubscribe(host.context, id, payload),
    (given) => {
      if (!given) return prepareText(operation, execute);
      operation.step(
        () => {
          if (given instanceof Refusal) throw given;
          return isErrors(given) ? { errors: given } : { args: checkedArguments(given) };
        },
        (told) => {
          if ('errors' in told) return operation.refuse(told.errors);
          const { args, needsRoot, needsContext } = host.engine.given.take(told.args, operation);
          complement(operation, args, needsRoot, needsContext, execute);
        },
      );
    },
  );
}

/** The text that the client sent, or the trusted one behind its hash. */
function prepareText(operation: Prepared, execute: Execute): void {
  const { host, payload } = operation;
  const { trustedDocuments } = host.engine.options;
  if (!trustedDocuments) return prepareDocument(operation, payload.query, execute);
  operation.step(
    () => trustedText(trustedDocuments, host.context, payload),
    (text) => {
      if (typeof text !== 'string') return operation.refuse([untrusted(payload)]);
      prepareDocument(operation, text, execute);
    },
  );
}

const throttled = (): GraphQLError =>
  new GraphQLError('Too many documents of this connection were refused: wait', {
    extensions: { code: 'TOO_MANY_REFUSED' },
  });

const tooMuch = (): GraphQLError =>
  new GraphQLError('The operations of this connection keep too much in memory', {
    extensions: { code: 'TOO_MUCH_KEPT' },
  });

const misplaced = (kind: OperationKind, kinds: readonly OperationKind[]): GraphQLError =>
  new GraphQLError(`This request cannot run a ${kind}; it takes: ${kinds.join(', ')}`, {
    extensions: { code: 'OPERATION_NOT_ALLOWED' },
  });

function prepareDocument(operation: Prepared, text: string, execute: Execute): void {
  const { host } = operation;
  if (host.engine.documents.has(text)) return prepareParsed(operation, text, false, execute);
  const refuseUnseen = (): void => {
    host.countRefusal();
    operation.refuse([throttled()]);
  };
  // Those that are refused cost as much as others, and are not kept: nobody may have many of them ([GQL-101]).
  if (!host.mayParse()) return refuseUnseen();
  host.whenParseable(() => {
    if (operation.over) return;
    if (host.mayParse()) prepareParsed(operation, text, !host.engine.documents.has(text), execute);
    else refuseUnseen();
  });
}

function prepareParsed(operation: Prepared, text: string, isNew: boolean, execute: Execute): void {
  const { host, id, payload } = operation;
  const { documents, options } = host.engine;
  let inAll = 0;
  const timed = <T>(run: () => T, isRefused: (value: T) => boolean): T => {
    if (!isNew) return run();
    const from = host.connection.now;
    const value = run();
    const took = host.connection.now - from;
    inAll += took;
    host.spent(took, isRefused(value) ? inAll : 0);
    return value;
  };
  const refuse = (errors: readonly unknown[]): void => {
    host.countRefusal();
    operation.refuse(errors);
  };
  operation.step(
    () =>
      timed(
        () => documents.parse(text),
        ({ document }) => !document,
      ),
    (parsed) => {
      const { document, syntaxError } = parsed;
      if (!document) return refuse([syntaxError]);
      const args = new OperationArguments(operation, document);
      const validate = (schema: ExecutionArgs['schema']): void =>
        operation.step(
          () =>
            timed(
              () => documents.errors(parsed, schema),
              (errors) => errors.length > 0,
            ),
          (errors) => {
            if (errors.length > 0) return refuse(errors);
            // Whoever brings a document that nobody else has pays for it.
            if (isNew && !operation.keep(memoryOf(text, document))) return operation.refuse([tooMuch()]);
            args.schema = schema;
            complement(operation, args, true, true, execute);
          },
        );
      const { schema } = options;
      if (typeof schema === 'object') return validate(schema);
      operation.step(() => {
        if (!schema) throw new Error('The GraphQL schema is not provided');
        return schema(host.context, id, payload, args);
      }, validate);
    },
  );
}

/** Fill in what the arguments lack. */
function complement(
  operation: Prepared,
  args: OperationArgs,
  needsRoot: boolean,
  needsContext: boolean,
  execute: Execute,
): void {
  const { host, id, payload } = operation;
  const { roots, context = host.context } = host.engine.options;
  const kind = operationKind(args.document, args.operationName);
  if (!kind) return operation.refuse([new GraphQLError('Unable to identify operation')]);
  const { operationKinds } = host.connection.handshake as OperationLimits;
  if (operationKinds && !operationKinds.includes(kind)) return operation.refuse([misplaced(kind, operationKinds)]);
  if (args.operationName === '') args.operationName = undefined;
  // Before anything is read: what changes meanwhile comes after it.
  if (kind === 'query') operation.at = queryPlace(host.engine.options.bus, operation.payload);
  if (needsRoot) args.rootValue = roots?.[kind];
  if (!needsContext) return execute(kind, args);
  if (typeof context !== 'function') {
    args.contextValue = context;
    return execute(kind, args);
  }
  operation.step(
    () => context(host.context, id, payload, args),
    (value) => {
      args.contextValue = value;
      execute(kind, args);
    },
  );
}
