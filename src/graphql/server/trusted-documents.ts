import { GraphQLError } from 'graphql';
import type { PromiseOr } from '../../core/promise-or.ts';
import { isObject, type SubscribePayload } from '../protocol/messages.ts';

/**
 * The documents that may be executed, by hash or by whatever clients call them: a Map, an object, or a function that looks
 * one up. What is `undefined` is refused.
 */
export type TrustedDocuments<Context> =
  | ReadonlyMap<string, string>
  | Readonly<Record<string, string>>
  | ((hash: string, context: Context, payload: SubscribePayload) => PromiseOr<string | null | undefined>);

/** Where clients put the hash: Apollo, the GraphQL-over-HTTP draft, Relay. */
export function hashOf(payload: SubscribePayload): string | undefined {
  const { extensions } = payload;
  const persisted = extensions?.['persistedQuery'];
  const { documentId, id } = payload as unknown as Readonly<Record<string, unknown>>;
  const named = [
    isObject(persisted) ? persisted['sha256Hash'] : undefined,
    documentId,
    extensions?.['documentId'],
    extensions?.['hash'],
    id,
  ];
  return named.find((hash): hash is string => typeof hash === 'string' && hash !== '');
}

/** The text behind a hash; undefined, or a promise of it: there is none. */
export function trustedText<Context>(
  documents: TrustedDocuments<Context>,
  context: Context,
  payload: SubscribePayload,
): PromiseOr<string | null | undefined> {
  const hash = hashOf(payload);
  if (hash === undefined) return undefined;
  if (typeof documents === 'function') return documents(hash, context, payload);
  if (documents instanceof Map) return documents.get(hash) as string | undefined;
  return Object.hasOwn(documents, hash) ? (documents as Readonly<Record<string, string>>)[hash] : undefined;
}

/** What is told to who sent a document that is not trusted. */
export const untrusted = (payload: SubscribePayload): GraphQLError =>
  hashOf(payload) === undefined
    ? new GraphQLError('Only trusted documents are executed here: send the hash of one', {
        extensions: { code: 'PERSISTED_QUERY_REQUIRED' },
      })
    : new GraphQLError('There is no trusted document with this hash', {
        extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' },
      });
