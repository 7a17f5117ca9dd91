import { expect, test } from 'vitest';
import { problemOfTopic } from '../../../src/bus/names.ts';
import { createDestinations } from '../../../src/stomp/server/destinations.ts';

const destinations = createDestinations();
const owner = (user: string) => ({ user, session: 's' });

test.each(['ada', 'ada.lovelace', 'a/b', '*', '**', 'a%2Eb', 'a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z'])(
  '[STOMP-120] the name %s of a user is one segment of a topic, and what is sent to it arrives',
  (user) => {
    const subscribed = destinations.toSubscribe('/user/prices', owner(user));
    const sent = destinations.toSend(`/user/${encodeURIComponent(user)}/prices`);
    expect(sent).toEqual(subscribed);
    const name = 'topic' in subscribed ? subscribed.topic : '';
    expect([name.split(/[./]/).length, problemOfTopic(name)]).toEqual([3, undefined]);
    expect(destinations.shown(name)).toBe('/user/prices');
  },
);

test('[STOMP-120] two names of users never become one', () => {
  const names = ['a.b', 'a%2Eb', 'a%b', 'a%25b', 'a*b', 'a%2Ab'];
  const topics = names.map((user) => JSON.stringify(destinations.toSubscribe('/user/q', owner(user))));
  expect(new Set(topics).size).toBe(names.length);
});
