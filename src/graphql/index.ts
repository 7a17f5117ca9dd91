export type { PromiseOr } from '../core/promise-or.ts';
export type { SlowSubscriber } from '../core/slow-subscriber.ts';
export type { Compile, CompiledDocument } from './execution/compile.ts';
export type { MaskError } from './execution/errors.ts';
export type { OperationKind, OperationResult } from './execution/execute.ts';
export type { ShareKey } from './execution/shared-results.ts';
export type {
  FormattedError,
  FormattedExecutionResult,
  JSONMessageReplacer,
  JSONMessageReviver,
  SubscribePayload,
} from './protocol/messages.ts';
export { type FieldOptions, type FieldResolvers, field } from './server/field.ts';
export { type GraphqlServer, graphqlServer } from './server/graphql-server.ts';
export { type GraphqlLimits, graphqlLimits } from './server/limits.ts';
export type { ConnectionParams, GraphqlContext, GraphqlOptions, OperationArgs } from './server/options.ts';
export type { GraphqlStats } from './server/stats.ts';
export type { TrustedDocuments } from './server/trusted-documents.ts';
