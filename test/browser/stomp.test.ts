import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createStompClient } from '../../src/stomp/client/client.ts';
import { type StompBroker, stompBroker } from '../../src/stomp/index.ts';
import { Mailbox } from '../support/mailbox.ts';
import { openBus } from '../support/open-bus.ts';
import { type Chromium, startChromium } from '../support/programs/chromium.ts';
import { requireProgram } from '../support/programs/program.ts';
import { openScene, type Scene } from './scene.ts';

const browserTest = requireProgram('chromium', test);
let chromium: Chromium;
let broker: StompBroker;
let scene: Scene;

beforeAll(async () => {
  if (browserTest === test) chromium = await startChromium();
});
afterAll(() => chromium?.stop());
beforeEach(async () => {
  broker = stompBroker({ bus: openBus(), open: true });
  if (browserTest !== test) return;
  // A reader may be far behind here: what is looked at is how a browser writes.
  const limits = { highWaterMark: 67_108_864 };
  scene = await openScene(chromium.browser, { protocols: [broker], limits });
});
afterEach(() => scene?.close());

browserTest.each(['1.0', '1.1', '1.2'] as const)(
  'our client in %s: text, bytes, large bodies, receipts',
  async (version) => {
    const { page, url, complaints } = scene;
    const told = await page.evaluate(
      async ({ url, version }) => {
        const client = window.peers.createStompClient({ brokerURL: url, versions: [version] });
        const messages = new window.peers.Mailbox<{ body: string; bytes: Uint8Array }>();
        const destination = '/topic/a';
        client.subscribe(destination, ({ body, bytes }) => messages.put({ body, bytes: bytes.slice() }));
        await client.publish({ destination, body: 'héllo 漢字 😀', receipt: true });
        await client.publish({ destination, body: Uint8Array.of(0, 255, 10, 0), receipt: true });
        await client.publish({ destination, body: 'é'.repeat(500_000), receipt: true });
        const large = Uint8Array.from({ length: 1_000_000 }, (_, index) => index);
        await client.publish({ destination, body: large, receipt: true });
        const [text, bytes, longText, longBytes] = [
          await messages.next(),
          await messages.next(),
          await messages.next(),
          await messages.next(),
        ];
        const { status, subprotocol, latency } = client.state.getSnapshot();
        await client.disconnect();
        return {
          text: text.body,
          bytes: [...bytes.bytes],
          longText: longText.body === 'é'.repeat(500_000),
          longBytes: longBytes.bytes.length === 1_000_000 && longBytes.bytes.every((octet, at) => octet === (at & 255)),
          status,
          subprotocol,
          measured: (latency ?? -1) >= 0,
          end: client.state.getSnapshot().status,
        };
      },
      { url, version },
    );
    expect(told).toEqual({
      text: 'héllo 漢字 😀',
      bytes: [0, 255, 10, 0],
      longText: true,
      longBytes: true,
      status: 'connected',
      subprotocol: `v${version.replace('.', '')}.stomp`,
      measured: true,
      end: 'idle',
    });
    expect(complaints).toEqual([]);
  },
);

browserTest('our client: queues, acknowledgements, transactions, errors', async () => {
  const { page, url } = scene;
  const told = await page.evaluate(async (url) => {
    const client = window.peers.createStompClient({ brokerURL: url, backoff: { base: 10 } });
    await client.connect();
    const destination = '/queue/jobs';
    const transaction = client.begin();
    transaction.publish({ destination, body: 'one' });
    transaction.publish({ destination, body: 'two' });
    await transaction.commit();
    const got = new window.peers.Mailbox<string>();
    let refused = false;
    client.subscribe(
      destination,
      (message) => {
        if (refused) message.ack();
        else message.nack();
        refused = true;
        got.put(message.body);
      },
      { ack: 'client-individual', 'prefetch-count': '1' },
    );
    const bodies = [await got.next(), await got.next(), await got.next()];
    const error = await client
      .publish({ destination, headers: { transaction: 'none' }, receipt: true })
      .catch((error: Error) => error.name);
    await client.publish({ destination: '/topic/a', receipt: true });
    await client.disconnect();
    return { bodies: bodies.sort(), error };
  }, url);
  expect(told.bodies).toHaveLength(3);
  expect(new Set(told.bodies)).toEqual(new Set(['one', 'two']));
  expect(told.error).toBe('StompError');
});

browserTest(
  '[CONN-37] our client: reconnects, brings its subscriptions back, and wakes when it is online',
  async () => {
    const { page, url, sockets } = scene;
    const events = await page.evaluateHandle((url) => {
      let wait = 0;
      const client = window.peers.createStompClient({ brokerURL: url, retry: () => wait });
      const events = new window.peers.Mailbox<string>();
      client.on('connected', () => events.put('connected'));
      client.on('closed', () => events.put('disconnected'));
      client.subscribe('/topic/a', ({ body }) => events.put(body));
      Object.assign(window, {
        publish: (body: string) => client.publish({ destination: '/topic/a', body, receipt: true }),
        waitForEver: () => {
          wait = Number.POSITIVE_INFINITY;
        },
      });
      return events;
    }, url);
    const next = (): Promise<string> => events.evaluate((events) => events.next());
    const publish = (body: string): Promise<void> =>
      page.evaluate((body) => (window as unknown as { publish(body: string): Promise<void> }).publish(body), body);
    const cut = (): void => {
      for (const socket of sockets) socket.destroy();
    };
    expect(await next()).toBe('connected');
    await publish('one');
    expect(await next()).toBe('one');
    cut();
    expect([await next(), await next()]).toEqual(['disconnected', 'connected']);
    await publish('two');
    expect(await next()).toBe('two');
    await page.evaluate(() => (window as unknown as { waitForEver(): void }).waitForEver());
    cut();
    expect(await next()).toBe('disconnected');
    await page.context().setOffline(true);
    const sent = publish('three');
    await page.context().setOffline(false);
    expect([await next(), await next()]).toEqual(['connected', 'three']);
    await sent;
  },
);

browserTest(
  'our client: what the server does not read waits in the queue, and nothing is lost',
  { timeout: 40_000 },
  async () => {
    const { page, url, sockets } = scene;
    const count = 200;
    const reader = createStompClient({ brokerURL: url });
    const bodies = new Mailbox<string>();
    reader.subscribe('/topic/large', ({ body }) => bodies.put(body.slice(0, 3)));
    await reader.publish({ destination: '/topic/fence', receipt: true });
    const others = new Set(sockets);
    await page.evaluate(async (url) => {
      const client = window.peers.createStompClient({ brokerURL: url });
      await client.connect();
      const progress = { written: 0 };
      Object.assign(window, { client, progress });
    }, url);
    const fresh = [...sockets].filter((socket) => !others.has(socket));
    expect(fresh).toHaveLength(1);
    for (const socket of fresh) socket.pause();
    const progress = () =>
      page.evaluate(() => (window as unknown as { progress: { written: number } }).progress.written);
    await page.evaluate((count) => {
      const { client, progress } = window as unknown as {
        client: ReturnType<typeof window.peers.createStompClient>;
        progress: { written: number };
      };
      for (let index = 0; index < count; index++) {
        const body = String(100 + index) + 'x'.repeat(100_000);
        client.publish({ destination: '/topic/large', body }).then(() => progress.written++);
      }
    }, count);
    // It goes on until the buffers of both systems and its own mark are full.
    let before = -1;
    await vi.waitFor(
      async () => {
        const now = await progress();
        const settled = now === before;
        before = now;
        expect(settled).toBe(true);
      },
      { interval: 300, timeout: 10_000 },
    );
    expect(before).toBeLessThan(count);
    for (const socket of fresh) socket.resume();
    for (let index = 0; index < count; index++) expect(await bodies.next()).toBe(String(100 + index));
    expect(await progress()).toBe(count);
    await reader.disconnect();
  },
);

browserTest('stompjs: its own negotiation, text and bytes, a queue, a loss', async () => {
  const { page, url } = scene;
  const events = await page.evaluateHandle((url) => {
    const events = new window.peers.Mailbox<unknown>();
    const client = new window.peers.StompJs({
      brokerURL: url,
      reconnectDelay: 10,
      onConnect: () => {
        events.put(`connected ${client.connectedVersion}`);
        client.subscribe('/topic/a', (message) => {
          events.put(message.headers['own'] === 'bytes' ? [...message.binaryBody] : message.body);
        });
        client.subscribe(
          '/queue/a',
          (message) => {
            message.ack();
            events.put(`queue ${message.body}`);
          },
          { ack: 'client-individual' },
        );
        client.publish({ destination: '/topic/a', body: 'héllo' });
        client.publish({
          destination: '/topic/a',
          binaryBody: Uint8Array.of(0, 255, 10),
          headers: { own: 'bytes' },
        });
        client.publish({ destination: '/queue/a', body: 'job' });
      },
    });
    client.activate();
    return events;
  }, url);
  const next = (): Promise<unknown> => events.evaluate((events) => events.next());
  const round = async (): Promise<void> => {
    expect(await next()).toBe('connected 1.2');
    const got = [await next(), await next(), await next()];
    expect(got).toEqual(expect.arrayContaining(['héllo', 'queue job', [0, 255, 10]]));
  };
  await round();
  await scene.cut();
  await round();
  await vi.waitFor(() => expect(broker.stats().queued).toBe(0));
});
