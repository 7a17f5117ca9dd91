import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { freePort } from '../support/programs/program.ts';
import { fileExists, readText, root } from '../support/project-files.ts';

const page = readText('docs/extend.md');
const [, program = ''] = /^`lines\.mts`\n\n```ts\n(.*?)```/ms.exec(page) ?? [];
const server = { port: 0, directory: '', stop: () => {} };

beforeAll(async () => {
  // Inside the project, where the package finds itself by its name.
  const cache = join(root, '.cache');
  await mkdir(cache, { recursive: true });
  server.directory = await mkdtemp(join(cache, 'extend-'));
  server.port = await freePort();
  const file = join(server.directory, 'lines.mts');
  await writeFile(file, program);
  const child = spawn(process.execPath, ['--import', 'tsx', file], {
    cwd: root,
    env: { ...process.env, PORT: String(server.port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  server.stop = () => child.kill('SIGKILL');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  expect(String(line)).toBe('lines.v1 is spoken on /ws\n');
}, 30_000);

afterAll(async () => {
  server.stop();
  await rm(server.directory, { recursive: true, force: true });
});

async function open() {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, 'lines.v1');
  const heard: string[] = [];
  socket.on('message', (data) => heard.push(String(data)));
  const closed = once(socket, 'close').then(([code, reason]) => `${code} ${reason}`);
  await once(socket, 'open');
  return { socket, heard, closed };
}

test('the protocol of docs/extend.md runs as it stands', async () => {
  const [ada, bob] = [await open(), await open()];
  for (let number = 0; number < 100; number++) ada.socket.send(`line ${number}`);
  const all = Array.from({ length: 100 }, (_, number) => `line ${number}`);
  await expect.poll(() => bob.heard).toEqual(all);
  expect(ada.heard).toEqual(all);
  ada.socket.send('/quit');
  expect(await ada.closed).toBe('1000 Bye');
  bob.socket.send(Buffer.from('x'));
  expect(await bob.closed).toBe('4400 Malformed message: a line is text');
  expect(bob.heard.at(-1)).toBe('! a line is text');
});

test('what docs/extend.md links to is there', () => {
  const links = [...page.matchAll(/\]\((?!http)([^)#]+)/g)].map(([, link = '']) => join('docs', link));
  expect(links.filter((link) => !fileExists(link))).toEqual([]);
});
