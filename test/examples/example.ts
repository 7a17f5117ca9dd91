import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../support/project-files.ts';

/** How Node runs an example. */
export const exampleCommand = (name: string): [string, ...string[]] => [
  process.execPath,
  '--import',
  'tsx',
  join(root, 'examples', `${name}.ts`),
];

/** Run an example as its first lines say; it has to end by itself, without a complaint. The lines that it printed. `env`: more of it. */
export async function runExample(name: string, env: Readonly<Record<string, string>> = {}): Promise<string[]> {
  const [node, ...options] = exampleCommand(name);
  const { stdout, stderr } = await promisify(execFile)(node, options, {
    cwd: root,
    timeout: 50_000,
    env: { ...process.env, ...env },
  });
  if (stderr) throw new Error(`${name} complains: ${stderr}`);
  return stdout.trimEnd().split('\n');
}
