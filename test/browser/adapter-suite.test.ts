import { afterAll, beforeAll, test } from 'vitest';
import { adapterSuite, type ClientEnd, type SuiteClient } from '../adapters/suite.ts';
import { httpEndpoint } from '../support/http-endpoint.ts';
import { Mailbox } from '../support/mailbox.ts';
import { type Chromium, startChromium } from '../support/programs/chromium.ts';
import { requireProgram } from '../support/programs/program.ts';
import { bundlePeers, servePeers, type WatchedPage, watchedPage } from './browser-page.ts';
import type { Parcel, Told } from './suite-page.ts';

const browserTest = requireProgram('chromium', test);
let chromium: Chromium;
let watched: WatchedPage | undefined;
const lines: ((told: Told) => void)[] = [];

beforeAll(async () => {
  if (browserTest === test) chromium = await startChromium();
});
afterAll(() => chromium?.stop());

/** One page for all connections; it tells what happens on each. */
async function pageOf(port: number): Promise<WatchedPage['page']> {
  if (!watched) {
    watched = await watchedPage(chromium.browser, `http://127.0.0.1:${port}/`);
    await watched.page.exposeFunction('tellLine', (id: number, all: readonly Told[]) => {
      for (const told of all) lines[id]?.(told);
    });
  }
  return watched.page;
}

const pack = (message: string | Uint8Array): Parcel =>
  typeof message === 'string' ? { text: message } : { base64: Buffer.from(message).toString('base64') };

/** Our client in Chromium, seen from here. A page cannot drop a connection, nor stop reading. */
async function inChromium({ port }: { readonly port: number }): Promise<SuiteClient> {
  const page = await pageOf(port);
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
    { id, url: `ws://127.0.0.1:${port}/ws` },
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
          await watched?.page.context().close();
          await stop();
        },
      };
    },
    clients: { 'our client in Chromium': inChromium },
  });
} else {
  browserTest('the suite of all adapters runs in Chromium', () => {});
}
