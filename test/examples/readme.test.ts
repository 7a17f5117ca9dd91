import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { install, pack } from '../support/packed.ts';
import { freePort } from '../support/programs/program.ts';
import { fileExists, readText } from '../support/project-files.ts';

const readme = readText('README.md');

/** The blocks of code that the README names, by the name of the file that each is to be pasted into. */
const pasted = new Map(
  [...readme.matchAll(/^`([\w-]+\.mts)`[^\n]*\n\n```ts\n(.*?)```/gms)].map(([, name = '', code = '']) => [name, code]),
);

test('what the README links to is there', () => {
  const links = [...readme.matchAll(/\]\((?!http)([^)#]+)/g)].map(([, link = '']) => link);
  expect(links.filter((link) => !fileExists(link))).toEqual([]);
});

test('the three files of the README run as they stand, in an empty folder', { timeout: 60_000 }, async () => {
  expect([...pasted.keys()]).toEqual(['server.mts', 'graphql-client.mts', 'stomp-client.mts']);
  const directory = await mkdtemp(join(tmpdir(), 'subwire-readme-'));
  const port = String(await freePort());
  const running: ChildProcess[] = [];

  /** Start a pasted file; resolves when it has printed this, and keeps all that it prints. */
  async function start(
    name: string,
    awaited: string,
  ): Promise<{ readonly child: ChildProcess; readonly output: () => string }> {
    const child = spawn(process.execPath, ['--import', 'tsx', name], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.push(child);
    let text = '';
    await new Promise<void>((resolve, reject) => {
      const hear = (data: unknown): void => {
        text += String(data);
        if (text.includes(awaited)) resolve();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', (code) => reject(new Error(`${name} ended with ${String(code)}: ${text}`)));
    });
    return { child, output: () => text };
  }

  try {
    await writeFile(join(directory, 'package.json'), '{ "name": "empty-folder" }\n');
    await install(await pack(directory), directory, ['graphql', 'ws', '@graphql-tools/schema', 'tsx']);
    for (const [name, code] of pasted) await writeFile(join(directory, name), code.replaceAll('4000', port));
    const server = await start('server.mts', `listening on http://localhost:${port}\n`);
    const graphql = await start('graphql-client.mts', 'hello world\n');
    // The subscription follows the query on the same socket: what is published from here on reaches it.
    const answer = await fetch(`http://localhost:${port}/`);
    expect(await answer.text()).toBe('subwire listens on /ws\n');
    const stomp = await start('stomp-client.mts', "a price by STOMP { symbol: 'ACME', price: 1.5 }\n");
    expect(stomp.output()).toBe("a price by STOMP { symbol: 'ACME', price: 1.5 }\n");
    await expect.poll(graphql.output, { timeout: 5_000 }).toContain('a price by GraphQL { price: 1.5 }\n');
    const exit = once(server.child, 'exit');
    server.child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
    expect(server.output()).toBe(`listening on http://localhost:${port}\n`);
  } finally {
    for (const child of running) child.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  }
});
