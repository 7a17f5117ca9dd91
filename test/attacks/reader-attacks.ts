import { performance } from 'node:perf_hooks';
import { type Attack, type AttackTools, each, pause, scaled } from './attack.ts';
import { frame, openGraphql, openPeer, openStomp, type Peer, stomp, subscribeMessage } from './peer.ts';

/** Short limits for what waits, so that a test of them is. */
const impatient = { limits: { messageTimeout: 1_500, hookTimeout: 1_000 }, silent: true };
const ticking = frame(subscribeMessage('1', 'subscription { tick { text } }'));

/** Half of them by GraphQL, half by STOMP. */
async function subscribers({ port, own }: AttackTools, count: number): Promise<Peer[]> {
  const peers = await each(count, 40, async (index) => own(await (index % 2 ? openGraphql(port) : openStomp(port))));
  for (const [index, peer] of peers.entries()) {
    await peer.send(index % 2 ? ticking : frame(stomp('SUBSCRIBE', { id: 1, destination: '/topic/ticks' })));
  }
  await pause(200);
  return peers;
}

function burst(megabytes: number, readers: number, short?: number): Attack {
  return {
    name: `a burst of ${megabytes} MB to ${readers} readers that read as fast as they can`,
    finding: 'T13',
    ...(short === undefined ? {} : { short }),
    memory: 2_000,
    async run(tools) {
      const peers = await subscribers(tools, readers);
      const count = scaled((megabytes * 1e6) / 20_000, tools.scale);
      const longest = await tools.ask<number>('publish', { count, size: 20_000 });
      const until = performance.now() + 10_000;
      while (peers.some(({ messages, ending }) => messages < count && !ending) && performance.now() < until)
        await pause(50);
      const cut = peers.filter(({ ending }) => ending).length;
      const behind = peers.filter(({ messages, ending }) => !ending && messages < count).length;
      if (cut > 0) tools.problem(`${cut} of ${readers} healthy readers were cut`);
      if (behind > 0) tools.problem(`${behind} of ${readers} healthy readers have not got everything`);
      tools.note(`a publish took up to ${longest.toFixed(0)} ms`);
      for (const peer of peers) peer.destroy();
    },
  };
}

function neverReading(name: string, readers: number, memory: number): Attack {
  return {
    name,
    finding: 'T12',
    codes: [1006, 1013, 4408, 1008],
    memory,
    async run(tools) {
      const peers = await subscribers(tools, scaled(readers, tools.scale));
      const healthy = await subscribers(tools, 4);
      for (const { socket } of peers) socket.pause();
      const longest = await tools.ask<number>('publish', { count: scaled(4_000, tools.scale, 800), size: 10_000 });
      await pause(1_000);
      if (healthy.some(({ ending }) => ending)) tools.problem('healthy readers were cut as well');
      tools.note(`a publish took up to ${longest.toFixed(0)} ms`);
      for (const peer of [...peers, ...healthy]) peer.destroy();
      await pause(300);
    },
  };
}

/** Readers and hooks that take their time. */
export const readerAttacks: readonly Attack[] = [
  burst(8, 20, 0.25),
  burst(8, 40),
  burst(16, 20),
  burst(16, 40),
  burst(32, 20),
  burst(32, 40),
  neverReading('100 readers that never read, on the topic of the others', 100, 500),
  neverReading('1,000 readers that never read, on the topic of the others', 1_000, 800),
  {
    name: '20 readers that take 100 KB a second, steadily, of a burst of 4 MB',
    finding: 'T13',
    memory: 200,
    async run(tools) {
      const peers = await subscribers(tools, 20);
      const isOver = { yes: false };
      for (const peer of peers) void trickle(peer, 10_000, 100, isOver);
      await tools.ask('publish', { count: scaled(200, tools.scale), size: 20_000 });
      await pause(8_000 * tools.scale);
      const cut = peers.filter(({ ending }) => ending).length;
      if (cut > 0) tools.problem(`${cut} of 20 steady readers were cut`);
      isOver.yes = true;
      for (const peer of peers) peer.destroy();
    },
  },
  {
    name: 'a GraphQL message that drips, a byte a second',
    finding: 'T8',
    server: impatient,
    short: 1,
    codes: [1002, 1008, 4408, 4400, 1006],
    isCut: true,
    run: (tools) => drip(tools, 'graphql'),
  },
  {
    name: 'a STOMP frame that drips in one message, a byte a second',
    finding: 'T8',
    server: impatient,
    short: 1,
    codes: [1002, 1008, 4408, 1006],
    isCut: true,
    run: (tools) => drip(tools, 'stomp'),
  },
  {
    name: '100 connections whose authenticate never answers',
    finding: 'T9',
    server: impatient,
    short: 1,
    codes: [1013, 4408, 1011],
    isCut: true,
    async run({ port, own, passedLimit, problem }) {
      const peers = await each(100, 50, async (index) => {
        const protocol = index % 2 ? 'graphql-transport-ws' : 'v12.stomp';
        const peer = own(await openPeer({ port, protocol }));
        const init = frame(index % 2 ? '{"type":"connection_init"}' : 'CONNECT\naccept-version:1.2\nhost:silent\n\n\0');
        await peer.send(init);
        return peer;
      });
      await pause(1_000);
      passedLimit();
      await pause(1_000);
      const open = peers.filter(({ ending }) => !ending).length;
      if (open > 0) problem(`${open} are open, a second after the limit`);
    },
  },
  {
    name: 'wrong types from the application while everybody listens',
    finding: 'S1 to S3',
    short: 1,
    async run(tools) {
      const old = await subscribers(tools, 10);
      await tools.ask('misuse');
      const young = await subscribers(tools, 10);
      const before = [...old, ...young].map(({ messages }) => messages);
      await tools.ask('publish', { count: 1, size: 10 });
      await pause(300);
      const deaf = [...old, ...young].filter(
        ({ messages }, index) => messages !== (before[index] as number) + 1,
      ).length;
      if (deaf > 0) tools.problem(`${deaf} of 20 have not got exactly the good message`);
      for (const peer of [...old, ...young]) peer.destroy();
    },
  },
  {
    name: '1,000 clients are cut at once and come back at once',
    finding: '9',
    async run({ port, scale, problem, note }) {
      const count = scaled(1_000, scale);
      const peers = await each(count, 50, () => openStomp(port));
      for (const peer of peers) peer.socket.resetAndDestroy();
      const began = performance.now();
      const back = await Promise.all(peers.map(() => openStomp(port)));
      const lost = back.filter(({ ending }) => ending).length;
      if (lost > 0) problem(`${lost} of ${count} are not back`);
      note(`${count} back in ${(performance.now() - began).toFixed(0)} ms`);
      for (const peer of back) peer.destroy();
      await pause(300);
    },
  },
];

/** Read so many bytes every so many ms. */
async function trickle({ socket }: Peer, bytes: number, ms: number, isOver: { readonly yes: boolean }): Promise<void> {
  socket.pause();
  while (!isOver.yes && !socket.destroyed) {
    await pause(ms);
    const part = socket.read(Math.min(bytes, Math.max(1, socket.readableLength))) as Buffer | null;
    // Read by hand: nobody parses what a sluggard reads.
    if (part === null && socket.readableEnded) return;
  }
}

async function drip({ port, own, passedLimit, problem }: AttackTools, what: 'graphql' | 'stomp'): Promise<void> {
  const peer = own(await (what === 'graphql' ? openGraphql(port, { honest: true }) : openStomp(port)));
  const payload =
    what === 'graphql'
      ? `{"type":"ping","payload":{"a":"${'x'.repeat(90_000)}`
      : `SEND\ndestination:/topic/a\n\n${'x'.repeat(90_000)}`;
  await peer.send(frame(`${payload}${'x'.repeat(9_000)}`).subarray(0, 90_000));
  const began = performance.now();
  let passed = false;
  while (performance.now() - began < 3_500 && !peer.ending) {
    await peer.send(Buffer.from('x'));
    await pause(250);
    if (!passed && performance.now() - began > 1_500) {
      passed = true;
      passedLimit();
    }
  }
  if (!peer.ending) problem('the message drips on and on');
}
