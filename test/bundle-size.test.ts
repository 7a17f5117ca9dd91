import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build, type Metafile } from 'esbuild';
import { expect, test } from 'vitest';
import { root } from './support/project-files.ts';

/** What a browser bundler makes of a source file: the files and packages that go in, and which part each has. */
async function bundle(entry: string): Promise<Metafile> {
  const { metafile } = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    alias: { '#socket': join(root, 'src/adapters/browser.ts') },
    logLevel: 'silent',
  });
  return metafile;
}

const partsOf = ({ outputs }: Metafile): string =>
  Object.values(outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .sort(([, a], [, b]) => b.bytesInOutput - a.bytesInOutput)
    .map(([path, { bytesInOutput }]) => `  ${path}: ${bytesInOutput} bytes, minified and not compressed`)
    .join('\n');

test('what the clients add to a browser bundle is within the limits of size-limit', { timeout: 60_000 }, async () => {
  const command = ['--config', 'test/support/size-limit.config.js', '--json'];
  const run = promisify(execFile)(join(root, 'node_modules/.bin/size-limit'), command, { cwd: root });
  // It fails when a limit is broken, but prints its results all the same.
  const { stdout } = await run.catch((failed: { stdout: string }) => failed);
  const results = JSON.parse(stdout) as { name: string; passed: boolean; size: number; sizeLimit: number }[];
  expect(results, 'is dist there? npm run build').toHaveLength(3);
  const over = results.filter(({ passed }) => !passed);
  const parts = await Promise.all(['src/graphql/client/client.ts', 'src/stomp/client/client.ts'].map(bundle));
  const problem = over.map(({ name, size, sizeLimit }) => `${name}: ${size} bytes of ${sizeLimit}`).join('\n');
  expect(over, `${problem}\n${parts.map(partsOf).join('\n\n')}`).toEqual([]);
});

test.each([
  ['subwire', 'src/browser.ts'],
  ['subwire/graphql/client', 'src/graphql/client/client.ts'],
  ['subwire/stomp/client', 'src/stomp/client/client.ts'],
])('%s bundles for browsers without Node, ws, graphql or server code', async (_, entry) => {
  const { inputs, outputs } = await bundle(entry);
  const server = /node_modules|adapters\/(node|tcp|frames)|\/(server|session|broker)\.ts$/;
  expect(Object.keys(inputs).filter((path) => server.test(path))).toEqual([]);
  expect(Object.values(outputs).flatMap(({ imports }) => imports)).toEqual([]);
});
