import type { Server } from 'node:http';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { root } from '../support/project-files.ts';
import type * as peers from './peers.ts';

declare global {
  interface Window {
    readonly peers: typeof peers;
  }
}

/** The script of the page, made as a bundler of a user makes it: from the built package, for browsers. */
export async function bundlePeers(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [join(root, 'test/browser/peers.ts')],
    bundle: true,
    format: 'iife',
    globalName: 'peers',
    target: 'es2022',
    platform: 'browser',
    conditions: ['browser'],
    define: { 'globalThis.__DEV__': 'false', 'process.env.NODE_ENV': '"production"' },
    write: false,
    logLevel: 'silent',
    // Not the paths of our own tsconfig: those lead to the source.
    tsconfigRaw: '{}',
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}

/** Let a server of a test serve a page with that script beside its endpoint. */
export function servePeers(server: Server, script: Uint8Array): void {
  server.on('request', ({ url }, response) => {
    if (url === '/peers.js') response.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
    else if (url === '/') response.writeHead(200, { 'content-type': 'text/html' }).end(html);
    else response.writeHead(404).end();
  });
}

const html = '<!doctype html><title>peers</title><link rel="icon" href="data:,"><script src="/peers.js"></script>';

/** A page, and what it complained of: errors that nobody caught and what was written to the console as one. */
export interface WatchedPage {
  readonly page: Page;
  readonly complaints: string[];
}

/** A new page in a profile of its own. */
export async function watchedPage(
  browser: Browser,
  url: string,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  await page.goto(url);
  return { page, complaints };
}
