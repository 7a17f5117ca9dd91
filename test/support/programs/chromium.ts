import { type Browser, chromium } from 'playwright-core';
import { freePort, privateDirectory, type RunningProgram, startProgram } from './program.ts';

export interface Chromium extends RunningProgram {
  readonly browser: Browser;
}

/**
 * Debian's Chromium without a window, with an empty profile, driven by playwright.
 *
 * @example
 * const { browser, stop } = await startChromium();
 * afterAll(stop);
 * const page = await browser.newPage({ viewport: { width: 360, height: 800 } });
 */
export async function startChromium(): Promise<Chromium> {
  const port = await freePort();
  const directory = await privateDirectory('chromium');
  const program = await startProgram({
    name: 'Chromium',
    directory,
    command: [
      '/usr/bin/chromium',
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-dev-shm-usage'],
      // No traffic of its own: nothing but this machine can be reached.
      ...['--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
      // Certificates of tests are made by themselves.
      '--ignore-certificate-errors',
      ...[`--remote-debugging-port=${port}`, `--user-data-dir=${directory}`, 'about:blank'],
    ],
    port,
    within: 30_000,
  });
  try {
    const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
    const stop = async (): Promise<void> => {
      await browser.close();
      await program.stop();
    };
    return { ...program, browser, stop };
  } catch (error) {
    await program.stop();
    throw error;
  }
}
