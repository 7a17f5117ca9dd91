import { execFile } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { root } from './project-files.ts';

const run = promisify(execFile);

/** Pack what was built into this directory, as `npm publish` would. The path of the tarball. */
export async function pack(directory: string): Promise<string> {
  const options = ['pack', '--ignore-scripts', '--json', '--pack-destination', directory];
  const { stdout } = await run('npm', options, { cwd: root });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  return join(directory, filename);
}

/** Install the tarball in a project, and of all other packages only these, which are the project's own. */
export async function install(tarball: string, project: string, packages: readonly string[]): Promise<void> {
  const installed = join(project, 'node_modules/subwire');
  await mkdir(installed, { recursive: true });
  await run('tar', ['--extract', '--gzip', '--strip-components=1', '--file', tarball, '--directory', installed]);
  for (const name of packages) {
    const link = join(project, 'node_modules', name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, 'node_modules', name), link);
  }
}
