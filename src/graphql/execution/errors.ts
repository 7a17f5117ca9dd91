import { type ExecutionResult, GraphQLError } from 'graphql';
import { messageOf } from '../../core/fault.ts';
import { isPromise } from '../../core/promise-or.ts';
import { encodePayload, type FormattedError, isObject, type JSONMessageReplacer } from '../protocol/messages.ts';

/** Who is told of an error that the client may not see. */
export interface Reporter {
  /** Tell the application. Never throws. */
  report(error: unknown): void;
}

/** Makes JSON of a result. Throws what `JSON.stringify` throws, and a `TypeError` for what is no result. */
export type Encode = (result: ExecutionResult, reporter: Reporter) => string;

/** What a client is told of an error; what it is not told goes to the reporter. Never throws. */
export type FormatError = (error: unknown, reporter: Reporter) => FormattedError;

/**
 * What a client is told of an error: the error itself, so that it is told as it is, or another one. It is asked on every
 * way out: errors in results, `error` messages, reasons of a close.
 */
export type MaskError = (error: unknown) => unknown;

/** Is it an error of GraphQL? By name, since there may be two copies of the package in a process. */
export const isGraphQLError = (error: unknown): error is GraphQLError =>
  error instanceof Error && error.name === 'GraphQLError';

/** Stands for something that was thrown and is no Error. */
class ThrownValue extends Error {
  override readonly name = 'ThrownValue';

  constructor(thrown: unknown, message: string) {
    super(message, { cause: thrown });
  }
}

/** What was thrown, as a GraphQL error, which is what hooks expect: of others only message and extensions are told. */
export function toGraphQLError(thrown: unknown): GraphQLError {
  if (isGraphQLError(thrown)) return thrown;
  const { message, extensions } = Object(thrown) as { readonly message?: unknown; readonly extensions?: unknown };
  const text = typeof message === 'string' ? message : messageOf(thrown);
  return new GraphQLError(text, {
    originalError: thrown instanceof Error ? thrown : new ThrownValue(thrown, text),
    extensions: isObject(extensions) ? extensions : undefined,
  });
}

/** An error as JSON, whoever made it: GraphQL's own know how, gateways pass plain objects on, others have a message. */
export function formatError(error: unknown): FormattedError {
  if (typeof (error as { toJSON?: unknown } | null | undefined)?.toJSON === 'function') {
    return (error as { toJSON(): FormattedError }).toJSON();
  }
  if (error instanceof Error) return { message: error.message };
  return isObject(error) && typeof error['message'] === 'string'
    ? (error as unknown as FormattedError)
    : { message: String(error) };
}

/** What is told instead of an error that strangers must not read. */
export const maskedMessage = 'Internal server error';

/** The error that the application threw, beneath those that GraphQL made of it on its way. */
function thrownIn(error: unknown): unknown {
  let inner = error;
  while (isGraphQLError(inner) && inner.originalError) inner = inner.originalError;
  return inner;
}

/** Was it written to be read by clients? That is what a GraphQLError is; plain objects were formatted by somebody. */
const isPublic = (error: unknown): boolean => {
  const thrown = thrownIn(error);
  return isGraphQLError(thrown) || (isObject(thrown) && !(thrown instanceof Error));
};

/** Where in the document and in the result an error happened: that is no secret. */
function placeOf(error: unknown): Pick<FormattedError, 'locations' | 'path'> {
  const { locations, path } = isGraphQLError(error) ? error.toJSON() : ({} as Partial<FormattedError>);
  return { ...(locations && { locations }), ...(path && { path }) };
}

const masked = (error: unknown): FormattedError => ({
  message: maskedMessage,
  ...placeOf(error),
  extensions: { code: 'INTERNAL_SERVER_ERROR' },
});

/** Every error as it is. */
export const unmasked: FormatError = (error) => formatError(error);

/**
 * Errors that are no GraphQLError are told as `Internal server error`, and reported ([GQL-46]). With a function, that one
 * decides.
 */
export function masking(mask: MaskError = (error) => (isPublic(error) ? error : undefined)): FormatError {
  return (error, reporter) => {
    let told: unknown;
    try {
      told = mask(error);
      if (told === error) return formatError(error);
    } catch (bug) {
      reporter.report(bug);
    }
    reporter.report(thrownIn(error));
    // A promise or a text is no error: nothing of what was thrown may get out by mistake.
    const usable = told instanceof Error || (isObject(told) && typeof told['message'] === 'string' && !isPromise(told));
    return usable ? { ...placeOf(error), ...formatError(told) } : masked(error);
  };
}

interface WithErrors {
  readonly errors?: readonly unknown[] | undefined;
}

/** A result, or a part of one, whose errors are ready for JSON. */
function withFormattedErrors<Part extends WithErrors>(part: Part, format: FormatError, reporter: Reporter): Part {
  return part.errors ? { ...part, errors: part.errors.map((error) => format(error, reporter)) } : part;
}

/** The parts that come late with `@defer` and `@stream`. */
const lateParts = ['incremental', 'completed'] as const;

/** A result whose errors are ready for JSON. Throws a `TypeError` if it is none. */
export function formatResult(result: ExecutionResult, format: FormatError, reporter: Reporter): ExecutionResult {
  if (!isObject(result as unknown)) throw new TypeError('A result must be an object such as { data }');
  let formatted = withFormattedErrors(result, format, reporter);
  for (const name of lateParts) {
    const parts = (result as Readonly<Record<string, unknown>>)[name];
    if (!Array.isArray(parts)) continue;
    formatted = { ...formatted, [name]: parts.map((part: WithErrors) => withFormattedErrors(part, format, reporter)) };
  }
  return formatted;
}

/** The encoder of whatever a result may hold. */
export const encoder =
  (replacer: JSONMessageReplacer | undefined, format: FormatError): Encode =>
  (result, reporter) =>
    encodePayload(formatResult(result, format, reporter), replacer);
