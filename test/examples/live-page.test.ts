import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createStompClient } from '../../src/stomp/client/client.ts';
import { type WatchedPage, watchedPage } from '../browser/browser-page.ts';
import { type Chromium, startChromium } from '../support/programs/chromium.ts';
import {
  freePort,
  privateDirectory,
  type RunningProgram,
  requireProgram,
  startProgram,
} from '../support/programs/program.ts';
import { exampleCommand } from './example.ts';

const browserTest = requireProgram('chromium', test);
let chromium: Chromium;
let server: RunningProgram;
let port: number;
let url: string;
let watched: WatchedPage;

async function startPage(): Promise<void> {
  server = await startProgram({
    name: 'the live page',
    directory: await privateDirectory('live-page'),
    command: exampleCommand('live-page/server'),
    env: { PORT: String(port) },
    port,
    within: 30_000,
  });
}

async function open(width: number, options: Parameters<typeof watchedPage>[2] = {}): Promise<Page> {
  watched = await watchedPage(chromium.browser, url, { viewport: { width, height: 900 }, ...options });
  const { page } = watched;
  for (const side of ['stomp', 'graphql'] as const) await state(page, side, 'connected');
  return page;
}

const stateOf = (page: Page, side: string): Locator => page.locator(`#${side} .state`);
const state = async (page: Page, side: string, wanted: string): Promise<void> =>
  void (await vi.waitFor(async () => expect(await stateOf(page, side).textContent()).toBe(wanted), {
    timeout: 15_000,
  }));
const fact = (page: Page, side: string, name: string): Promise<string | null> =>
  page.locator(`#${side} .${name}`).textContent();
const notes = (page: Page, side: string): Promise<string[]> => page.locator(`#${side} .notes li`).allTextContents();

async function send(page: Page, side: string, text: string): Promise<void> {
  await page.locator(`#${side} input`).fill(text);
  await page.locator(`#${side} form button`).click();
}
async function shown(page: Page, ...wanted: string[]): Promise<void> {
  for (const side of ['stomp', 'graphql']) {
    await vi.waitFor(async () => expect(await notes(page, side)).toEqual(wanted), { timeout: 10_000 });
  }
}

beforeAll(async () => {
  if (browserTest !== test) return;
  port = await freePort();
  url = `http://127.0.0.1:${port}/`;
  [chromium] = await Promise.all([startChromium(), startPage()]);
});
afterEach(() => watched?.page.context().close());
afterAll(async () => {
  await chromium?.stop();
  await server?.stop();
});

// SCREENSHOTS=/tmp npx vitest run test/examples/live-page.test.ts leaves pictures there.
describe('the live page', () => {
  browserTest('a SEND and a mutation both show on both sides, which say how they are connected', async () => {
    const page = await open(1_440);
    expect(await fact(page, 'stomp', 'subprotocol')).toBe('v12.stomp');
    expect(await fact(page, 'graphql', 'subprotocol')).toBe('graphql-transport-ws');
    await send(page, 'stomp', 'from the left');
    await shown(page, 'STOMPfrom the left');
    await send(page, 'graphql', 'from the right: é 漢字 😀 <b>&amp;');
    await shown(page, 'STOMPfrom the left', 'GraphQLfrom the right: é 漢字 😀 <b>&amp;');
    for (const side of ['stomp', 'graphql']) {
      await vi.waitFor(async () => expect(await fact(page, side, 'latency')).toMatch(/^\d+(\.\d)? ms$/), 10_000);
      expect(await fact(page, side, 'reconnects')).toBe('0');
    }
    expect(watched.complaints).toEqual([]);
  });

  browserTest(
    'the round trip of both sides is there at once, and between them the frames and who is connected',
    async () => {
      const page = await open(1_440);
      const measured = async (side: string): Promise<void> =>
        expect(await fact(page, side, 'latency')).toMatch(/^\d+(\.\d)? ms$/);
      await vi.waitFor(() => Promise.all(['stomp', 'graphql'].map(measured)), 1_500);
      await send(page, 'stomp', 'across');
      await shown(page, 'STOMPacross');
      const frames = await page.locator('.frames li code').allTextContents();
      expect(frames.some((frame) => frame.startsWith('SEND⏎'))).toBe(true);
      expect(frames.some((frame) => frame.includes('"type":"next"'))).toBe(true);
      expect(frames.some((frame) => frame.startsWith('MESSAGE⏎'))).toBe(true);
      const clients = (): Promise<string | null> => page.locator('.clients').textContent();
      await vi.waitFor(async () => expect(await clients()).toMatch(/1 v12\.stomp/));
      expect(await clients()).toMatch(/1 graphql-transport-ws/);
    },
  );

  browserTest('a phone shows both sides at once', async () => {
    const page = await open(360);
    await page.setViewportSize({ width: 360, height: 740 });
    const box = await page.locator('#graphql .notes').boundingBox();
    expect((box?.y ?? 740) + (box?.height ?? 0)).toBeLessThan(740);
  });

  browserTest(
    'without a server: why, when, and what waits is sent once, when it is back',
    { timeout: 60_000 },
    async () => {
      const page = await open(1_440);
      await server.kill();
      for (const side of ['stomp', 'graphql']) {
        await vi.waitFor(async () => expect(await fact(page, side, 'why')).toContain('1006'), 10_000);
        await send(page, side, `later, by ${side}`);
        await vi.waitFor(async () =>
          expect((await notes(page, side)).at(-1)).toBe(`waits for the connectionlater, by ${side}`),
        );
      }
      await startPage();
      // Whoever comes back later may have missed what the other has sent already.
      for (const [side, name] of [
        ['stomp', 'STOMP'],
        ['graphql', 'GraphQL'],
      ] as const) {
        const own = async (): Promise<string[]> =>
          (await notes(page, side)).filter((note) => note.includes(`by ${side}`));
        await vi.waitFor(async () => expect(await own()).toEqual([`${name}later, by ${side}`]), 15_000);
        expect(await fact(page, side, 'why')).toBe('');
      }
    },
  );

  browserTest('a client of somebody else shows as well', async () => {
    const page = await open(1_440);
    const client = createStompClient({ brokerURL: `ws://127.0.0.1:${port}/ws`, webSocketImpl: WebSocket });
    const body = JSON.stringify({ from: 'a sensor', text: '21 °C' });
    await client.publish({ destination: '/topic/notes', body, receipt: true });
    await shown(page, 'a sensor21 °C');
    await client.publish({ destination: '/topic/notes', body: 'just text', receipt: true });
    await send(page, 'graphql', 'still here');
    await vi.waitFor(async () => expect(await notes(page, 'stomp')).toContain('GraphQLstill here'));
    expect(await notes(page, 'stomp')).toEqual(['a sensor21 °C', 'not a notejust text', 'GraphQLstill here']);
    await vi.waitFor(async () => expect(await notes(page, 'graphql')).toEqual(['a sensor21 °C', 'GraphQLstill here']));
    expect(watched.complaints).toEqual([]);
    await client.disconnect();
  });

  browserTest.each(['stomp', 'graphql'])(
    '%s: a dropped connection comes back, and messages flow again',
    async (side) => {
      const page = await open(1_440);
      await page.locator(`#${side} .drop`).click();
      await vi.waitFor(async () => expect(await fact(page, side, 'reconnects')).toBe('1'), { timeout: 10_000 });
      await state(page, side, 'connected');
      await send(page, side, 'there again');
      await shown(page, `${side === 'stomp' ? 'STOMP' : 'GraphQL'}there again`);
      expect(watched.complaints).toEqual([]);
    },
  );

  browserTest('both sides come back after the server was killed and started again', { timeout: 90_000 }, async () => {
    const page = await open(1_440);
    await server.kill();
    for (const side of ['stomp', 'graphql']) {
      await vi.waitFor(async () => expect(await stateOf(page, side).textContent()).not.toBe('connected'));
      expect(await fact(page, side, 'subprotocol')).toBe('–');
    }
    await startPage();
    for (const side of ['stomp', 'graphql']) {
      await state(page, side, 'connected');
      expect(await fact(page, side, 'reconnects')).toBe('1');
    }
    await send(page, 'graphql', 'as if nothing had been');
    await shown(page, 'GraphQLas if nothing had been');
    // Chromium itself tells the console of each attempt that finds nobody.
    const ownWords = watched.complaints.filter((each) => !each.includes('ERR_CONNECTION_REFUSED'));
    // After three failures in a row each client says once what it is trying.
    expect(ownWords.filter((each) => !each.includes('Still trying'))).toEqual([]);
    expect(ownWords.length).toBeLessThanOrEqual(2);
  });

  browserTest.each(['stomp', 'graphql'])('%s: a text that is too long is an error that one sees', async (side) => {
    const page = await open(1_440);
    await page.locator(`#${side} input`).evaluate((input) => input.removeAttribute('maxlength'));
    await send(page, side, 'x'.repeat(281));
    await vi.waitFor(async () =>
      expect((await notes(page, side)).join()).toMatch(/^errora note is .*1 to 280 characters$/),
    );
    await send(page, side, 'short');
    await vi.waitFor(async () => expect((await notes(page, side)).at(-1)).toMatch(/short$/));
  });

  browserTest('by keyboard alone, with names that a screen reader can say', async () => {
    const page = await open(1_440);
    for (const [side, name] of [
      ['STOMP', 'Text to SEND'],
      ['GraphQL', 'Text of the mutation'],
    ] as const) {
      const region = page.getByRole('region', { name: side });
      await region.getByRole('textbox', { name }).focus();
      await page.keyboard.type(`typed to ${side}`);
      await page.keyboard.press('Enter');
      const list = region.getByRole('list', { name: `Messages received by ${side}` });
      await vi.waitFor(async () => expect(await list.textContent()).toContain(`typed to ${side}`));
      await page.keyboard.press('Tab');
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Send');
      await page.keyboard.press('Tab');
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Drop this connection');
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle);
      expect(outline).toBe('solid');
      await page.keyboard.press('Enter');
      await vi.waitFor(async () => expect(await fact(page, side.toLowerCase(), 'reconnects')).toBe('1'), 10_000);
    }
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('subwire');
    expect(await page.locator('html').getAttribute('lang')).toBe('en');
  });

  describe.each([360, 1_440])('%i px wide', (width) => {
    browserTest.each(['light', 'dark'] as const)(
      '%s: nothing runs over its box, and text can be read',
      async (colorScheme) => {
        const page = await open(width, { colorScheme });
        await send(page, 'stomp', 'A message of ordinary length, as people write them to each other.');
        await send(page, 'graphql', `one-long-word-${'x'.repeat(200)}`);
        await vi.waitFor(async () => {
          for (const side of ['stomp', 'graphql']) {
            expect(await notes(page, side)).toHaveLength(2);
            expect(await fact(page, side, 'latency')).toContain('ms');
          }
        }, 10_000);
        expect(await page.evaluate(overflowing)).toEqual([]);
        expect(await page.evaluate(faint)).toEqual([]);
        const directory = process.env['SCREENSHOTS'];
        if (!directory) return;
        if (width < 800) {
          await page.setViewportSize({ width, height: 740 });
          await page.screenshot({ path: join(directory, `${width}-${colorScheme}-first.png`) });
        }
        // As high as the whole page: no scroll bar then.
        await page.setViewportSize({ width, height: width < 800 ? 1_700 : 900 });
        await page.screenshot({ path: join(directory, `${width}-${colorScheme}.png`) });
      },
    );
  });
});

/** In the page: elements whose content is wider than they are, and a document that scrolls sideways. */
function overflowing(): string[] {
  return [document.documentElement, ...document.querySelectorAll('body, body *:not(.unseen, .unseen *)')]
    .filter(
      (element) => element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== 'inline',
    )
    .map((element) => `${element.tagName}.${element.className}: ${element.scrollWidth} of ${element.clientWidth} px`);
}

/** In the page: texts whose contrast to what is behind them is below 4.5 (WCAG 2.2, 1.4.3). */
function faint(): string[] {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  if (!canvas) return ['no canvas'];
  const flat = (colors: string[]): number[] => {
    canvas.clearRect(0, 0, 1, 1);
    for (const color of colors) {
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (color: number[]): number => {
    const [red = 0, green = 0, blue = 0] = color
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const problems: string[] = [];
  for (const element of document.querySelectorAll<HTMLElement>('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim());
    const isEmptyField = element instanceof HTMLInputElement;
    if (!(own || isEmptyField) || element.closest('.unseen')) continue;
    const grounds: string[] = [];
    for (let behind: Element | null = element; behind; behind = behind.parentElement) {
      grounds.unshift(getComputedStyle(behind).backgroundColor);
    }
    const ground = luminance(flat(['white', ...grounds]));
    const ink = luminance(
      flat(['white', ...grounds, getComputedStyle(element, isEmptyField ? '::placeholder' : null).color]),
    );
    const contrast = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
    if (contrast < 4.5) problems.push(`${element.tagName}.${element.className}: ${contrast.toFixed(2)}`);
  }
  return problems;
}
