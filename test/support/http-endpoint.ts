import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type AttachOptions, attach } from '../../src/adapters/attach.ts';
import type { Endpoint } from '../../src/core/endpoint.ts';
import { certificate } from './certificate.ts';

export interface HttpEndpoint {
  readonly server: Server;
  readonly endpoint: Endpoint;
  readonly port: number;
  stop(): Promise<void>;
}

/** Listen on a free port of this machine. */
export const listen = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });

/** Stop listening and wait until it has; open connections of the server are dropped. */
export const stop = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

/** An http or https server with one endpoint on it. */
export async function httpEndpoint(options: AttachOptions, secure = false): Promise<HttpEndpoint> {
  const server = secure ? createSecureServer(await certificate()) : createServer();
  const endpoint = attach(server, options);
  const port = await listen(server);
  return {
    server,
    endpoint,
    port,
    async stop() {
      await endpoint.drain({ deadline: 0 });
      await stop(server);
    },
  };
}
