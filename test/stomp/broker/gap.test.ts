import { expect, test } from 'vitest';
import type { Backbone, BackboneSink } from '../../../src/bus/backbone.ts';
import { createBus } from '../../../src/bus/bus.ts';
import { memoryBackbone } from '../../../src/bus/memory-backbone.ts';
import { createStompDesk, type StompDeskOptions, type StompPeer } from '../../support/stomp-desk.ts';

/** A broker over a backbone that says a gap when a test wants it to. */
function gappy(options: StompDeskOptions = {}) {
  const inner = memoryBackbone();
  let sink: BackboneSink | undefined;
  const backbone: Backbone = {
    ...inner,
    open(opened) {
      sink = opened;
      inner.open(opened);
    },
  };
  const bus = createBus({ backbone, open: true });
  return { ...createStompDesk({ bus, ...options }), gap: (name?: string) => sink?.gap(name, undefined) };
}

const told = (peer: StompPeer): string[] =>
  peer.take().map(({ headers, body }) => `${headers['subscription']} ${body} ${headers['messages-lost']}`);

test.each([
  ['the bus decides', undefined],
  ['authorize decides', () => true],
])('[STOMP-122] the message after a gap says so, once, to those whom it concerns; %s', async (_who, authorize) => {
  const desk = gappy({ authorize });
  const peer = await desk.open().connect();
  const destinations = { exact: '/topic/a.b', wild: '/topic/a.*', other: '/topic/c' };
  for (const [id, destination] of Object.entries(destinations)) await peer.send('SUBSCRIBE', { id, destination });
  async function say(body: string): Promise<string[]> {
    await desk.broker.send('/topic/a.b', body);
    await desk.broker.send('/topic/c', body);
    await desk.clock.settle();
    return told(peer);
  }
  desk.gap('a.b');
  expect(await say('1')).toEqual(['exact 1 true', 'wild 1 true', 'other 1 undefined']);
  expect(await say('2')).toEqual(['exact 2 undefined', 'wild 2 undefined', 'other 2 undefined']);
  desk.gap();
  expect(await say('3')).toEqual(['exact 3 true', 'wild 3 true', 'other 3 true']);
  expect([desk.broker.stats().gaps, peer.closed]).toEqual([5, undefined]);
});

test('[STOMP-122] a gap is reported once, however many subscribe, and a SEND cannot forge what is said of it', async () => {
  const desk = gappy();
  const peers = [await desk.open().connect(), await desk.open().connect('1.0')];
  for (const peer of peers) await peer.send('SUBSCRIBE', { id: '1', destination: '/topic/a', ack: 'client' });
  desk.gap('a');
  desk.gap('nobody');
  desk.gap('a');
  const reported = peers.flatMap((peer) => peer.reported).map(String);
  expect(reported).toEqual(Array(2).fill(expect.stringMatching(/Messages of "a" may have been lost/)));
  await peers[0]?.send('SEND', { destination: '/topic/a', 'messages-lost': 'forged' }, 'x');
  await peers[0]?.send('SEND', { destination: '/topic/a', 'messages-lost': 'true' }, 'y');
  for (const peer of peers) expect(told(peer)).toEqual(['1 x true', '1 y undefined']);
  await peers[1]?.send('UNSUBSCRIBE', { id: '1' });
  desk.gap('a');
  expect(desk.broker.stats().gaps).toBe(5);
});
