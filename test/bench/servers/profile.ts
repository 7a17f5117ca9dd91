import { type Profiler, Session } from 'node:inspector/promises';

/** Where a process spends its time: functions, by the part of the samples in which they themselves were on top. */
export interface ProfileRow {
  readonly name: string;
  readonly part: number;
}

/** Sample this process until the returned function is called. */
export async function startProfile(): Promise<() => Promise<ProfileRow[]>> {
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

function selfTimes({ nodes, samples = [] }: Profiler.Profile): ProfileRow[] {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const file = url.slice(url.lastIndexOf('/') + 1);
      return [id, `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`] as const;
    }),
  );
  const counts = new Map<string, number>();
  let busy = 0;
  for (const sample of samples) {
    const name = names.get(sample) ?? '';
    if (name === '(idle)') continue;
    busy++;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => ({ name, part: count / busy })).toSorted((a, b) => b.part - a.part);
}
