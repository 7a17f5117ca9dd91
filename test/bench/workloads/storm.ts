import { retryHint } from '../../../src/core/backoff.ts';
import { foreignStorm, ownStorm, type StormOptions, type StormResult, seededRandom } from '../storm.ts';
import type { Workload } from '../workload.ts';

/** 10,000 clients of a server that accepts 1,000 a second, and that crashes and is away for 5 s. */
export const crash = (seed = 1): StormOptions => ({
  clients: 10_000,
  acceptsPerSecond: 1_000,
  down: 5_000,
  code: 1006,
  reason: '',
  random: seededRandom(seed),
});

/** The server leaves gently, with a hint of 1.5 ms per client; another one takes over after `down` ms. */
export const drain = (down = 0, seed = 1): StormOptions => ({
  ...crash(seed),
  down,
  code: 1012,
  reason: `Going away${retryHint(15_000)}`,
});

/** The limits of the issue. */
export const stormGoals = { withHint: 16_000, withoutHint: 40_000, peak: 500 };

const stompjs = (): number => 5_000;

function graphqlWs(random: () => number): (attempt: number) => number | undefined {
  // Default: five attempts, doubling from 1 s after a first one at once, each with 0.3 to 3 s of jitter.
  return (attempt) =>
    attempt >= 5 ? undefined : (attempt === 0 ? 0 : 1_000 * 2 ** (attempt - 1)) + 300 + random() * 2_700;
}

function row(label: string, { allBack, givenUp, attempts, peak }: StormResult, within?: number): string[] {
  const verdict = (reached: boolean, goal: string): string => ` (${reached ? 'reached' : 'MISSED'}: ≤ ${goal})`;
  return [
    label,
    (Number.isNaN(allBack) ? 'never' : `${(allBack / 1_000).toFixed(1)} s`) +
      (within === undefined ? '' : verdict(allBack <= within, `${within / 1_000} s`)),
    String(givenUp),
    String(attempts),
    String(peak) + (within === undefined ? '' : verdict(peak <= stormGoals.peak, String(stormGoals.peak))),
  ];
}

export const storm: Workload = {
  name: 'reconnect-storm',
  run() {
    const random = seededRandom(1);
    return Promise.resolve({
      title: '10,000 clients dropped at once, 1,000 accepts/s',
      columns: ['', 'all back after', 'given up', 'attempts', 'peak per 100 ms'],
      rows: [
        row('subwire, drained with a hint, another server is there', ownStorm(drain()), stormGoals.withHint),
        row('subwire, drained with a hint, none there for 5 s', ownStorm(drain(5_000))),
        row('subwire, crash, none there for 5 s', ownStorm(crash()), stormGoals.withoutHint),
        row('graphql-ws, the same', foreignStorm(crash(), graphqlWs(random))),
        row('stompjs, the same', foreignStorm(crash(), stompjs)),
      ],
      notes: [
        'In virtual time. Ours: the real dial, back-off and timer wheel; the others: the waits of their defaults. What is above the capacity of 100 ms fails at once.',
      ],
    });
  },
};
