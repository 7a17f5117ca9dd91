import { dirname, join } from 'node:path';
import { filesBelow, readText } from './project-files.ts';

export interface Import {
  /** A path from the root of the project, or the name of a package, of `#socket` or of a module of Node. */
  readonly to: string;
  readonly typeOnly: boolean;
}

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** The text without comments that have lines of their own. */
  readonly code: string;
  readonly imports: readonly Import[];
}

const statement = /^(import|export)\s+(type\s)?(?:[^;'"]*?\sfrom\s+)?'([^']+)'/gm;
const dynamic = /\bimport\(\s*'([^']+)'/g;
const comment = /^\s*(?:\/\/|\/\*|\*).*$/gm;

/** What a file of the project imports, types included. */
export function importsOf(path: string, text: string): Import[] {
  const code = text.replace(comment, '');
  const resolve = (name: string): string => (name.startsWith('.') ? join(dirname(path), name) : name);
  return [
    ...[...code.matchAll(statement)].map(([, , type, name = '']) => ({ to: resolve(name), typeOnly: Boolean(type) })),
    ...[...code.matchAll(dynamic)].map(([, name = '']) => ({ to: resolve(name), typeOnly: false })),
  ];
}

export const sourceFiles = (): SourceFile[] =>
  filesBelow('src', '.ts').map((path) => {
    const text = readText(path);
    return { path, text, code: text.replace(comment, ''), imports: importsOf(path, text) };
  });

/** The cycles of a graph of imports: each as the paths along it. */
export function cycles(files: readonly Pick<SourceFile, 'path' | 'imports'>[]): string[][] {
  const importsOfPath = new Map(files.map(({ path, imports }) => [path, imports.map(({ to }) => to)]));
  const finished = new Set<string>();
  const found: string[][] = [];

  function walk(path: string, way: readonly string[]): void {
    const start = way.indexOf(path);
    if (start >= 0) found.push([...way.slice(start), path]);
    if (start >= 0 || finished.has(path)) return;
    for (const next of importsOfPath.get(path) ?? []) walk(next, [...way, path]);
    finished.add(path);
  }

  for (const { path } of files) walk(path, []);
  return found;
}
