import { createServer, type IncomingMessage } from 'node:http';
import { createSecureServer, type Http2SecureServer, type Http2Server } from 'node:http2';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
import { type AttachOptions, attach, type Endpoint, type UpgradeRequest } from 'subwire';
import { listenTcp, tcp } from 'subwire/adapters/tcp';
import type { PerMessageDeflateOptions } from 'ws';

declare const options: AttachOptions;
declare const deflate: PerMessageDeflateOptions;
declare const tls: ConnectionOptions & TlsOptions;
/** What Hono's `serve()` returns. */
declare const either: ReturnType<typeof createServer> | HttpsServer | Http2Server | Http2SecureServer;

export const endpoints: Endpoint[] = [
  attach(createServer(), options),
  attach(createHttpsServer(), { ...options, deflate }),
  attach(createSecureServer({ allowHTTP1: true }), options),
  attach(either, options),
];
export const request = (message: IncomingMessage): UpgradeRequest => message;
export const streams = [tcp({ port: 1, tls }), listenTcp({ port: 0, protocols: options.protocols, tls })];
