export type { PromiseOr } from '../core/outcome.ts';
export type { SlowSubscriber } from '../core/slow-subscriber.ts';
export type {
  FormattedError,
  FormattedExecutionResult,
  JSONMessageReplacer,
  JSONMessageReviver,
  SubscribePayload,
} from './codec.ts';
export type { Compile, CompiledDocument } from './compile.ts';
export type { OperationKind, OperationResult } from './execute.ts';
export { type GraphqlLimits, graphqlLimits } from './limits.ts';
export type { ConnectionParams, Context, GraphqlOptions, OperationArgs } from './options.ts';
export { graphql } from './server.ts';
export type { ShareKey } from './share.ts';
