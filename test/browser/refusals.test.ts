import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attach } from '../../src/adapters/attach.ts';
import { listen, stop } from '../support/http-endpoint.ts';
import { type Chromium, startChromium } from '../support/programs/chromium.ts';
import { requireProgram } from '../support/programs/program.ts';
import { echo } from '../support/scripted-session.ts';

const browserTest = requireProgram('chromium', test);
let chromium: Chromium;

beforeAll(async () => {
  if (browserTest === test) chromium = await startChromium();
});
afterAll(() => chromium?.stop());

const graphql = () => echo(['graphql-transport-ws'], { advice: { 'graphql-ws': 'Use graphql-transport-ws' } });
const stomp = () => echo(['v12.stomp'], { acceptsUnnamed: true });

browserTest('[CONN-3] [CONN-4] [CONN-5] Chromium can read 4406 and the advice, whatever it offered', async () => {
  const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<p>'));
  attach(server, { path: '/graphql', protocols: [graphql()], onError: () => {} });
  attach(server, { path: '/stomp', protocols: [stomp()], onError: () => {} });
  const port = await listen(server);
  const page = await chromium.browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  const closeOf = (path: string, offered: string[]): Promise<unknown> =>
    page.evaluate(
      ([url, tokens]) =>
        new Promise((resolve) => {
          const socket = new WebSocket(url, tokens);
          socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
        }),
      [`ws://127.0.0.1:${port}${path}`, offered] as const,
    );
  const graphqlOnly = 'Subprotocol not acceptable. Spoken here: graphql-transport-ws';
  const stompOnly = 'Subprotocol not acceptable. Spoken here: v12.stomp';
  for (const [path, offered, reason] of [
    ['/graphql', ['graphql-ws'], 'Use graphql-transport-ws'],
    ['/graphql', ['something-else', 'mqtt'], graphqlOnly],
    ['/graphql', [], graphqlOnly],
    ['/stomp', ['graphql-transport-ws'], stompOnly],
  ] as [string, string[], string][]) {
    expect([path, offered, await closeOf(path, offered)]).toEqual([
      path,
      offered,
      { code: 4406, reason, wasClean: true },
    ]);
  }
  await page.close();
  await stop(server);
});
