import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { attach } from '../../src/adapters/attach.ts';
import { type BusOptions, createBus } from '../../src/bus/bus.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';
import { topicEvents } from '../../src/events/topic-events.ts';
import { stompBroker } from '../../src/stomp/index.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

interface Event {
  readonly [field: string]: string;
}

async function serve(options: Partial<Parameters<typeof attach>[1]> = {}, busOptions: BusOptions = {}) {
  const bus = createBus({ open: { 'news.**': 'read', shut: 'none' }, ...busOptions });
  const server = createServer();
  const endpoint = attach(server, { protocols: [stompBroker({ bus })], onError() {}, ...options });
  const handle = topicEvents({ endpoint, bus });
  server.on(
    'request',
    (request, response) => handle(request, response) || response.writeHead(404).end('the application'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(async () => {
    await endpoint.close();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const publish = (name: string, text: string) => bus.publish(name, encodeUtf8(text));

  async function open(query: string, headers: Record<string, string> = {}) {
    const leaving = new AbortController();
    const response = await fetch(`http://127.0.0.1:${port}/events${query}`, { headers, signal: leaving.signal });
    const events: Event[] = [];
    let ended = false;
    const reading = (async () => {
      let text = '';
      for await (const piece of response.body ?? []) {
        text += Buffer.from(piece).toString();
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) {
          const fields: Record<string, string> = {};
          for (const line of block.split('\n')) {
            const at = line.indexOf(': ');
            const name = line.slice(0, at);
            fields[name] = name in fields ? `${fields[name]}\n${line.slice(at + 2)}` : line.slice(at + 2);
          }
          events.push(fields);
        }
      }
      ended = true;
    })().catch(() => {});
    stops.push(() => leaving.abort());
    return {
      response,
      events,
      /** What was told beside when to come back. */
      told: () => events.filter((each) => !('retry' in each)),
      leave: () => leaving.abort(),
      ended: () => ended,
      reading,
    };
  }
  return { bus, endpoint, server, port, publish, open };
}

describe('topics for an EventSource', () => {
  test('[EVENTS-1] one event for each message, with its place and each of its lines; and when to come back', async () => {
    const { open, publish } = await serve();
    const reader = await open('?topic=news.a');
    expect(reader.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    await expect.poll(() => reader.events).toEqual([{ retry: expect.stringMatching(/^1\d{3}$/) }]);
    await publish('news.a', 'one\ntwo\r\n\rthree');
    await publish('news.b', 'of somebody else');
    await publish('news.a', '');
    await expect.poll(reader.told).toEqual([
      { id: expect.stringMatching(/^\w+:\d+$/), data: 'one\ntwo\n\nthree' },
      { id: expect.any(String), data: '' },
    ]);
  });

  test('[EVENTS-2] several topics, and patterns, are told apart by the type of the event', async () => {
    const { open, publish } = await serve();
    const reader = await open('?topic=news.*&topic=news.a.b');
    await expect.poll(() => reader.events).toHaveLength(1);
    await publish('news.a', 'x');
    await publish('news.a.b', 'y');
    await expect.poll(reader.told).toMatchObject([
      { event: 'news.a', data: 'x' },
      { event: 'news.a.b', data: 'y' },
    ]);
  });

  test('[EVENTS-3] who comes back is told what it missed, each once and in order; or that it is not known', async () => {
    const { open, publish } = await serve();
    const stays = await open('?topic=news.a');
    const first = await open('?topic=news.a');
    await expect.poll(() => first.events).toHaveLength(1);
    await publish('news.a', '0');
    await expect.poll(first.told).toHaveLength(1);
    const { id = '' } = first.told()[0] ?? {};
    first.leave();
    for (let number = 1; number < 50; number++) await publish('news.a', String(number));
    const publishing = (async () => {
      for (let number = 50; number < 100; number++) await publish('news.a', String(number));
    })();
    const second = await open('?topic=news.a', { 'last-event-id': id });
    await publishing;
    await expect
      .poll(() => second.told().map(({ data }) => Number(data)))
      .toEqual(Array.from({ length: 99 }, (_, n) => n + 1));
    await expect.poll(() => stays.told()).toHaveLength(100);
    for (const wrong of ['x', 'elsewhere:5', `${id}0000000`]) {
      const third = await open('?topic=news.a', { 'last-event-id': wrong });
      await expect.poll(third.told).toEqual([{ event: 'gap', data: '' }]);
    }
  });

  test.each([
    ['', 400, /There is no topic: \?topic=prices/],
    ['?topic=', 400, /topic: a name/],
    [`?${Array.from({ length: 51 }, (_, n) => `topic=a${n}`).join('&')}`, 400, /At most 50 topics/],
    ['?topic=shut', 403, /Forbidden: shut/],
    ['?topic=%24user%2Fann%2Fqueue%2Fa', 403, /Forbidden/],
  ])('[EVENTS-4] %s is refused with words, and nobody hears of it', async (query, status, words) => {
    const { open, endpoint, port } = await serve();
    const { response } = await open(query);
    expect(response.status).toBe(status);
    expect(await (await fetch(`http://127.0.0.1:${port}/events${query}`)).text()).toMatch(words);
    await expect.poll(() => endpoint.stats().open).toBe(0);
  });

  test('[EVENTS-4] who is not let in gets 401, a foreign page 403, another method 405; private names are read by no pattern', async () => {
    const { open, port } = await serve({ authenticate: ({ handshake }) => handshake.headers['x-token'] === 'good' });
    expect((await open('?topic=news.a')).response.status).toBe(401);
    expect((await open('?topic=news.a', { 'x-token': 'good' })).response.status).toBe(200);
    expect((await open('?topic=news.a', { origin: 'https://evil.example' })).response.status).toBe(403);
    expect((await fetch(`http://127.0.0.1:${port}/events?topic=a`, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`http://127.0.0.1:${port}/else`)).status).toBe(404);
    const { open: openAll, publish } = await serve();
    const reader = await openAll('?topic=**');
    await expect.poll(() => reader.events).toHaveLength(1);
    await publish('$secret/a', 'x');
    await publish('shut', 'x');
    await publish('news.a', 'y');
    await expect.poll(reader.told).toMatchObject([{ event: 'news.a' }]);
  });

  test('[EVENTS-5] a drain ends the answer, so that browsers come back elsewhere; who leaves leaves nothing', async () => {
    const { open, endpoint, bus } = await serve();
    const reader = await open('?topic=news.a');
    const other = await open('?topic=news.a');
    await expect.poll(() => bus.stats().listeners).toBe(2);
    other.leave();
    await expect.poll(() => [bus.stats().listeners, endpoint.stats().open]).toEqual([1, 1]);
    await endpoint.drain({ deadline: 1_000 });
    await expect.poll(reader.ended).toBe(true);
    expect([bus.stats().listeners, endpoint.stats().open]).toEqual([0, 0]);
  });

  test('[EVENTS-6] wrong options are named', () => {
    const bus = createBus();
    const endpoint = attach(createServer(), { protocols: [stompBroker({ bus })] });
    expect(() => topicEvents({ endpoint } as never)).toThrow('topicEvents() needs a bus');
    expect(() => topicEvents({ bus } as never)).toThrow(/topicEvents\(\) needs the endpoint/);
    expect(() => topicEvents({ endpoint, bus, topics: [] } as never)).toThrow('topicEvents() has no option "topics"');
  });
});
