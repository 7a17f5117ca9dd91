import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { attach, type Bus, createBus, type Endpoint } from 'subwire';
import { stompBroker } from 'subwire/stomp';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type RoomsOptions, rooms } from '../../examples/own-protocol/rooms.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function serve(options: Partial<RoomsOptions> = {}) {
  const errors: unknown[] = [];
  const bus: Bus = createBus({ open: true, onError: (error) => errors.push(error) });
  const server = createServer();
  const endpoint: Endpoint = attach(server, {
    protocols: [rooms({ bus, ...options }), stompBroker({ bus })],
    authenticate: ({ handshake }) => ({ name: new URL(handshake.url, 'ws://x').searchParams.get('user') ?? undefined }),
    limits: { hookTimeout: 300 },
    onError: (error) => errors.push(error),
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(async () => {
    await endpoint.close();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const open = async (user: string, token = 'rooms.v1+json') => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws${user && `?user=${user}`}`, token);
    const heard: { type: string; [name: string]: unknown }[] = [];
    const closed = once(socket, 'close').then(([code, reason]) => `${code} ${reason}`);
    socket.on('message', (data) => heard.push(JSON.parse(String(data))));
    await once(socket, 'open');
    const hear = async (type: string) => {
      for (;;) {
        const found = heard.findIndex((each) => each.type === type);
        if (found >= 0) return heard.splice(found, 1)[0];
        await once(socket, 'message');
      }
    };
    return {
      socket,
      closed,
      hear,
      say: (said: unknown) => socket.send(typeof said === 'string' ? said : JSON.stringify(said)),
    };
  };
  return { bus, endpoint, errors, open };
}

describe('a protocol of somebody else', () => {
  test.each([
    ['no JSON', '{', '4400 Malformed message'],
    ['no object', '5', '4400 Malformed message: a message is an object with a type'],
    ['a type without a text', '{"type":{"toString":1}}', '4400 Malformed message: a message is an object with a type'],
    ['bytes where text is spoken', Buffer.from('{}'), '4400 Malformed message'],
  ])('%s ends its connection, and the others talk on', async (_, said, end) => {
    const { open } = await serve();
    const good = await open('ada');
    good.say({ type: 'join', room: 'a' });
    await good.hear('joined');
    const bad = await open('eve');
    bad.socket.send(said);
    expect(await bad.closed).toBe(end);
    good.say({ type: 'chat', room: 'a', text: 'on' });
    expect(await good.hear('chat')).toMatchObject({ from: 'ada', text: 'on' });
  });

  test('who has no name is not let in', async () => {
    const { open } = await serve();
    expect(await (await open('')).closed).toBe('4401 Unauthorized');
  });

  test('a gate lets in by nothing but true, and one that never answers ends in time', async () => {
    const down = async () => {
      throw new Error('down');
    };
    const answers = [() => undefined, () => 1, () => 'yes', () => ({}), async () => 'yes', down, () => true];
    const { open, errors } = await serve({ mayJoin: () => answers.shift()?.() as never });
    const client = await open('ada');
    for (let attempt = 0; attempt < 6; attempt++) {
      client.say({ type: 'join', room: 'a' });
      expect(await client.hear('error')).toMatchObject({ of: 'join' });
    }
    expect(errors.map(String)).toEqual(['Error: down']);
    client.say({ type: 'join', room: 'a' });
    await client.hear('joined');
    const late = await serve({ mayJoin: () => new Promise(() => {}) });
    const waiting = await late.open('ada');
    waiting.say({ type: 'join', room: 'a' });
    expect(await waiting.closed).toBe('1013 Not available: no answer within 300 ms');
  });

  test('other protocols of the bus reach no room, and a room is bounded for each connection', async () => {
    const { open, bus } = await serve();
    const client = await open('ada');
    for (let room = 0; room < 51; room++) client.say({ type: 'join', room: `r${room}` });
    expect(await client.hear('error')).toMatchObject({ message: 'At most 50 rooms' });
    const stomp = await open('eve', 'v12.stomp').catch(() => undefined);
    stomp?.socket.terminate();
    const heard: string[] = [];
    bus.listen('**', ({ topic }) => heard.push(topic), { protocol: 'stomp' });
    client.say({ type: 'chat', room: 'r1', text: 'x' });
    await client.hear('chat');
    expect(heard).toEqual([]);
    expect(bus.permits('$rooms/r1', 'stomp', 'read')).toBe(false);
    client.socket.close();
    await client.closed;
  });
});
