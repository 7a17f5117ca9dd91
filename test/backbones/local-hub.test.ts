import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type LocalHub, localBackbone, startLocalHub } from '../../src/backbones/local.ts';
import { createBus } from '../../src/bus/bus.ts';
import { Server, until } from './world.ts';

let open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.reverse()) await each.close();
  open = [];
});

async function hubOf(options: Parameters<typeof startLocalHub>[0] = {}): Promise<LocalHub> {
  const hub = await startLocalHub(options);
  open.push(hub);
  return hub;
}

function serverOn(hub: LocalHub): Server {
  const server = new Server(localBackbone({ address: hub.address }));
  open.push(server.backbone);
  return server;
}

const pathOf = (hub: LocalHub): string => hub.address.split('@')[1] ?? '';

test('the directory of the socket lets nobody else in, and goes with the hub', async () => {
  const hub = await startLocalHub();
  const directory = dirname(pathOf(hub));
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  await hub.close();
  await expect(stat(directory)).rejects.toThrow('ENOENT');
});

test.each([
  ['rubbish', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['a frame that is too long', Buffer.from([0, 0, 255, 255, 1])],
  ['no JSON', Buffer.from([0, 0, 0, 2, 1, 0x7b])],
  ['null', Buffer.from([0, 0, 0, 5, 1, 0x6e, 0x75, 0x6c, 0x6c])],
  ['messages before the introduction', Buffer.from([0, 0, 0, 2, 2, 0])],
  ['another token', frameOf({ do: 'hello', version: 1, token: 'x', client: 'y' })],
])('a peer that says %s is let go, and nobody else hears of it', async (_what, bytes) => {
  const hub = await hubOf();
  const server = serverOn(hub);
  await server.backbone.subscribe('a');
  const peer = connect(pathOf(hub)).on('error', () => {});
  peer.resume().write(bytes);
  await once(peer, 'close');
  await server.publish('a', '1');
  await server.settled('a');
  expect([server.bodies(), server.states, hub.size]).toEqual([['1'], ['up'], 1]);
});

function frameOf(value: object): Buffer {
  const text = Buffer.from(JSON.stringify(value));
  return Buffer.concat([Buffer.from([0, 0, 0, text.length + 1, 1]), text]);
}

test('a hub takes the place of one that was killed, and not that of one that lives', async () => {
  const hub = await hubOf();
  await expect(startLocalHub({ address: hub.address })).rejects.toThrow('EADDRINUSE');
});

test('the address of the hub comes from the environment; without one it says what to do', async () => {
  expect(() => localBackbone()).toThrow('start this process with the `env` of startLocalHub()');
  expect(() => localBackbone({ address: 'nothing' })).toThrow('address must be the address of a hub');
  expect(() => localBackbone({ adress: 'x' } as never)).toThrow('localBackbone() has no option "adress"');
  await expect(startLocalHub({ maxAge: -1 })).rejects.toThrow('maxAge must be a number from 0 up');
  const hub = await hubOf();
  process.env['SUBWIRE_HUB'] = hub.env.SUBWIRE_HUB;
  const bus = createBus({ backbone: localBackbone() });
  delete process.env['SUBWIRE_HUB'];
  open.push(bus);
  const heard: string[] = [];
  await bus.listen('a', ({ body }) => heard.push(Buffer.from(body).toString())).active;
  await bus.publish('a', Buffer.from('1'));
  await until(() => heard.length === 1, 'the message');
});

test('a process that reads nothing costs the hub a bounded memory, and catches up or is told', async () => {
  const hub = await hubOf({ maxBytes: 8_000_000 });
  const [fast, slow] = [serverOn(hub), serverOn(hub)];
  for (const each of [fast, slow]) await each.backbone.subscribe('a');
  expect(hub.size).toBe(2);
  // Somebody with the token who never reads.
  const peer = connect(pathOf(hub)).on('error', () => {});
  peer.write(frameOf({ do: 'hello', version: 1, token: hub.address.split('@')[0], client: 'asleep' }));
  peer.write(frameOf({ do: 'resume', names: ['a'] }));
  peer.pause();
  await until(() => hub.size === 3, 'three processes');
  const body = Buffer.alloc(1_000_000);
  for (let count = 0; count < 80; count++) await fast.backbone.publish('a', body, {});
  await until(() => hub.size === 2, 'the one that sleeps is let go');
  await until(() => slow.messages.length === 80, 'all messages');
  expect(slow.gaps).toEqual([]);
  peer.destroy();
});
