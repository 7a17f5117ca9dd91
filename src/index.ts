export { type AttachOptions, attach } from './adapters/attach.ts';
export type { OriginRule } from './adapters/origin.ts';
export type {
  DeflateOptions,
  HttpServer,
  TrustedProxies,
  TrustProxy,
  UpgradeAnswer,
  UpgradeHook,
  UpgradeRequest,
} from './adapters/server-types.ts';
export * from './browser.ts';
export { presence } from './bus/presence.ts';
export type {
  EndpointPresenceHooks,
  Presence,
  PresenceChange,
  PresenceEvents,
  PresenceOptions,
  PresenceStats,
  Present,
  PresentClient,
  StompPresenceHooks,
  StompSubscriptionEvent,
  Tracked,
} from './bus/presence-types.ts';
export type { BudgetStats } from './core/budget.ts';
export type { CallerLimits } from './core/caller-limits.ts';
export type { ConnectionMatch, Endpoint } from './core/endpoint.ts';
export type { DrainOptions, EndpointOptions, EndpointStats } from './core/endpoint-options.ts';
export type { ConnectionEnd, OpenConnection } from './core/open-connection.ts';
export { Refusal, type RefuseOptions, refuse } from './core/refuse.ts';
export type { OnError } from './core/reports.ts';
