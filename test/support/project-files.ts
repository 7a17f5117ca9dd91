import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory of package.json. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** Files below a directory of the project whose names end so, as paths from the root, sorted. */
export function filesBelow(directory: string, ending: string): string[] {
  if (!existsSync(join(root, directory))) return [];
  return readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(directory, name))
    .sort();
}

export const readText = (file: string): string => readFileSync(join(root, file), 'utf8');

export const fileExists = (file: string): boolean => existsSync(join(root, file));
