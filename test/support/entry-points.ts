import { readText } from './project-files.ts';

interface Manifest {
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly imports: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const manifest = JSON.parse(readText('package.json')) as Manifest;

const sourceOf = (built: string): string => built.replace('./dist/', 'src/').replace(/\.js$/, '.ts');

/** What users can import, and `#socket`, each with the source that Node gets for it, as paths from the root. */
export const entryPoints: ReadonlyMap<string, string> = new Map(
  [...Object.entries(manifest.exports), ...Object.entries(manifest.imports)].flatMap(([name, target]) =>
    typeof target === 'string'
      ? []
      : [[name.replace(/^\./, 'subwire'), sourceOf(target['node'] ?? target['default'] ?? '')] as const],
  ),
);
