import { contest, type ServerContender } from '../arena.ts';
import { startChild } from '../ipc.ts';
import { program } from '../peers.ts';
import { digits, median } from '../table.ts';
import type { Workload } from '../workload.ts';
import { stompLoad } from './stomp-topic.ts';

const subscribers = [100, 1_000, 10_000];
const topics = [1, 100, 10_000];

const label = (count: number): string => `${count} subscribers`;

/** The cost of a message must not grow with the number of subscribers. */
const bySubscribers: Workload = {
  name: 'growth-subscribers',
  run(scale) {
    const contenders = subscribers.map(
      (count): ServerContender => ({
        label: label(count),
        server: 'subwire-stomp',
        needs: [],
        load: stompLoad(100, count, '/ws', false),
      }),
    );
    return contest(
      'Cost as work grows: STOMP topic, 1 to n, 100 B',
      contenders,
      { ...scale, only: undefined },
      {
        subjects: [label(100)],
      },
    );
  },
};

/** Nor with the number of topics and wildcards. */
const byTopics: Workload = {
  name: 'growth-topics',
  async run({ rounds, stretch }) {
    const child = await startChild(program('programs/growth'), {});
    try {
      const figures = new Map<number, number[]>(topics.map((count) => [count, []]));
      for (let round = 0; round < rounds; round++) {
        for (const count of topics) figures.get(count)?.push(await child.ask('measure', { topics: count, stretch }));
      }
      const few = median(figures.get(1) ?? []);
      const rows = [...figures].map(([count, costs]) => [
        `${count} topics`,
        digits(median(costs)),
        digits(median(costs) / few),
      ]);
      return {
        title: 'Cost as work grows: the bus, topics with a listener and a wildcard each',
        columns: ['', 'CPU µs/msg', `÷ ${topics[0]} topic`],
        rows,
        notes: ['One process without sockets. With many topics the memory of the processor is the difference.'],
      };
    } finally {
      await child.stop();
    }
  },
};

export const growth: readonly Workload[] = [bySubscribers, byTopics];
