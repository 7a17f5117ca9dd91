import { type DocumentNode, GraphQLError, type GraphQLSchema } from 'graphql';
import type { FormattedError } from './codec.ts';

type DocumentError = GraphQLError | FormattedError;

/** What became of a text: its syntax tree, or the error of its syntax, and what each schema says of it. */
export interface ParsedDocument {
  readonly text: string;
  readonly document: DocumentNode | undefined;
  readonly syntaxError: DocumentError | undefined;
  /** A schema that is gone takes its verdict along. */
  readonly verdicts: WeakMap<GraphQLSchema, readonly DocumentError[]>;
  /** Asked for again since it was last passed over. */
  used: boolean;
}

export interface DocumentCacheOptions {
  /** Of all texts together; one that is longer is not kept. */
  readonly maxLength: number;
  readonly parse: (text: string) => DocumentNode;
  readonly validate: (schema: GraphQLSchema, document: DocumentNode) => readonly GraphQLError[];
}

/**
 * Documents by text, those dropped first that nobody asked for again: each is parsed once, and validated once per schema.
 *
 * @example
 * const cache = new DocumentCache({ maxLength: 1_048_576, parse, validate });
 * const { document } = cache.parse('{ hello }');
 */
export class DocumentCache {
  readonly #options: DocumentCacheOptions;
  readonly #documents = new Map<string, ParsedDocument>();
  #length = 0;

  constructor(options: DocumentCacheOptions) {
    this.#options = options;
  }

  /** A syntax error is part of the outcome; anything else that the parser throws is thrown. */
  parse(text: string): ParsedDocument {
    const known = this.#documents.get(text);
    if (known) {
      known.used = true;
      return known;
    }
    const parsed = this.#parse(text);
    const { maxLength } = this.#options;
    if (text.length > maxLength) return parsed;
    this.#documents.set(text, parsed);
    this.#length += text.length;
    this.#shrink(maxLength);
    return parsed;
  }

  /** The same text; of one that is kept, the copy that is here, so that its next thousand senders cost no memory. */
  known(text: string): string {
    return this.#documents.get(text)?.text ?? text;
  }

  #shrink(maxLength: number): void {
    for (const [text, document] of this.#documents) {
      if (this.#length <= maxLength) return;
      this.#documents.delete(text);
      if (document.used) {
        // A second chance, at the end of the order; a use costs no more than a mark.
        document.used = false;
        this.#documents.set(text, document);
      } else this.#length -= text.length;
    }
  }

  #parse(text: string): ParsedDocument {
    const verdicts = new WeakMap<GraphQLSchema, readonly DocumentError[]>();
    try {
      const document = this.#options.parse(text);
      if (!document) throw new TypeError('parse must return a document, or throw a GraphQLError');
      return { text, document, syntaxError: undefined, verdicts, used: false };
    } catch (error) {
      return { text, document: undefined, syntaxError: documentError(error), verdicts, used: false };
    }
  }

  #validate(schema: GraphQLSchema, document: DocumentNode): readonly DocumentError[] {
    try {
      return this.#options.validate(schema, document);
    } catch (error) {
      return [documentError(error)];
    }
  }

  /** What is wrong with a document; an empty list if nothing is. */
  errors({ document, syntaxError, verdicts }: ParsedDocument, schema: GraphQLSchema): readonly DocumentError[] {
    if (!document) return syntaxError ? [syntaxError] : [];
    let verdict = verdicts.get(schema);
    if (!verdict) {
      verdict = this.#validate(schema, document);
      verdicts.set(schema, verdict);
    }
    return verdict;
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
