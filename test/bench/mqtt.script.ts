/**
 * MQTT over TCP, beside aedes: 100 subscribers, 100 bytes, QoS 0 and 1, and what an idle connection costs. Rounds of both
 * are interleaved, medians are compared: `node --import tsx test/bench/mqtt.script.ts [rounds]`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { generate, type Packet } from 'mqtt-packet';

const subscribers = 100;
const roundMs = 1_500;
const idle = 2_000;
/** So many messages are under way before the next ones are published. */
const batch = { 0: 200, 1: 40 } as const;
const topic = 'bench/topic';
const payload = Buffer.alloc(100, 'x');

type QoS = 0 | 1;

async function startServer(which: string): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const script = fileURLToPath(new URL('servers/mqtt-server.ts', import.meta.url));
  const child = fork(script, [which], { execArgv: ['--import', 'tsx', '--expose-gc'] });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { child, port };
}

async function heapOf(child: ChildProcess): Promise<number> {
  child.send('heap');
  const [{ heap }] = (await once(child, 'message')) as [{ heap: number }];
  return heap;
}

async function open(port: number, clientId: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true);
  socket.on('error', () => {});
  socket.write(
    generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId, keepalive: 0 }),
  );
  await once(socket, 'data');
  return socket;
}

/** Deliveries per second to all subscribers together. */
async function fanOut(port: number, qos: QoS): Promise<number> {
  const message = generate({ cmd: 'publish', topic, payload, qos, dup: false, retain: false, messageId: 1 } as Packet);
  const size = message.length;
  const idAt = 2 + 2 + topic.length;
  let delivered = 0;
  let wanted = 0;
  let reached = (): void => {};
  const sockets = await Promise.all(
    Array.from({ length: subscribers }, async (_, index) => {
      const socket = await open(port, `subscriber-${qos}-${index}`);
      socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] }));
      await once(socket, 'data');
      let rest = Buffer.alloc(0);
      socket.on('data', (data) => {
        const bytes = rest.length > 0 ? Buffer.concat([rest, data]) : data;
        const count = Math.floor(bytes.length / size);
        if (qos === 1) {
          const acks = Buffer.allocUnsafe(4 * count);
          for (let each = 0; each < count; each++) {
            acks[4 * each] = 0x40;
            acks[4 * each + 1] = 2;
            bytes.copy(acks, 4 * each + 2, each * size + idAt, each * size + idAt + 2);
          }
          if (count > 0) socket.write(acks);
        }
        rest = bytes.subarray(count * size);
        delivered += count;
        if (delivered >= wanted) reached();
      });
      return socket;
    }),
  );
  const publisher = await open(port, `publisher-${qos}`);
  publisher.on('data', () => {});
  const messages = Buffer.concat(Array.from({ length: batch[qos] }, () => message));
  const began = performance.now();
  let warm: readonly [at: number, delivered: number] | undefined;
  while (performance.now() - began < roundMs) {
    wanted = delivered + batch[qos] * subscribers;
    const all = new Promise<void>((resolve) => {
      reached = resolve;
    });
    publisher.write(messages);
    await all;
    warm ??= performance.now() - began > 300 ? [performance.now(), delivered] : undefined;
  }
  const [at, before] = warm ?? [began, 0];
  const perSecond = ((delivered - before) / (performance.now() - at)) * 1_000;
  for (const socket of [...sockets, publisher]) socket.destroy();
  return perSecond;
}

/** What one of many idle connections costs in the heap of the server, in bytes. */
async function idleHeap(child: ChildProcess, port: number): Promise<number> {
  const before = await heapOf(child);
  const sockets: Socket[] = [];
  for (let index = 0; index < idle; index++) sockets.push(await open(port, `idle-${index}`));
  const after = await heapOf(child);
  for (const socket of sockets) socket.destroy();
  return (after - before) / idle;
}

const median = (values: readonly number[]): number =>
  [...values].sort((one, other) => one - other)[values.length >> 1] as number;

const rounds = Number(process.argv[2] ?? 5);
const names = ['subwire', 'aedes'] as const;
const results: Record<string, Record<string, number[]>> = {};
const note = (what: string, name: string, value: number): void => {
  results[what] ??= {};
  const row = results[what];
  row[name] ??= [];
  row[name].push(value);
};

for (let round = 0; round < rounds; round++) {
  for (const name of round % 2 === 0 ? names : [...names].reverse()) {
    const { child, port } = await startServer(name);
    for (const qos of [0, 1] as const) note(`QoS ${qos}, deliveries/s`, name, await fanOut(port, qos));
    child.kill();
    const fresh = await startServer(name);
    note('idle connection, bytes of heap', name, await idleHeap(fresh.child, fresh.port));
    fresh.child.kill();
  }
}
for (const [what, row] of Object.entries(results)) {
  const [ours, theirs] = names.map((name) => median(row[name] ?? [])) as [number, number];
  console.log(`${what}: subwire ${Math.round(ours)}, aedes ${Math.round(theirs)}, ratio ${(ours / theirs).toFixed(2)}`);
}
process.exit();
