import { type DocumentNode, GraphQLError, type GraphQLSchema } from 'graphql';
import { utf8Length } from '../../core/wire.ts';
import type { FormattedError } from '../protocol/messages.ts';
import { formatError } from './errors.ts';

type DocumentError = GraphQLError | FormattedError;

/** What became of a text: its syntax tree, or the error of its syntax. */
export interface ParsedDocument {
  /** What was parsed. */
  readonly text: string;
  /** Undefined: it has no syntax tree. */
  readonly document: DocumentNode | undefined;
  /** Why it has none. */
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

/** What a cache of documents is made of. */
export interface DocumentCacheOptions {
  /** The longest text that is parsed, in bytes. */
  readonly maxDocument: number;
  /** Of all documents together, as {@link memoryOf} counts; one that is larger is not kept. */
  readonly maxBytes: number;
  /** Makes a syntax tree. Throws a GraphQLError. */
  readonly parse: (text: string) => DocumentNode;
  /** What is wrong with a document. */
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

/** So many refused documents are remembered for each schema, each with so many of its errors, of so many letters. */
const maxRefused = 1_000;
const maxErrors = 5;
const maxErrorLength = 300;

const withoutNodes = (error: DocumentError): FormattedError => {
  const { message, locations, extensions } = formatError(error);
  return {
    message: message.length > maxErrorLength ? `${message.slice(0, maxErrorLength)}…` : message,
    ...(locations && { locations }),
    ...(extensions && { extensions }),
  };
};

// Of this process alone: nobody can make a text that has the fingerprint of another.
const seeds: Uint32Array = /* @__PURE__ */ crypto.getRandomValues(new Uint32Array(4));

/** 128 bits of a text, and its length: a text of 32 KiB is not kept to be known again. */
function fingerprint(text: string): string {
  let [a = 0, b = 0, c = 0, d = 0] = seeds;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 0x9e3779b1) ^ (d >>> 15);
    b = Math.imul(b ^ code, 0x85ebca77) ^ (a >>> 13);
    c = Math.imul(c + code, 0xc2b2ae3d) ^ (b >>> 16);
    d = Math.imul(d + (code ^ c), 0x27d4eb2f) ^ (c >>> 14);
  }
  return `${text.length} ${a >>> 0} ${b >>> 0} ${c >>> 0} ${d >>> 0}`;
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
  readonly #unparsable = new Map<string, readonly FormattedError[]>();
  readonly #refused = new WeakMap<GraphQLSchema, Map<string, readonly FormattedError[]>>();
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

  /** Is this document kept? */
  has(text: string): boolean {
    return this.#documents.has(text);
  }

  /** What was wrong with it when it was refused before; undefined: nothing is known ([GQL-101]). */
  #refusedBefore(text: string, schema?: GraphQLSchema): readonly FormattedError[] | undefined {
    return (schema ? this.#refused.get(schema) : this.#unparsable)?.get(fingerprint(text));
  }

  #refuse(text: string, errors: readonly DocumentError[], schema?: GraphQLSchema): void {
    let known = schema ? this.#refused.get(schema) : this.#unparsable;
    if (!known) {
      known = new Map();
      if (schema) this.#refused.set(schema, known);
    }
    // Of the errors only what is told: each of them holds the whole document otherwise.
    known.set(fingerprint(text), errors.slice(0, maxErrors).map(withoutNodes));
    const [oldest] = known.keys();
    if (known.size > maxRefused && oldest !== undefined) known.delete(oldest);
  }

  #parse(text: string): ParsedDocument {
    const schemas = new WeakSet<GraphQLSchema>();
    const { maxDocument } = this.#options;
    if (text.length > maxDocument || utf8Length(text) > maxDocument) {
      const syntaxError = new GraphQLError(
        `A document may have ${maxDocument} bytes; this one has ${utf8Length(text)}`,
        {
          extensions: { code: 'DOCUMENT_TOO_LARGE' },
        },
      );
      return { text, document: undefined, syntaxError, schemas };
    }
    const [before] = this.#refusedBefore(text) ?? [];
    if (before) return { text, document: undefined, syntaxError: before, schemas };
    try {
      const document = this.#options.parse(text);
      if (!document) throw new TypeError('parse must return a document, or throw a GraphQLError');
      return { text, document, syntaxError: undefined, schemas };
    } catch (error) {
      const syntaxError = documentError(error);
      this.#refuse(text, [syntaxError]);
      return { text, document: undefined, syntaxError, schemas };
    }
  }

  /** What is wrong with a document; an empty list if nothing is: then it is kept. */
  errors(parsed: ParsedDocument, schema: GraphQLSchema): readonly DocumentError[] {
    const { text, document, syntaxError, schemas } = parsed;
    if (!document) return syntaxError ? [syntaxError] : [];
    if (schemas.has(schema)) return [];
    const errors = this.#refusedBefore(text, schema) ?? this.#validate(schema, document);
    if (errors.length > 0) {
      this.#refuse(text, errors, schema);
      return errors;
    }
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
