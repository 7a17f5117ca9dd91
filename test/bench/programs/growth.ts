/** What one publish costs the bus, with few and with many topics and wildcards, in one process. */
import { createBus } from 'subwire';
import { answer } from '../ipc.ts';

const body = new TextEncoder().encode('{"price":101.25}');

/** CPU in µs per delivered message, where each topic has a listener and a wildcard of its own. */
function measure(topics: number, ms: number): number {
  const bus = createBus();
  let delivered = 0;
  const listener = (): void => {
    delivered++;
  };
  for (let topic = 0; topic < topics; topic++) {
    bus.listen(`market.${topic}.price`, listener);
    bus.listen(`market.${topic}.*`, listener);
  }
  const names = Array.from({ length: topics }, (_, topic) => `market.${topic}.price`);
  let next = 0;
  const run = (until: number): void => {
    do {
      for (let left = 1_000; left > 0; left--) void bus.publish(names[next++ % topics] as string, body);
    } while (performance.now() < until);
  };
  run(performance.now() + ms / 2);
  delivered = 0;
  const before = process.cpuUsage();
  run(performance.now() + ms);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / delivered;
}

answer({ measure: ({ topics, stretch }: { topics: number; stretch: number }) => measure(topics, stretch) });
