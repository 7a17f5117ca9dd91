import { type DocumentNode, GraphQLError, type GraphQLSchema } from 'graphql';
import type { FormattedError } from '../protocol/messages.ts';

type DocumentError = GraphQLError | FormattedError;

/** What became of a text: its syntax tree, or the error of its syntax. */
export interface ParsedDocument {
  readonly text: string;
  readonly document: DocumentNode | undefined;
  readonly syntaxError: DocumentError | undefined;
  /** Those that accept it. A schema that is gone takes its verdict along. */
  readonly schemas: WeakSet<GraphQLSchema>;
}

interface KeptDocument {
  readonly parsed: ParsedDocument;
  readonly bytes: number;
  /** Asked for again since it was last passed over. */
  used: boolean;
}

export interface DocumentCacheOptions {
  /** Of all documents together, as {@link memoryOf} counts; one that is larger is not kept. */
  readonly maxBytes: number;
  readonly parse: (text: string) => DocumentNode;
  readonly validate: (schema: GraphQLSchema, document: DocumentNode) => readonly GraphQLError[];
}

/**
 * A field of one letter takes this much: its node and its name, where both begin and end, and its token. Others take
 * half of it. A comment is a token as well, and lives as long as its neighbours.
 */
const bytesPerToken = 512;
/** Of the text, and of the values of strings in it. */
const bytesPerLetter = 4;

/** How many bytes a document takes, its text included: rather too many than too few. */
export function memoryOf(text: string, document: DocumentNode): number {
  let tokens = 0;
  for (let token = document.loc?.startToken; token; token = token.next ?? undefined) tokens++;
  // A parser may leave the tokens out: there cannot be more than letters.
  return (tokens || text.length) * bytesPerToken + text.length * bytesPerLetter;
}

/**
 * Documents by text, those dropped first that nobody asked for again: each is parsed once, and validated once per schema.
 * Only those that a schema accepts are kept: whoever sends nonsense would fill it with errors, a hundred for a text.
 *
 * @example
 * const cache = new DocumentCache({ maxBytes: 33_554_432, parse, validate });
 * const parsed = cache.parse('{ hello }');
 * const errors = cache.errors(parsed, schema);
 */
export class DocumentCache {
  readonly #options: DocumentCacheOptions;
  readonly #documents = new Map<string, KeptDocument>();
  #bytes = 0;

  constructor(options: DocumentCacheOptions) {
    this.#options = options;
  }

  /** A syntax error is part of the outcome; anything else that the parser throws is thrown. */
  parse(text: string): ParsedDocument {
    const kept = this.#documents.get(text);
    if (!kept) return this.#parse(text);
    kept.used = true;
    return kept.parsed;
  }

  /** The same text; of one that is kept, the copy that is here, so that its next thousand senders cost no memory. */
  known(text: string): string {
    return this.#documents.get(text)?.parsed.text ?? text;
  }

  #parse(text: string): ParsedDocument {
    const schemas = new WeakSet<GraphQLSchema>();
    try {
      const document = this.#options.parse(text);
      if (!document) throw new TypeError('parse must return a document, or throw a GraphQLError');
      return { text, document, syntaxError: undefined, schemas };
    } catch (error) {
      return { text, document: undefined, syntaxError: documentError(error), schemas };
    }
  }

  /** What is wrong with a document; an empty list if nothing is: then it is kept. */
  errors(parsed: ParsedDocument, schema: GraphQLSchema): readonly DocumentError[] {
    const { text, document, syntaxError, schemas } = parsed;
    if (!document) return syntaxError ? [syntaxError] : [];
    if (schemas.has(schema)) return [];
    const errors = this.#validate(schema, document);
    if (errors.length > 0) return errors;
    schemas.add(schema);
    // Whoever sent the same text may have been validated in the meantime.
    if (!this.#documents.has(text)) this.#keep(parsed, memoryOf(text, document));
    return errors;
  }

  #validate(schema: GraphQLSchema, document: DocumentNode): readonly DocumentError[] {
    try {
      return this.#options.validate(schema, document);
    } catch (error) {
      return [documentError(error)];
    }
  }

  #keep(parsed: ParsedDocument, bytes: number): void {
    const { maxBytes } = this.#options;
    if (bytes > maxBytes) return;
    this.#documents.set(parsed.text, { parsed, bytes, used: false });
    this.#bytes += bytes;
    for (const [text, kept] of this.#documents) {
      if (this.#bytes <= maxBytes) return;
      this.#documents.delete(text);
      if (kept.used) {
        // A second chance, at the end of the order; a use costs no more than a mark.
        kept.used = false;
        this.#documents.set(text, kept);
      } else this.#bytes -= kept.bytes;
    }
  }
}

/** What was thrown, if it is the document's fault; otherwise it is thrown again. */
function documentError(error: unknown): DocumentError {
  // Parsers and rules call themselves: a document may be short and yet too deep for the stack.
  if (error instanceof RangeError) return new GraphQLError('The document is nested too deeply');
  // By name, since there may be two copies of the package in a process.
  if (error instanceof Error && error.name === 'GraphQLError') return error as GraphQLError;
  throw error;
}
