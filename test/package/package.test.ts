import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { build as bundle } from 'esbuild';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fileExists, readText, root } from '../support/project-files.ts';

const run = promisify(execFile);
const here = import.meta.dirname;

let directory: string;
let tarball: string;
let installed = 0;

/** A copy of a project of this folder in which the packed tarball is installed, and of all others only `packages`. */
async function install(project: string, packages: readonly string[]): Promise<string> {
  const copy = join(directory, `${project}-${++installed}`);
  const target = join(copy, 'node_modules/subwire');
  await cp(join(here, project), copy, { recursive: true });
  await mkdir(target, { recursive: true });
  await run('tar', ['--extract', '--gzip', '--strip-components=1', '--file', tarball, '--directory', target]);
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
  const files = stdout
    .trim()
    .split('\n')
    .map((name) => name.replace(/^package\//, ''));
  const other = files.filter(
    (name) => !/^dist\/[\w/-]+\.(js|d\.ts)$|^(docs|spec-notes)\/[\w/-]+\.\w+$|^examples\/[\w/-]+\.\w+$/.test(name),
  );
  expect(other.sort()).toEqual(
    ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'].filter(fileExists),
  );
});

test('what the README links to is in the tarball, but for what concerns work on the package itself', async () => {
  const { stdout } = await run('tar', ['--list', '--file', tarball]);
  const links = [...readText('README.md').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
  const missing = links.filter((link) => !/^(test\/|CONTRIBUTING)/.test(link) && !stdout.includes(`package/${link}`));
  expect(missing).toEqual([]);
});

test('exports names each public file by itself', () => {
  const { exports } = JSON.parse(readText('package.json')) as { exports: Record<string, unknown> };
  expect(JSON.stringify(exports)).not.toContain('*');
});

test('no public declaration needs the types of Node or of ws', async () => {
  const project = await install('plain', []);
  const declared = join(project, 'node_modules/subwire');
  const { exports } = JSON.parse(await readFile(join(declared, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { readonly types: string }>;
  };
  const seen = new Map<string, string>();
  async function walk(path: string): Promise<void> {
    if (seen.has(path)) return;
    seen.set(path, '');
    const text = await readFile(path, 'utf8');
    seen.set(path, text);
    for (const [, name = ''] of text.matchAll(/(?:from|import)\(?\s*'(\.[^']+)\.ts'/g)) {
      await walk(join(dirname(path), `${name.replace(/\.d$/, '')}.d.ts`));
    }
    for (const [, name = ''] of text.matchAll(/(?:from|import)\(?\s*'(\.[^']+)\.js'/g)) {
      await walk(join(dirname(path), `${name}.d.ts`));
    }
  }
  for (const target of Object.values(exports)) if (typeof target !== 'string') await walk(join(declared, target.types));
  expect(seen.size).toBeGreaterThan(30);
  // What comments say needs no types.
  const code = (text: string): string => text.replace(/\/\*.*?\*\//gs, '');
  const wrong = [...seen].filter(([, text]) => /'(node:[^']+|ws)'|\bBuffer\b|\bNodeJS\b/.test(code(text)));
  expect(wrong.map(([path]) => path)).toEqual([]);
});

/** The compiler of this project, and the lowest version that the README promises: attw brings it along. */
const compilers = [
  ['TypeScript of today', 'node_modules/typescript/bin/tsc', ['tsconfig.server.json', 'tsconfig.browser.json']],
  ['TypeScript 5.6', 'node_modules/@arethetypeswrong/core/node_modules/typescript/bin/tsc', ['tsconfig.server.json']],
] as const;

test.each(compilers)(
  'a server and a page compile without @types/node and @types/ws: %s',
  {
    timeout: 60_000,
  },
  async (_, compiler, configs) => {
    const project = await install('plain', ['graphql', 'rxjs']);
    for (const config of configs) {
      const command = [join(root, compiler), '--project', config];
      const { stdout } = await run(process.execPath, command, { cwd: project }).catch(
        (failed: { stdout: string }) => failed,
      );
      expect(stdout, config).toBe('');
    }
  },
);

test('without ws the package loads, publishes and listens on TCP; attach() says what to install', async () => {
  const project = await install('plain', ['graphql']);
  const { stdout } = await run(process.execPath, ['without-ws.js'], { cwd: project, timeout: 10_000 });
  expect(JSON.parse(stdout)).toEqual({
    heard: 1,
    port: true,
    refused: 'TypeError: attach() needs the package ws, which is not installed here: npm install ws',
  });
});

/** What runtimes and bundlers document; `node` and `deno` with what they have themselves, all others with nothing. */
const conditions: readonly (readonly [name: string, conditions: readonly string[], own: readonly string[]])[] = [
  ['browsers', ['browser', 'import'], []],
  ['React Native, import', ['react-native', 'import'], []],
  ['React Native, require', ['react-native', 'require'], []],
  ['the edge runtime', ['edge-light', 'import'], []],
  ['workerd', ['workerd', 'worker', 'browser', 'import'], []],
  ['Deno without Node', ['deno', 'import'], []],
  ['nothing known', [], []],
  ['Node', ['node', 'import'], ['node:', 'ws']],
  ['Deno as it is', ['deno', 'node', 'import'], ['node:', 'ws']],
];

test.each(conditions)('clients and root are bundled for %s', async (_, given, own) => {
  const project = await install('bundle', []);
  const { metafile } = await bundle({
    absWorkingDir: project,
    entryPoints: ['main.js'],
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: [],
    conditions: [...given],
    external: own.map((name) => (name.endsWith(':') ? `${name}*` : name)),
    logLevel: 'silent',
  });
  const outside = Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path));
  expect(outside.filter((path) => !own.some((name) => path.startsWith(name)))).toEqual([]);
  expect(outside.length > 0).toBe(own.length > 0);
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
