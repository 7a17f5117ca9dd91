import { isPromise } from '../core/promise-or.ts';

/**
 * As much of Standard Schema (version 1) as is used: zod, valibot, arktype and their kin have it.
 *
 * @example
 * const price: StandardSchema<{ price: number }> = z.object({ price: z.number() });
 */
export interface StandardSchema<Output = unknown> {
  /** What the specification calls the properties of a schema. */
  readonly '~standard': {
    /** Of the specification. */
    readonly version: 1;
    /** Whose schema it is. */
    readonly vendor: string;
    /** The value as it shall be, or what is wrong with it. */
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    /** Never there when the program runs: what the schema takes and gives. */
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** What a schema says of a value. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One thing that is wrong. */
export interface StandardIssue {
  /** In words. */
  readonly message: string;
  /** Where: names, or objects that have them as `key`. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** So much of what a schema says is repeated: a value of a stranger may be wrong in thousands of places. */
const maxIssues = 5;

/** Is this a schema? */
export const isStandardSchema = (given: unknown): given is StandardSchema =>
  typeof (given as Partial<StandardSchema> | null | undefined)?.['~standard']?.validate === 'function';

/**
 * The value as the schema gives it. Throws a `TypeError` that says what is wrong, and where; so it does of a schema that
 * answers by a promise, since messages are decoded in their order.
 *
 * @example
 * validated(z.number(), 'x', 'prices'); // throws: prices: Expected number, received string
 */
export function validated<Output>(schema: StandardSchema<Output>, value: unknown, owner: string): Output {
  const result = schema['~standard'].validate(value);
  if (isPromise(result)) {
    result.catch(() => {});
    throw new TypeError(`${owner}: its schema answers by a promise; schemas of topics must answer at once`);
  }
  if (!result.issues) return result.value;
  const said = result.issues.slice(0, maxIssues).map(inWords);
  const more = result.issues.length - said.length;
  throw new TypeError(`${owner}: ${said.join('; ')}${more > 0 ? `; and ${more} more` : ''}`);
}

function inWords({ message, path = [] }: StandardIssue): string {
  const place = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return place === '' ? message : `${place}: ${message}`;
}
