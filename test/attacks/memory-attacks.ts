import { type Attack, each, pause, scaled } from './attack.ts';
import { frame, openGraphql, openPeer, openStomp, stomp, subscribeMessage } from './peer.ts';

/** JSON that is 20 to 30 times as large once it is read. */
const emptyObjects = (bytes: number): object[] => Array.from({ length: Math.floor(bytes / 3) }, () => ({}));

/** How a connection ends that makes us keep too much, or that is the largest holder when the process is full. */
const overBudget = [1009, 1013, 1008, 4400, 4429];

/** What one peer, or many, make the server keep. */
export const memoryAttacks: readonly Attack[] = [
  {
    name: '1 MB of variables for each of 100 idle subscriptions, over 4 connections',
    finding: 'T1',
    short: 0.05,
    codes: overBudget,
    async run({ port, scale, own }) {
      const variables = { list: emptyObjects(1_000_000) };
      await each(scaled(4, scale, 2), 4, async () => {
        const peer = own(await openGraphql(port));
        for (let id = 0; id < scaled(100, scale) && !peer.ending; id++) {
          await peer.send(frame(subscribeMessage(String(id), 'subscription { idle }', { variables })));
        }
      });
      await pause(1_000 * scale + 200);
    },
  },
  {
    name: '1 MB of extensions, deeply nested, for each of 100 idle subscriptions',
    finding: 'T1',
    codes: overBudget,
    async run({ port, scale, own }) {
      const nested = JSON.parse(`${'{"a":['.repeat(1_500)}${']}'.repeat(1_500)}`) as object;
      const extensions = { many: Array.from({ length: 75 }, () => nested) };
      const peer = own(await openGraphql(port));
      for (let id = 0; id < scaled(100, scale) && !peer.ending; id++) {
        await peer.send(frame(subscribeMessage(String(id), 'subscription { idle }', { extensions })));
      }
      await pause(300);
    },
  },
  {
    name: 'as many names and objects as a message may have, in each of 100 messages of 20 connections',
    finding: 'T1',
    short: 0.05,
    codes: overBudget,
    async run({ port, scale, own }) {
      const many = Array.from({ length: 10_000 }, (_, at) => ({ [`a${at}`]: 1, [`b${at}`]: 2 }));
      const message = frame(subscribeMessage('1', '{ hello }', { variables: { many } }));
      await each(20, 20, async () => {
        const peer = own(await openGraphql(port));
        for (let sent = 0; sent < scaled(100, scale) && !peer.ending; sent++) await peer.send(message);
      });
      await pause(1_000 * scale + 200);
    },
  },
  {
    name: '63 KB of connection_init in each of 1,000 connections',
    finding: 'T1',
    codes: overBudget,
    async run({ port, scale, own }) {
      const params = { list: emptyObjects(63_000) };
      await each(scaled(1_000, scale), 20, async () => own(await openGraphql(port, params)));
      await pause(300);
    },
  },
  {
    name: '100 wildcards of 4,000 segments in each of 60 connections',
    finding: 'T2',
    short: 0.02,
    codes: [1002, 1008, 1009, 1013],
    isCut: true,
    async run({ port, scale, own, passedLimit }) {
      passedLimit();
      await each(scaled(60, scale), 10, async (connection) => {
        const peer = own(await openStomp(port));
        for (let id = 0; id < 100 && !peer.ending; id++) {
          const destination = `/topic/${Array.from({ length: 4_000 }, (_, at) => 'abcdefgh'[(at * id + connection) % 8])
            .join('.')
            .slice(0, 7_990)}.*`;
          await peer.send(frame(stomp('SUBSCRIBE', { id, destination })));
        }
      });
      await pause(300);
    },
  },
  {
    name: 'tiny SENDs in transactions that never end, 20 connections',
    finding: 'T10',
    short: 0.05,
    codes: [1008, 1009, 1013],
    async run({ port, scale, own }) {
      await each(scaled(20, scale), 5, async () => {
        const peer = own(await openStomp(port));
        for (let transaction = 0; transaction < 100 && !peer.ending; transaction++) {
          const send = stomp('SEND', { destination: '/queue/t', transaction, 'x-a': 1, 'x-b': 2 }, 'a');
          await peer.send(frame(stomp('BEGIN', { transaction }) + send.repeat(900)));
        }
      });
      await pause(300);
    },
  },
  {
    name: 'backlogs of 15 MB of bodies over each of 60 subscriptions of one connection',
    finding: 'T10',
    codes: [1008, 1009, 1013],
    async run({ port, scale, own }) {
      const reader = own(await openStomp(port));
      const writer = own(await openStomp(port));
      const subscriptions = scaled(60, scale);
      for (let id = 0; id < subscriptions; id++) {
        const headers = { id, destination: `/topic/b${id}`, ack: 'client', 'prefetch-count': 1 };
        await reader.send(frame(stomp('SUBSCRIBE', headers)));
      }
      const body = 'x'.repeat(500_000);
      for (let id = 0; id < subscriptions && !reader.ending; id++) {
        const message = frame(stomp('SEND', { destination: `/topic/b${id}` }, body));
        for (let sent = 0; sent < 30; sent++) await writer.send(message);
      }
      await pause(300);
    },
  },
  {
    name: 'a backlog of 100 × 1,000 messages of 3 bytes',
    finding: 'T10',
    memory: 120,
    codes: [1008, 1009, 1013],
    async run({ port, scale, own }) {
      const reader = own(await openStomp(port));
      const writer = own(await openStomp(port));
      for (let id = 0; id < 100; id++) {
        await reader.send(
          frame(stomp('SUBSCRIBE', { id, destination: `/topic/s${id}`, ack: 'client', 'prefetch-count': 1 })),
        );
      }
      for (let round = 0; round < scaled(10, scale) && !writer.ending; round++) {
        for (let id = 0; id < 100; id++) {
          await writer.send(frame(stomp('SEND', { destination: `/topic/s${id}` }, 'abc').repeat(99)));
        }
        await pause(20);
      }
      await pause(300);
    },
  },
  {
    name: '10,000 kept messages of 1 byte beside traffic that is thrown away',
    finding: 'T10',
    memory: 60,
    codes: [1008, 1009, 1013],
    async run({ port, scale, own }) {
      const writer = own(await openStomp(port));
      const noise = stomp('SEND', { destination: '/topic/nobody' }, 'x'.repeat(7_000));
      for (let kept = 0; kept < scaled(10_000, scale) && !writer.ending; kept++) {
        await writer.send(frame(stomp('SEND', { destination: '/queue/kept' }, 'a') + noise));
      }
      await pause(300);
      const reader = own(await openStomp(port));
      await reader.send(frame(stomp('SUBSCRIBE', { id: 1, destination: '/queue/kept' })));
      await pause(500);
    },
  },
  {
    name: 'deliveries of a queue that are never acknowledged, 20 connections',
    finding: 'T10',
    codes: [1008, 1009, 1013],
    async run({ port, scale, own }) {
      const writer = own(await openStomp(port));
      const readers = await each(scaled(20, scale), 5, async () => own(await openStomp(port)));
      for (const reader of readers) {
        const headers = { id: 1, destination: '/queue/owed', ack: 'client-individual', 'prefetch-count': 1_000 };
        await reader.send(frame(stomp('SUBSCRIBE', headers)));
      }
      const some = frame(stomp('SEND', { destination: '/queue/owed' }, 'x'.repeat(200)).repeat(100));
      for (let sent = 0; sent < scaled(90, scale) && !writer.ending; sent++) await writer.send(some);
      await pause(500);
      for (const reader of readers) reader.destroy();
      await pause(200);
      const last = own(await openStomp(port));
      await last.send(frame(stomp('SUBSCRIBE', { id: 1, destination: '/queue/owed' })));
      await pause(500);
    },
  },
  {
    name: '10,000 queues by name, then the client leaves: others have theirs',
    finding: 'T4',
    short: 1,
    codes: [1008, 1009, 1013],
    async run({ port, own, problem }) {
      const peer = own(await openStomp(port));
      for (let name = 0; name < 10_000 && !peer.ending; name += 100) {
        const sends = Array.from({ length: 100 }, (_, more) =>
          stomp('SEND', { destination: `/queue/n${name + more}` }, 'a'),
        );
        await peer.send(frame(sends.join('')));
      }
      await pause(200);
      peer.destroy();
      await othersUseQueues(port, problem);
    },
  },
  {
    name: '258 MB of bodies in queues, then the client leaves: others have theirs',
    finding: 'T4',
    memory: 400,
    codes: [1008, 1009, 1013],
    async run({ port, scale, own, problem }) {
      const peer = own(await openStomp(port));
      const body = 'x'.repeat(1_000_000);
      for (let sent = 0; sent < scaled(258, scale) && !peer.ending; sent++) {
        await peer.send(frame(stomp('SEND', { destination: `/queue/f${sent}` }, body)));
      }
      await pause(200);
      peer.destroy();
      await othersUseQueues(port, problem);
    },
  },
  {
    name: 'operation ids of 1 MB, which every event repeats',
    finding: 'T11',
    short: 1,
    codes: [1009, 4400, 1008],
    isCut: true,
    memory: 60,
    async run({ port, own, ask, passedLimit, note }) {
      const peer = own(await openGraphql(port));
      passedLimit();
      await peer.send(frame(subscribeMessage('i'.repeat(1_000_000), 'subscription { tick { text } }')));
      await pause(300);
      await ask('publish', { count: 20, size: 10 });
      await pause(200);
      note(`${(peer.received / 1e6).toFixed(1)} MB came back`);
    },
  },
  {
    name: '400 connections where there are descriptors for 100',
    finding: '9',
    server: { descriptors: 120 },
    codes: [0, 503, 1006],
    async run({ port, own, problem }) {
      const peers = await each(400, 50, () =>
        Promise.race([openPeer({ port, protocol: 'v12.stomp' }).then(own), pause(1_500).then(() => undefined)]),
      );
      for (const peer of peers) peer?.destroy();
      await pause(500);
      const late = await Promise.race([openStomp(port), pause(3_000).then(() => undefined)]);
      if (!late || late.ending) problem('nobody can connect any more');
      late?.destroy();
    },
  },
];

/** A client that was not there before sends to a queue that is not there, and another gets it. */
async function othersUseQueues(port: number, problem: (what: string) => void): Promise<void> {
  await pause(200);
  const consumer = await openStomp(port);
  const publisher = await openStomp(port);
  const arrived = consumer.wait('for others').then(
    () => undefined,
    (error: unknown) => String(error),
  );
  await consumer.send(frame(stomp('SUBSCRIBE', { id: 1, destination: '/queue/others' })));
  await publisher.send(frame(stomp('SEND', { destination: '/queue/others' }, 'for others')));
  const failed = await Promise.race([arrived, pause(1_500).then(() => 'nothing came')]);
  if (failed !== undefined) problem(`others cannot use queues: ${failed}`);
  consumer.destroy();
  publisher.destroy();
}
