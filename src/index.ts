export { type AttachOptions, attach } from './adapters/node.ts';
export type { OriginRule } from './adapters/origin.ts';
export * from './browser.ts';
export type { DrainOptions, Endpoint, EndpointOptions, EndpointStats } from './core/endpoint.ts';
