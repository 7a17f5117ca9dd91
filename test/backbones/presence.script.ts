// A server with a presence, for tests that kill it and for figures:
// node --import tsx presence.script.ts '{"address":"…","name":"a","entries":7000,"churn":20,"interval":5000,"window":10000}'
// It prints a line of JSON every second: who is in the topic "room", what it knows, and the share of a core that it took.
import { localBackbone } from '../../src/backbones/local.ts';
import { createBus } from '../../src/bus/bus.ts';
import { presence } from '../../src/bus/presence.ts';
import type { Tracked } from '../../src/bus/presence-types.ts';

interface Order {
  readonly address: string;
  readonly name: string;
  readonly entries: number;
  readonly churn: number;
  readonly every: number;
  readonly interval: number;
  readonly window: number;
}

const order = JSON.parse(process.argv[2] ?? '{}') as Order;
const { name, entries, churn, every = 1_000, interval, window } = order;
const bus = createBus({ backbone: localBackbone({ address: order.address }) });
const present = presence(bus, { interval, window });
present.track('room', name, { here: true });
const tracked: Tracked[] = [];
let count = 0;
const come = (): number =>
  tracked.push(present.track(`topic.${count % 100}`, `user ${name} ${count++}`, { color: 'blue', page: count }));
while (count < entries) come();
for (let left = churn; left > 0; left--) {
  setInterval(() => {
    tracked.shift()?.leave();
    come();
  }, 1_000);
}
let [cpu, at] = [process.cpuUsage(), performance.now()];
setInterval(() => {
  const used = process.cpuUsage(cpu);
  const core = (used.user + used.system) / 10 / (performance.now() - at);
  [cpu, at] = [process.cpuUsage(), performance.now()];
  const users = present.list('room').map(({ user }) => user);
  process.stdout.write(`${JSON.stringify({ users, core: Number(core.toFixed(2)), ...present.stats() })}\n`);
}, every);
// It ends with whoever started it.
process.stdin.resume().on('end', () => process.exit(0));
