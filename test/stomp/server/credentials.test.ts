import { expect, test } from 'vitest';
import type { Authenticate } from '../../../src/core/subprotocol.ts';
import { RelayScene } from '../../support/relay-scene.ts';
import { createStompDesk } from '../../support/stomp-desk.ts';

const destination = '/app/$credentials';

/** `passcode` is the name of a user. */
function scene(more: Parameters<typeof createStompDesk>[0] = {}) {
  const shown: unknown[] = [];
  const authenticate: Authenticate = async ({ login, passcode, host, headers }) => {
    shown.push([login, passcode, host, Object.fromEntries(headers ?? [])]);
    if (passcode === 'bug') throw new Error('hook');
    return passcode === 'bad' ? false : { name: passcode ?? 'ann' };
  };
  return { ...createStompDesk({ authenticate, ...more }), shown };
}

test('[STOMP-123] new credentials are looked at like those of CONNECT, and the frames behind them wait', async () => {
  const sent: string[] = [];
  const { open, shown } = scene({ onSend: ({ destination: to }) => void sent.push(to), authorize: () => true });
  const peer = await open().connect('1.2', { login: 'l', passcode: 'ann' });
  peer.put('SEND', { destination, login: 'l', passcode: 'ann', token: 't', receipt: '1' }, 'body');
  await peer.send('SEND', { destination: '/app/x', receipt: '2' });
  expect(peer.brief()).toEqual(['RECEIPT 1', 'RECEIPT 2']);
  expect(shown[1]).toEqual(['l', 'ann', undefined, { login: 'l', passcode: 'ann', token: 't' }]);
  expect([sent, peer.closed]).toEqual([['/app/x'], undefined]);
});

test.each([
  ['that are refused', 'bad', /the new credentials were not accepted/, 1008],
  ['of another user', 'bob', /the new credentials are of another user/, 1008],
  ['at which the hook throws', 'bug', /./, 1011],
])(
  '[STOMP-123] credentials %s end the connection, and nothing behind them is read',
  async (_what, passcode, words, code) => {
    const sent: string[] = [];
    const { open } = scene({ onSend: ({ destination: to }) => void sent.push(to) });
    const peer = await open().connect('1.2', { passcode: 'ann' });
    peer.put('SEND', { destination, passcode, receipt: '1' });
    await peer.send('SEND', { destination: '/app/x' });
    expect(peer.brief().join()).toMatch(words);
    expect([peer.closed?.code, sent]).toEqual([code, []]);
  },
);

test('[STOMP-123] they have no place in a transaction', async () => {
  const peer = await scene().open().connect('1.2', { passcode: 'ann' });
  await peer.send('BEGIN', { transaction: 't' });
  await peer.send('SEND', { destination, passcode: 'ann', transaction: 't' });
  expect(peer.closed?.code).toBe(1002);
});

test('[STOMP-123] a token that is new keeps a connection whose old one expires', async () => {
  let validFor = 2_000;
  const desk = createStompDesk({
    authenticate: () => ({ name: 'ann', expiresAt: desk.clock.wall() + validFor }),
  });
  const peer = await desk.open().connect('1.2', { 'heart-beat': '0,0' });
  desk.clock.advance(1_000);
  validFor = 6_000;
  await peer.send('SEND', { destination, receipt: '1' });
  desk.clock.advance(3_000);
  expect([peer.brief(), peer.closed]).toEqual([['RECEIPT 1'], undefined]);
  desk.clock.advance(4_000);
  expect(peer.closed?.code).toBe(4403);
});

test('[STOMP-123] a relay keeps them to itself', async () => {
  const relay = new RelayScene({ authenticate: () => ({ name: 'ann' }) });
  const client = relay.client();
  client.say('CONNECT\naccept-version:1.2\nhost:here\n\n\0');
  await relay.clock.settle();
  const broker = relay.accept();
  broker.say('CONNECTED\nversion:1.2\n\n\0');
  client.heard();
  broker.heard();
  client.say(`SEND\ndestination:${destination}\npasscode:secret\nreceipt:1\n\n\0`);
  await relay.clock.settle();
  expect([client.heard(), broker.heard()]).toEqual([['RECEIPT\nreceipt-id:1\n\n\0'], []]);
});
