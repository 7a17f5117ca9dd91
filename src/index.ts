export { type AttachOptions, attach } from './adapters/attach.ts';
export type { OriginRule } from './adapters/origin.ts';
export type { DeflateOptions, HttpServer, UpgradeRequest } from './adapters/server-types.ts';
export * from './browser.ts';
export type { BudgetStats } from './core/budget.ts';
export type { DrainOptions, Endpoint, EndpointOptions, EndpointStats } from './core/endpoint.ts';
export { Refusal, type RefuseOptions, refuse } from './core/refuse.ts';
