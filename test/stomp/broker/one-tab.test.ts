import { describe, expect, test } from 'vitest';
import { createBus } from '../../../src/bus/bus.ts';
import { createStompDesk, type StompPeer } from '../../support/stomp-desk.ts';

const authenticate = ({ login }: { readonly login?: string | undefined }) => ({ name: login ?? '' });

async function twoTabs() {
  const sessions: string[] = [];
  const bus = createBus({ open: true });
  const onConnect = ({ session }: { readonly session: string }) => void sessions.push(session);
  const desks = [0, 1].map(() => createStompDesk({ authenticate, onConnect, bus }));
  const tabs: StompPeer[] = [];
  for (const { open } of desks) {
    const tab = await open().connect('1.2', { login: 'ann' });
    await tab.send('SUBSCRIBE', { id: 's', destination: '/user/queue/replies' });
    tabs.push(tab);
  }
  const settle = async () => {
    for (const { clock } of desks) await clock.settle();
    return tabs.map((tab) => tab.brief());
  };
  return { desks, tabs, sessions, settle };
}

describe('[STOMP-128] one tab of a user', () => {
  test('is reached by its session, over any broker of the bus; without one all are', async () => {
    const { desks, sessions, settle } = await twoTabs();
    for (const session of [sessions[0], sessions[1], undefined, 'of nobody']) {
      await desks[0]?.broker.send('/user/ann/queue/replies', String(session), { session });
    }
    expect(await settle()).toEqual([
      [`MESSAGE ${sessions[0]}`, 'MESSAGE undefined'],
      [`MESSAGE ${sessions[1]}`, 'MESSAGE undefined'],
    ]);
  });

  test('a client cannot say so', async () => {
    const { tabs, sessions, settle } = await twoTabs();
    const [first = ''] = sessions;
    await tabs[0]?.send('SEND', { destination: '/user/ann/queue/replies', 'for-session': first }, 'all');
    expect(await settle()).toEqual([['MESSAGE all'], ['MESSAGE all']]);
  });

  test.each<[string, unknown, RegExp]>([
    ['/topic/a', 's', /^session must be absent but for \/user\/<name>/],
    ['/queue/a', 's', /^session must be absent/],
    ['/user/ann/queue/a', '', /^session must be the session of a client/],
    ['/user/ann/queue/a', { id: 's' }, /^session must be the session of a client/],
  ])('send to %s with session %j is a TypeError', async (destination, session, words) => {
    const { broker } = createStompDesk();
    await expect(broker.send(destination, 'x', { session: session as string })).rejects.toThrow(words);
  });
});
