import { performance } from 'node:perf_hooks';
import { type Attack, each, pause, scaled } from './attack.ts';
import { frame, openGraphql, openStomp, stomp, subscribeMessage } from './peer.ts';

const rateCodes = [1008, 1009, 1013, 1002];

/** What one read, or one flood, makes the server do. */
export const timeAttacks: readonly Attack[] = [
  {
    name: '500 branching patterns, and SENDs to names of 4 KB that match many',
    finding: 'T2, T5',
    codes: rateCodes,
    async run({ port, scale, own }) {
      for (let connection = 0; connection < 5; connection++) {
        const peer = own(await openStomp(port));
        for (let id = 0; id < 100; id++) {
          const number = connection * 100 + id;
          const segments = Array.from({ length: 9 }, (_, bit) => ((number >> bit) & 1 ? '*' : 'a'));
          const destination = `/topic/${[...segments, ...Array<string>(1_900).fill('a'), 'z'].join('.')}`;
          await peer.send(frame(stomp('SUBSCRIBE', { id, destination })));
        }
      }
      const peer = own(await openStomp(port));
      const name = `/topic/${Array<string>(2_000).fill('a').join('.')}`;
      for (let sent = 0; sent < scaled(200, scale) && !peer.ending; sent += 20) {
        await peer.send(frame(stomp('SEND', { destination: name }, 'x').repeat(20)));
      }
      await pause(1_000 * scale + 300);
    },
  },
  {
    name: '500 branching patterns of at most 32 segments, and SENDs that match many',
    finding: 'T2, T5',
    codes: rateCodes,
    async run({ port, scale, own }) {
      for (let connection = 0; connection < 5; connection++) {
        const peer = own(await openStomp(port));
        for (let id = 0; id < 100; id++) {
          const number = connection * 100 + id;
          const segments = Array.from({ length: 9 }, (_, bit) => ((number >> bit) & 1 ? '*' : 'a'));
          const destination = `/topic/${[...segments, ...Array<string>(20).fill('*'), 'z'].join('.')}`;
          await peer.send(frame(stomp('SUBSCRIBE', { id, destination })));
        }
      }
      const peer = own(await openStomp(port));
      const sends = Array.from({ length: 2_000 }, (_, at) =>
        stomp('SEND', { destination: `/topic/${[...Array<string>(29).fill('a'), `q${at}`].join('.')}` }, 'x'),
      );
      for (let sent = 0; sent < scaled(20_000, scale) && !peer.ending; sent += 2_000)
        await peer.send(frame(sends.join('')));
      await pause(1_000 * scale + 300);
    },
  },
  {
    name: 'one message of 30,000 SENDs to a topic with 100 subscriptions',
    finding: 'T5, T7',
    short: 0.1,
    codes: rateCodes,
    async run({ port, scale, own }) {
      const readers = await each(10, 10, async () => own(await openStomp(port)));
      for (const reader of readers) {
        for (let id = 0; id < 10; id++)
          await reader.send(frame(stomp('SUBSCRIBE', { id, destination: '/topic/many' })));
      }
      const peer = own(await openStomp(port));
      await peer.send(frame(stomp('SEND', { destination: '/topic/many' }).repeat(scaled(30_000, scale))));
      await pause(4_000 * scale + 500);
    },
  },
  {
    name: 'SENDs as fast as they are taken to a topic with 300 subscribers',
    finding: 'T5',
    codes: rateCodes,
    async run({ port, scale, own }) {
      const readers = await each(300, 50, async () => own(await openStomp(port)));
      for (const reader of readers) await reader.send(frame(stomp('SUBSCRIBE', { id: 1, destination: '/topic/loud' })));
      const peer = own(await openStomp(port));
      const some = frame(stomp('SEND', { destination: '/topic/loud' }, 'x'.repeat(20)).repeat(100));
      const until = performance.now() + 8_000 * scale;
      while (performance.now() < until && !peer.ending) await peer.send(some);
      peer.destroy();
      await pause(300);
    },
  },
  {
    name: '100,000 tiny SENDs to 100 subscriptions that owe ACKs',
    finding: 'T5',
    codes: rateCodes,
    async run({ port, scale, own }) {
      const reader = own(await openStomp(port));
      for (let id = 0; id < 100; id++) {
        await reader.send(
          frame(stomp('SUBSCRIBE', { id, destination: '/queue/owed2', ack: 'client', 'prefetch-count': 1 })),
        );
      }
      const peer = own(await openStomp(port));
      const some = frame(stomp('SEND', { destination: '/queue/owed2' }).repeat(1_000));
      for (let sent = 0; sent < scaled(100_000, scale) && !peer.ending; sent += 1_000) await peer.send(some);
      await pause(300);
    },
  },
  {
    name: '200 pairs of UNSUBSCRIBE and SUBSCRIBE beside 5,000 consumers that owe ACKs',
    finding: 'T5',
    codes: rateCodes,
    async run({ port, scale, own }) {
      const destination = '/queue/pairs';
      await each(scaled(50, scale), 10, async () => {
        const peer = own(await openStomp(port));
        const subscribes = Array.from({ length: 100 }, (_, id) =>
          stomp('SUBSCRIBE', { id, destination, ack: 'client', 'prefetch-count': 1 }),
        );
        await peer.send(frame(subscribes.join('')));
      });
      const peer = own(await openStomp(port));
      for (let sent = 0; sent < 6_000; sent += 1_000) {
        await peer.send(frame(stomp('SEND', { destination }, 'x').repeat(1_000)));
      }
      await pause(300);
      const pair = stomp('UNSUBSCRIBE', { id: 1 }) + stomp('SUBSCRIBE', { id: 1, destination, ack: 'client' });
      await peer.send(frame(stomp('SUBSCRIBE', { id: 1, destination, ack: 'client' }) + pair.repeat(200)));
      await pause(2_000 * scale + 300);
    },
  },
  {
    name: 'refused documents of 25 KB, each another',
    finding: 'T5',
    codes: [1008, 1009, 1013, 4429],
    async run({ port, scale, own, note }) {
      const peer = own(await openGraphql(port));
      const until = performance.now() + 8_000 * scale;
      let sent = 0;
      while (performance.now() < until && !peer.ending) {
        const fields = Array.from({ length: 2_400 }, (_, at) => `f${sent}x${at}:unknown`)
          .join(' ')
          .slice(0, 25_000);
        await peer.send(frame(subscribeMessage(String(sent++), `{ ${fields} }`)));
        await pause(1);
      }
      note(`${sent} sent`);
      peer.destroy();
      await pause(300);
    },
  },
  {
    name: 'one refused document of 25 KB, again and again',
    finding: 'T5',
    codes: [1008, 1009, 1013, 4429],
    async run({ port, scale, own, note }) {
      const peer = own(await openGraphql(port));
      const query = `{ ${Array.from({ length: 1_200 }, (_, at) => `a { hello(name: "${at}") }`).join(' ')} }`.slice(
        0,
        25_000,
      );
      const until = performance.now() + 8_000 * scale;
      let sent = 0;
      while (performance.now() < until && !peer.ending) {
        await peer.send(frame(subscribeMessage(String(sent++), query)));
        await pause(1);
      }
      note(`${sent} sent`);
      peer.destroy();
      await pause(300);
    },
  },
  {
    name: 'one small query as fast as it is taken',
    finding: 'T5',
    codes: [1008, 1013, 4409],
    async run({ port, scale, own, note }) {
      const peer = own(await openGraphql(port));
      const until = performance.now() + 8_000 * scale;
      let sent = 0;
      while (performance.now() < until && !peer.ending) {
        const some: Buffer[] = [];
        for (let count = 0; count < 200; count++) some.push(frame(subscribeMessage(String(sent++), '{ hello }')));
        await peer.send(Buffer.concat(some));
      }
      note(`${sent} sent`);
      peer.destroy();
      await pause(300);
    },
  },
  {
    name: 'bodies that do not decode: a log that is itself the flood',
    finding: 'T5, 9',
    short: 0.05,
    codes: rateCodes,
    reports: 20,
    async run({ port, scale, own }) {
      const readers = await each(10, 10, async () => own(await openGraphql(port)));
      for (const reader of readers) await reader.send(frame(subscribeMessage('1', 'subscription { tick { text } }')));
      const peer = own(await openStomp(port));
      const some = frame(stomp('SEND', { destination: '/topic/ticks' }, '{no json').repeat(100));
      for (let sent = 0; sent < scaled(100_000, scale) && !peer.ending; sent += 100) await peer.send(some);
      await pause(500);
    },
  },
  {
    name: 'pings as fast as they are taken, and no pong is read',
    finding: 'T17',
    codes: [1006, 1008, 1013],
    isCut: true,
    memory: 60,
    async run({ port, scale, own, passedLimit }) {
      const peer = own(await openStomp(port));
      peer.socket.pause();
      const pings = Buffer.concat(Array.from({ length: 500 }, () => frame('p'.repeat(125), 9)));
      passedLimit();
      const over = new Promise<void>((resolve) => peer.socket.once('close', () => resolve()));
      for (let round = 0; round < scaled(3_000, scale) && !peer.socket.destroyed; round++) {
        if (!peer.socket.write(pings)) {
          await Promise.race([new Promise<void>((resolve) => peer.socket.once('drain', resolve)), over, pause(200)]);
        }
      }
      peer.socket.resume();
      await Promise.race([over, pause(1_000)]);
    },
  },
  {
    name: 'pings as fast as they are taken, and every pong is read',
    finding: 'T7, T17',
    codes: [1006, 1008, 1013],
    memory: 60,
    async run({ port, scale, own, note }) {
      const peer = own(await openStomp(port));
      const pings = Buffer.concat(Array.from({ length: 500 }, () => frame('p', 9)));
      const until = performance.now() + 4_000 * scale;
      let sent = 0;
      while (performance.now() < until && !peer.ending) {
        await peer.send(pings);
        sent += 500;
      }
      note(`${sent} pings`);
      peer.destroy();
      await pause(200);
    },
  },
  {
    name: 'a peer that ignores its close and sends on',
    finding: 'T17',
    short: 0.1,
    codes: [1002, 1006],
    memory: 80,
    async run({ port, scale, own, note }) {
      const peer = own(await openStomp(port, false));
      const some = frame('x'.repeat(60_000));
      await peer.send(frame('SHOUT\n\n\0'));
      const until = performance.now() + 5_000 * scale;
      while (performance.now() < until && !peer.socket.destroyed) {
        if (!peer.socket.write(some))
          await Promise.race([new Promise((resolve) => peer.socket.once('drain', resolve)), pause(200)]);
        peer.sent += some.length;
      }
      note(`${(peer.sent / 1e6).toFixed(0)} MB were taken`);
      peer.destroy();
      await pause(200);
    },
  },
];
