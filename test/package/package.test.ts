import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../support/project-files.ts';

const run = promisify(execFile);
const here = import.meta.dirname;

let directory: string;
let tarball: string;

/** A copy of a project of this folder in which the packed tarball is installed, and of all others only `packages`. */
async function install(project: string, packages: readonly string[]): Promise<string> {
  const copy = join(directory, project);
  const installed = join(copy, 'node_modules/subwire');
  await cp(join(here, project), copy, { recursive: true });
  await mkdir(installed, { recursive: true });
  await run('tar', ['--extract', '--gzip', '--strip-components=1', '--file', tarball, '--directory', installed]);
  for (const name of packages) {
    const link = join(copy, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, 'node_modules', name), link);
  }
  return copy;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'subwire-package-'));
  // `npm test` has built dist already.
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', directory];
  const { stdout } = await run('npm', pack, { cwd: root });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  tarball = join(directory, filename);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

test('the tarball holds what is built and the words about it, nothing else', async () => {
  const { stdout } = await run('tar', ['--list', '--file', tarball]);
  const other = stdout
    .trim()
    .split('\n')
    .filter((name) => !/^package\/dist\/[\w/-]+\.(js|d\.ts)$/.test(name));
  expect(other.sort()).toEqual([
    'package/CHANGELOG.md',
    'package/LICENSE',
    'package/README.md',
    'package/package.json',
  ]);
});

test('in a plain Node project server and clients work over both protocols', { timeout: 30_000 }, async () => {
  const project = await install('node', ['graphql', 'ws']);
  const { stdout } = await run(process.execPath, ['main.js'], { cwd: project, timeout: 20_000 });
  expect(JSON.parse(stdout)).toEqual({
    hello: 'world',
    overGraphql: { symbol: 'EUR', price: 1.1 },
    overStomp: { symbol: 'EUR', price: 1.1 },
  });
});

test('its types are right for a TypeScript project, with Node and with bundler resolution', {
  timeout: 60_000,
}, async () => {
  const project = await install('types', ['graphql', 'rxjs', 'ws', '@types/node', '@types/ws', 'undici-types']);
  for (const config of ['tsconfig.json', 'tsconfig.bundler.json']) {
    const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), ['--project', config], { cwd: project }).catch(
      (failed: { stdout: string }) => failed,
    );
    expect(stdout, config).toBe('');
  }
});

test('in a Vite project the clients are bundled for browsers, where ws and graphql are absent', {
  timeout: 60_000,
}, async () => {
  const project = await install('vite', []);
  await build({ root: project, configFile: false, logLevel: 'silent', envFile: false });
  const assets = join(project, 'dist/assets');
  const scripts = (await readdir(assets)).filter((name) => name.endsWith('.js'));
  expect(scripts).toHaveLength(1);
  const code = await readFile(join(assets, scripts[0] as string), 'utf8');
  expect(code).toContain('graphql-transport-ws');
  expect(code).toContain('accept-version');
  expect(code).not.toMatch(/node:|createRequire|__vite-browser-external|\bimport\b.*['"](ws|graphql)['"]/);
});

test('publint has nothing to say', async () => {
  const { stdout } = await run(join(root, 'node_modules/.bin/publint'), ['run', tarball, '--strict'], {
    env: { ...process.env, NO_COLOR: '1' },
  }).catch((failed: { stdout: string }) => failed);
  expect(stdout).toContain('All good!');
});

test('every entry point has its types where ESM projects look for them', { timeout: 60_000 }, async () => {
  const command = [tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji'];
  const problems = await run(join(root, 'node_modules/.bin/attw'), command).then(
    () => 'none',
    (failed: { stdout: string }) => failed.stdout,
  );
  expect(problems).toBe('none');
});
