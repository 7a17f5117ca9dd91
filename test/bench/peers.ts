import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { entryPoints } from '../support/entry-points.ts';
import { root } from '../support/project-files.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const peers = here('peers/');
/** In the folder of the peers: there the programs find the packages that are installed beside the bench. */
const built = here(`peers/.built-${process.pid}/`);
process.once('exit', () => rmSync(built, { recursive: true, force: true }));

/** Install the peers if they are not there. They have a lockfile of their own, so that the project stays light. */
export function installPeers(): void {
  if (existsSync(`${peers}node_modules`)) return;
  console.log('Installing the peers into test/bench/peers …');
  try {
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: peers,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } catch {
    console.log('The peers could not be installed.');
  }
}

const requireFromPeers = createRequire(`${peers}package.json`);

/** Is this package installed, beside the bench or in the project, or this program on the machine? */
export function isInstalled(name: string): boolean {
  if (existsSync(`/usr/sbin/${name}`)) return true;
  for (const folder of requireFromPeers.resolve.paths(name) ?? []) {
    if (existsSync(`${folder}/${name}/package.json`)) return true;
  }
  return false;
}

/**
 * Compile every program that runs in a process of its own: plain JavaScript with subwire's sources in it and all
 * packages outside, so that nothing is measured that a user would not run.
 */
export async function buildPrograms(): Promise<void> {
  await build({
    absWorkingDir: here('.'),
    entryPoints: ['servers/*.ts', 'programs/*.ts', 'load/load.ts'],
    outbase: here('.'),
    outdir: built,
    bundle: true,
    packages: 'external',
    alias: Object.fromEntries([...entryPoints].map(([name, source]) => [name, join(root, source)])),
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
  });
}

/** The compiled program of `servers/ws.ts` and the like. */
export const program = (name: string): string => `${built}${name}.mjs`;
