import { type Profiler, Session } from 'node:inspector/promises';

/** Where a process spends its time: functions, by the part of the samples in which they themselves were on top. */
export interface ProfileRow {
  readonly name: string;
  /** Whose code that is: a package, Node, the operating system (by way of a write), or the program itself. */
  readonly owner: string;
  readonly part: number;
}

/** Sample this process until the returned function is called. */
async function startProfile(): Promise<() => Promise<ProfileRow[]>> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 200 });
  await session.post('Profiler.start');
  return async () => {
    const { profile } = await session.post('Profiler.stop');
    session.disconnect();
    return selfTimes(profile);
  };
}

/** What a program answers that can be profiled from outside. */
export function profiling() {
  let stop: (() => Promise<ProfileRow[]>) | undefined;
  return {
    async startProfile(): Promise<void> {
      stop = await startProfile();
    },
    stopProfile: () => stop?.(),
  };
}

function selfTimes({ nodes, samples = [] }: Profiler.Profile): ProfileRow[] {
  const rows = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const file = url.slice(url.lastIndexOf('/') + 1);
      const name = `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`;
      return [id, { name, owner: ownerOf(functionName, url) }] as const;
    }),
  );
  const counts = new Map<string, { owner: string; count: number }>();
  let busy = 0;
  for (const sample of samples) {
    const { name, owner } = rows.get(sample) ?? { name: '', owner: '' };
    if (name === '(idle)') continue;
    busy++;
    counts.set(name, { owner, count: (counts.get(name)?.count ?? 0) + 1 });
  }
  return [...counts]
    .map(([name, { owner, count }]) => ({ name, owner, part: count / busy }))
    .toSorted((a, b) => b.part - a.part);
}

function ownerOf(functionName: string, url: string): string {
  if (url === '' && /^write/.test(functionName)) return 'the write itself';
  if (functionName === '(garbage collector)') return 'garbage collector';
  if (url === '' || url.startsWith('node:')) return 'Node';
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? 'subwire';
}

/** Print where the time goes, and sum it up in a sentence. */
export function printed(label: string, rows: readonly ProfileRow[]): string {
  console.log(`\n${label}:`);
  for (const { name, part } of rows.slice(0, 30)) console.log(`${(part * 100).toFixed(1).padStart(6)} %  ${name}`);
  return `Where the time of ${label} goes: ${summary(rows)}.`;
}

/** The parts of all owners in one sentence, the largest first; what has less than one per cent is left out. */
function summary(rows: readonly ProfileRow[]): string {
  const parts = new Map<string, number>();
  for (const { owner, part } of rows) parts.set(owner, (parts.get(owner) ?? 0) + part);
  return [...parts]
    .toSorted(([, a], [, b]) => b - a)
    .filter(([, part]) => part >= 0.01)
    .map(([owner, part]) => `${owner} ${(part * 100).toFixed(0)} %`)
    .join(', ');
}
