import type { IncomingMessage } from 'node:http';
import { createSecureServer } from 'node:http2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attach } from '../../src/adapters/attach.ts';
import type { UpgradeRequest } from '../../src/adapters/server-types.ts';
import { adapterSuite, type ClientEnd, type SuiteClient } from '../adapters/suite.ts';
import { certificate } from '../support/certificate.ts';
import { httpEndpoint, listen } from '../support/http-endpoint.ts';
import { Mailbox } from '../support/mailbox.ts';
import { type Chromium, startChromium } from '../support/programs/chromium.ts';
import { requireProgram } from '../support/programs/program.ts';
import { bundlePeers, servePeers, type WatchedPage, watchedPage } from './browser-page.ts';
import type { Parcel, Told } from './suite-page.ts';

const browserTest = requireProgram('chromium', test);
let chromium: Chromium;
const watched = new Map<string, WatchedPage>();
const lines: ((told: Told) => void)[] = [];

beforeAll(async () => {
  if (browserTest === test) chromium = await startChromium();
});
afterAll(() => chromium?.stop());

/** One page of an origin for all connections; it tells what happens on each. */
async function pageOf(origin: string): Promise<WatchedPage['page']> {
  const known = watched.get(origin);
  if (known) return known.page;
  const opened = await watchedPage(chromium.browser, `${origin}/`);
  watched.set(origin, opened);
  await opened.page.exposeFunction('tellLine', (id: number, all: readonly Told[]) => {
    for (const told of all) lines[id]?.(told);
  });
  return opened.page;
}

const pack = (message: string | Uint8Array): Parcel =>
  typeof message === 'string' ? { text: message } : { base64: Buffer.from(message).toString('base64') };

/** Our client in Chromium, seen from here. A page cannot drop a connection, nor stop reading. */
const inChromium =
  (scheme: 'http' | 'https') =>
  async ({ port }: { readonly port: number }): Promise<SuiteClient> => {
    const origin = `${scheme}://127.0.0.1:${port}`;
    const page = await pageOf(origin);
    const id = lines.length;
    const inbox = new Mailbox<string | Uint8Array>();
    let parcels: Parcel[] = [];
    let finished: (end: ClientEnd) => void = () => {};
    const ended = new Promise<ClientEnd>((resolve) => {
      finished = resolve;
    });
    const opened = new Promise<void>((resolve) => {
      lines.push((told) => {
        if (told.kind === 'open') resolve();
        else if (told.kind === 'end') finished({ code: told.code, reason: told.reason });
        else inbox.put('text' in told.parcel ? told.parcel.text : Buffer.from(told.parcel.base64, 'base64'));
      });
    });
    await page.evaluate(
      ({ id, url }) => {
        const { tellLine } = window as unknown as { tellLine: (id: number, told: readonly Told[]) => void };
        window.peers.openLine(id, url, tellLine);
      },
      { id, url: `${origin.replace('http', 'ws')}/ws` },
    );
    await opened;

    /** All of one turn crosses to the page at once; what was sent before a close goes before it. */
    function flush(): Promise<void> {
      const all = parcels;
      parcels = [];
      return page.evaluate(({ id, all }) => window.peers.sendOnLine(id, all), { id, all });
    }
    return {
      send(message) {
        if (parcels.push(pack(message)) === 1) queueMicrotask(flush);
      },
      receive: () => inbox.next(),
      close(code, reason) {
        if (parcels.length > 0) void flush();
        void page.evaluate(({ id, code, reason }) => window.peers.closeLine(id, code, reason), { id, code, reason });
      },
      ended,
    };
  };

async function closePages(): Promise<void> {
  for (const [origin, { page }] of watched) {
    watched.delete(origin);
    await page.context().close();
  }
}

if (browserTest === test) {
  adapterSuite('browser', {
    framed: true,
    async serve(options) {
      const { server, port, endpoint, stop } = await httpEndpoint(options);
      servePeers(server, await bundlePeers());
      return {
        port,
        stats: endpoint.stats,
        async stop() {
          await closePages();
          await stop();
        },
      };
    },
    clients: { 'our client in Chromium': inChromium('http') },
  });

  adapterSuite('[CONN-90] browser over HTTP/2', {
    framed: true,
    async serve(options) {
      const server = createSecureServer({ ...(await certificate()), allowHTTP1: true });
      const versions = new Set<string>();
      const upgrade = (request: UpgradeRequest): void => void versions.add((request as IncomingMessage).httpVersion);
      const endpoint = attach(server, { ...options, upgrade });
      servePeers(server as never, await bundlePeers());
      const port = await listen(server as never);
      return {
        port,
        stats: endpoint.stats,
        async stop() {
          await closePages();
          await endpoint.drain({ deadline: 0 });
          await new Promise((resolve) => server.close(resolve));
          expect(versions).toEqual(new Set(['2.0']));
        },
      };
    },
    clients: { 'our client in Chromium': inChromium('https') },
  });
} else {
  browserTest('the suite of all adapters runs in Chromium', () => {});
}
