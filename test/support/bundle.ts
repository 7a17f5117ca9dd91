import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { root } from './project-files.ts';

const built = new Map<string, Promise<string>>();

/**
 * A program of ours as one file of JavaScript, so that many processes of it start fast. Packages stay packages.
 *
 * @example
 * await startChild(await bundle('test/chaos/server.script.ts'), options);
 */
export function bundle(file: string): Promise<string> {
  const known = built.get(file);
  if (known) return known;
  // Several tests may build the same one at once.
  const outfile = join(root, '.cache/programs', `${basename(file, '.ts')}-${process.pid}.mjs`);
  const making = build({
    entryPoints: [join(root, file)],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    alias: { '#socket': join(root, 'src/adapters/node-client.ts') },
    sourcemap: 'inline',
    logLevel: 'silent',
  }).then(() => outfile);
  built.set(file, making);
  return making;
}
