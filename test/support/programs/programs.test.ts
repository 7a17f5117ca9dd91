import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { root } from '../project-files.ts';
import { startActiveMq } from './activemq.ts';
import { startChromium } from './chromium.ts';
import { freePort, privateDirectory, requireProgram, startProgram } from './program.ts';
import { startRabbitMq } from './rabbitmq.ts';

/** Processes that a launcher has started and that still run. */
function processesOf(directory: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`SUBWIRE_TEST_PROGRAM=${directory}`);
    } catch {
      return false; // it ended while we looked
    }
  });
}

const directoryOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[2] ?? '';

/** The first frame that a STOMP broker sends back over TCP. */
function firstFrame(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write('CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0'),
    );
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\0')) {
        socket.destroy();
        resolve(text);
      }
    });
    socket.on('error', reject);
  });
}

requireProgram('rabbitmq', test)(
  'RabbitMQ starts, speaks STOMP, and nothing of it is left',
  { timeout: 90_000 },
  async () => {
    const rabbit = await startRabbitMq();
    const directory = directoryOf(rabbit.pid);
    expect(processesOf(directory).length).toBeGreaterThan(1);
    expect(await firstFrame(rabbit.port)).toMatch(/^CONNECTED\n/);
    await rabbit.stop();
    expect(processesOf(directory)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
  },
);

requireProgram('activemq', test)('ActiveMQ starts, speaks STOMP, and nothing of it is left', async () => {
  const active = await startActiveMq();
  const directory = directoryOf(active.pid);
  expect(await firstFrame(active.port)).toMatch(/^CONNECTED\n/);
  await active.stop();
  expect(processesOf(directory)).toEqual([]);
});

requireProgram('chromium', test)('Chromium shows a page, and nothing of it is left', async () => {
  const chromium = await startChromium();
  const directory = directoryOf(chromium.pid);
  const page = await chromium.browser.newPage();
  await page.setContent('<h1>shown</h1>');
  expect(await page.textContent('h1')).toBe('shown');
  await chromium.stop();
  expect(processesOf(directory)).toEqual([]);
});

test('a program that ends at once fails with its last output', async () => {
  const directory = await privateDirectory('fails');
  const command = ['bash', '-c', 'echo no licence; exit 3'] as const;
  await expect(
    startProgram({ name: 'Nobody', command, directory, port: await freePort(), within: 5_000 }),
  ).rejects.toThrow('Nobody ended before it was ready. Its last output:\nno licence');
  expect(existsSync(directory)).toBe(false);
});

test('a program that is not ready in time fails with its last output and is ended', async () => {
  const directory = await privateDirectory('slow');
  const command = ['bash', '-c', 'echo still booting; sleep 600 & setsid sleep 600'] as const;
  await expect(
    startProgram({ name: 'Sloth', command, directory, port: await freePort(), within: 1_500 }),
  ).rejects.toThrow('Sloth was not ready within 1500 ms. Its last output:\nstill booting');
  expect(processesOf(directory)).toEqual([]);
});

test('a program ends when the process that started it is killed', async () => {
  const directory = await privateDirectory('orphan');
  const supervise = new URL('supervise.sh', import.meta.url).pathname;
  const script = `
    const child = require('node:child_process').spawn(process.argv[1], [process.argv[2], 'bash', '-c', 'trap "" TERM; echo up; sleep 600 & wait; wait'], { detached: true });
    child.stdout.pipe(process.stdout);`;
  const parent = spawn(process.execPath, ['-e', script, supervise, directory]);
  await new Promise((resolve) => parent.stdout.once('data', resolve));
  expect(processesOf(directory).length).toBeGreaterThan(0);
  parent.kill('SIGKILL');
  await expect.poll(() => existsSync(directory), { timeout: 12_000 }).toBe(false);
  expect(processesOf(directory)).toEqual([]);
});

test.each([
  ['fails', 'nothing is stopped'],
  ['is killed', 'Worker exited unexpectedly'],
])('a program ends when the test file that started it %s', { timeout: 60_000 }, async (how, told) => {
  const directory = await privateDirectory('abandoned');
  const script = `
    import { startVitest } from 'vitest/node';
    await startVitest('test', [], { config: false, watch: false, include: ['test/support/programs/abandon.script.ts'] });`;
  const run = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    env: { ...process.env, ORPHAN: directory, BAD_END: how },
  });
  let output = '';
  for (const stream of [run.stdout, run.stderr]) stream.on('data', (data) => (output += data));
  const [code] = await once(run, 'exit');
  expect(output).toContain(told);
  expect(code).toBe(1);
  await expect.poll(() => existsSync(directory), { timeout: 12_000 }).toBe(false);
  expect(processesOf(directory)).toEqual([]);
});

test('a program that is killed is gone with all that it started', async () => {
  const directory = await privateDirectory('killed');
  const port = await freePort();
  const listen = `require('net').createServer().listen(${port}, '127.0.0.1'); process.on('SIGTERM', () => {});`;
  const command = ['bash', '-c', 'setsid sleep 600 & exec "$0" -e "$1"', process.execPath, listen] as const;
  const program = await startProgram({ name: 'Stubborn', command, directory, port, within: 10_000 });
  expect(processesOf(directory).length).toBeGreaterThan(1);
  await program.kill();
  expect(processesOf(directory)).toEqual([]);
  await program.kill();
  await program.stop();
});
