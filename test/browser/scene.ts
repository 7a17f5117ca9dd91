import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Browser } from 'playwright-core';
import type { AttachOptions } from '../../src/adapters/attach.ts';
import { type HttpEndpoint, httpEndpoint } from '../support/http-endpoint.ts';
import { bundlePeers, servePeers, type WatchedPage, watchedPage } from './browser-page.ts';

/** A server that Chromium has opened a page of, and what can happen to their connection. */
export interface Scene extends WatchedPage {
  readonly served: HttpEndpoint;
  /** Of the endpoint. */
  readonly url: string;
  /** All TCP connections of the server, as they are now. */
  readonly sockets: ReadonlySet<Socket>;
  /** Drop all of them; resolves when a client comes back. */
  cut(): Promise<void>;
  close(): Promise<void>;
}

let script: Promise<Uint8Array> | undefined;

export async function openScene(browser: Browser, options: AttachOptions): Promise<Scene> {
  script ??= bundlePeers();
  const served = await httpEndpoint(options);
  const { server, port } = served;
  servePeers(server, await script);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const watched = await watchedPage(browser, `http://127.0.0.1:${port}/`);
  return {
    ...watched,
    served,
    sockets,
    url: `ws://127.0.0.1:${port}/ws`,
    async cut() {
      const again = once(server, 'upgrade');
      for (const socket of sockets) socket.destroy();
      await again;
    },
    async close() {
      await watched.page.context().close();
      await served.stop();
    },
  };
}
