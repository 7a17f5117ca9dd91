export { type AttachOptions, attach } from './adapters/attach.ts';
export type { OriginRule } from './adapters/origin.ts';
export * from './browser.ts';
export type { DrainOptions, Endpoint, EndpointOptions, EndpointStats } from './core/endpoint.ts';
