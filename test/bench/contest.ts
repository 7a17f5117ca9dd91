import { digits, median, type Table } from './table.ts';

/** What one contender did in one round. */
export interface Sample {
  /** CPU of the measured process per message, in µs. */
  readonly cpu: number;
  /** The part of it that was not spent in the kernel. */
  readonly user: number;
  /** Messages per second. */
  readonly rate: number;
  /** In ms. */
  readonly p50: number;
  readonly p99: number;
  /** In bytes. */
  readonly rss: number;
}

/** What the issue asks for: the peer has to be so many times dearer than the subject. */
export interface Goal {
  readonly subject: string;
  readonly peer: string;
  readonly atLeast: number;
}

/** The median, over the rounds, of what a peer costs per message divided by what the subject costs in the same round. */
export const ratio = (peer: readonly Sample[], subject: readonly Sample[]): number =>
  median(peer.map(({ cpu }, round) => cpu / (subject[round]?.cpu ?? Number.NaN)));

/** One row per contender, beside each of the subjects (subwire, and ways to use it). */
export function contestTable(
  title: string,
  samples: ReadonlyMap<string, readonly Sample[]>,
  subjects: readonly string[],
  goals: readonly Goal[],
  notes: readonly string[],
): Table {
  const measured = subjects.filter((subject) => samples.has(subject));
  const rows = [...samples].map(([label, rounds]) => {
    const middle = (pick: (sample: Sample) => number): string => digits(median(rounds.map(pick)));
    return [
      label,
      middle(({ cpu }) => cpu),
      middle(({ user }) => user),
      ...measured.map((subject) => comparison(label, subject, samples, goals)),
      median(rounds.map(({ rate }) => rate)).toFixed(0),
      middle(({ p50 }) => p50),
      middle(({ p99 }) => p99),
      median(rounds.map(({ rss }) => rss / 2 ** 20)).toFixed(0),
    ];
  });
  const columns = [
    '',
    'CPU µs/msg',
    'of it user',
    ...measured.map((subject) => `÷ ${subject}`),
    'msg/s',
    'p50 ms',
    'p99 ms',
    'RSS MiB',
  ];
  return { title, columns, rows, notes };
}

function comparison(
  label: string,
  subject: string,
  samples: ReadonlyMap<string, readonly Sample[]>,
  goals: readonly Goal[],
): string {
  if (label === subject) return '1';
  const times = ratio(samples.get(label) ?? [], samples.get(subject) ?? []);
  const goal = goals.find((each) => each.peer === label && each.subject === subject);
  if (!goal) return digits(times);
  return `${digits(times)} (${times >= goal.atLeast ? 'reached' : 'MISSED'}: ≥ ${digits(goal.atLeast)})`;
}
