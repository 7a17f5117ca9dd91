import { startChild } from '../ipc.ts';
import { isInstalled, program } from '../peers.ts';
import type { CodecRow } from '../programs/codec.ts';
import { digits, median, type Table } from '../table.ts';
import type { Workload } from '../workload.ts';

/** By what is done, for bodies of 100 B, 10 KB and 1 MB: how many times faster than stompjs. */
const goals: Readonly<Record<string, readonly number[]>> = {
  'parse, whole': [4.5, 50, 1_000],
  'parse, 64-byte pieces': [2.5, 15, 35],
  serialise: [2, 5, 100],
};
const sizes = [100, 10_000, 1_000_000];

export const stompCodec: Workload = {
  name: 'stomp-codec',
  async run({ rounds, stretch }): Promise<Table> {
    const title = 'STOMP codec, one frame, beside stompjs';
    const columns = ['', 'body bytes', 'subwire µs', 'stompjs µs', 'times faster'];
    if (!isInstalled('@stomp/stompjs')) {
      return { title, columns, rows: [], notes: ['Left out: stompjs (not installed: @stomp/stompjs).'] };
    }
    const child = await startChild(program('programs/codec'), {});
    try {
      const rows = await child.ask<CodecRow[]>('measure', { rounds, stretch: Math.ceil(stretch / 4) });
      return {
        title,
        columns,
        rows: rows.map(row),
        notes: ['Both in one process; stompjs parses to its IFrame, headers unescaped.'],
      };
    } finally {
      await child.stop();
    }
  },
};

function row({ what, bytes, subwire, stompjs }: CodecRow): string[] {
  const times = median(stompjs.map((theirs, round) => theirs / (subwire[round] ?? Number.NaN)));
  const goal = goals[what]?.[sizes.indexOf(bytes)] ?? Number.NaN;
  return [
    what,
    String(bytes),
    digits(median(subwire)),
    digits(median(stompjs)),
    `${digits(times)} (${times >= goal ? 'reached' : 'MISSED'}: ≥ ${digits(goal)})`,
  ];
}
