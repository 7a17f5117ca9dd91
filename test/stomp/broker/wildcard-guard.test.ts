import { expect, test } from 'vitest';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import { createGate } from '../../support/gate.ts';
import { createStompDesk } from '../../support/stomp-desk.ts';

test('[STOMP-83] the answers that are remembered have a bound, and topics that are forgotten are asked again', async () => {
  const asked: string[] = [];
  const { bus, open } = createStompDesk({
    limits: { maxBacklog: 3 },
    authorize: ({ destination }) => {
      asked.push(destination);
      return destination !== '/topic/x.1';
    },
  });
  const peer = await open().connect();
  await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/**' });
  asked.length = 0;
  const publish = async (name: string): Promise<void> => void (await bus.publish(name, encodeUtf8(name)));
  for (const name of ['x.0', 'x.1', 'x.2', 'x.0', 'x.1']) await publish(name);
  expect(asked).toEqual(['/topic/x.0', '/topic/x.1', '/topic/x.2']);
  // One more than may be remembered: all are forgotten.
  for (const name of ['x.3', 'x.0', 'x.1']) await publish(name);
  expect(asked.slice(3)).toEqual(['/topic/x.3', '/topic/x.0', '/topic/x.1']);
  await peer.raw('\n');
  expect(peer.brief()).toEqual(['x.0', 'x.2', 'x.0', 'x.3', 'x.0'].map((name) => `MESSAGE ${name}`));
});

test('[STOMP-83] a topic whose answer is on its way is not forgotten', async () => {
  const gate = createGate();
  const { bus, open } = createStompDesk({
    limits: { maxBacklog: 2 },
    authorize: ({ destination }) => (destination === '/topic/slow' ? gate.opened.then(() => true) : true),
  });
  const peer = await open().connect();
  await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/**' });
  for (const name of ['slow', 'a', 'b', 'c', 'slow']) await bus.publish(name, encodeUtf8(name));
  gate.open();
  await peer.raw('\n');
  expect(peer.brief()).toEqual(['a', 'b', 'c', 'slow', 'slow'].map((name) => `MESSAGE ${name}`));
});

test('[STOMP-84] what onSubscribe sends at once to the topic arrives, after the first message', async () => {
  const { broker, open } = createStompDesk({
    onSubscribe: ({ destination }) => {
      void broker.send(destination, 'at once');
      return { body: 'first' };
    },
  });
  const peer = await open().connect();
  for (const destination of ['/topic/a', '/queue/a']) {
    await peer.send('SUBSCRIBE', { id: destination, destination });
    expect(peer.brief()).toEqual(['MESSAGE first', 'MESSAGE at once']);
  }
});
