import { expect, test } from 'vitest';
import type { SentMessage } from '../../support/fake-socket.ts';
import { RelayScene, type RelaySceneOptions } from '../../support/relay-scene.ts';

function scene(options: RelaySceneOptions = {}, versions: { version?: string; brokerVersion?: string } = {}) {
  const made = new RelayScene(options);
  return { scene: made, ...made.connected(versions) };
}

const subscribe = (id: string, more = '', destination = '/queue/a'): string =>
  `SUBSCRIBE\nid:${id}\ndestination:${destination}\n${more}\n\0`;
const message = (subscription: string, id: string, more = ''): string =>
  `MESSAGE\nsubscription:${subscription}\nmessage-id:${id}\ndestination:/queue/a\n${more}\nbody\0`;
const errorOf = (messages: SentMessage[]): string => String(messages.at(-1)).split('\n')[1] ?? '';

test('[RELAY-15] a SEND goes on as it is, its receipt under another name', () => {
  const { client, broker } = scene();
  client.say('SEND\ndestination:/exchange/x\ndurable:true\nreceipt:r\\c1\n\nx\0');
  expect(broker.heard()).toEqual(['SEND\ndestination:/exchange/x\ndurable:true\nreceipt:1\n\nx\0']);
  broker.say('RECEIPT\nreceipt-id:1\n\n\0RECEIPT\nreceipt-id:1\n\n\0');
  expect(client.heard()).toEqual(['RECEIPT\nreceipt-id:r\\c1\n\n\0']);
});

test('[RELAY-15] [STOMP-44] a MESSAGE goes on with the headers that the broker gave it, but for those of its SEND', () => {
  const { client, broker } = scene();
  client.say(subscribe('7'));
  expect(broker.heard()).toEqual(['SUBSCRIBE\nid:7\ndestination:/queue/a\n\n\0']);
  broker.say(message('7', 'm', 'redelivered:false\nack:unasked\nreceipt:2\ntransaction:t\n'));
  expect(client.heard()).toEqual([
    'MESSAGE\nsubscription:7\nmessage-id:m\ndestination:/queue/a\nredelivered:false\n\nbody\0',
  ]);
});

test('[RELAY-8] [RELAY-20] a cumulative ACK is one for each message of its subscription, the receipt with the last', () => {
  const { client, broker } = scene({ limits: { maxUnacknowledged: 50 } });
  client.say(subscribe('7', 'ack:client\n'), subscribe('8', 'ack:client\nprefetch-count:1\n'));
  expect(broker.heard()).toEqual([
    'SUBSCRIBE\nid:7\ndestination:/queue/a\nack:client-individual\nprefetch-count:50\nactivemq.prefetchSize:50\n\n\0',
    'SUBSCRIBE\nid:8\ndestination:/queue/a\nack:client-individual\nprefetch-count:1\n\n\0',
  ]);
  broker.say(message('7', 'a', 'ack:A\n'), message('8', 'b', 'ack:B\n'), message('7', 'c', 'ack:C\n'));
  broker.say(message('7', 'd', 'ack:D\n'));
  expect(client.heard().map((each) => /\nack:(\d)\n/.exec(String(each))?.[1])).toEqual(['1', '2', '3', '4']);
  client.say('ACK\nid:3\nreceipt:r\nx:y\n\n\0');
  expect(broker.heard()).toEqual(['ACK\nid:A\nx:y\n\n\0', 'ACK\nid:C\nx:y\nreceipt:1\n\n\0']);
  client.say('NACK\nid:4\nrequeue:false\n\n\0');
  expect(broker.heard()).toEqual(['NACK\nid:D\nrequeue:false\n\n\0']);
});

test('[RELAY-27] since goes on, and the RECEIPT says that nothing is recovered, unless the broker knows it better', () => {
  const { client, broker } = scene();
  client.say(subscribe('7', 'since:e-1\nreceipt:r\n'), subscribe('8', 'since:now\nreceipt:s\n'));
  client.say(subscribe('9', 'since:e-2\nreceipt:t\n'), subscribe('10', 'since:e-3\n'));
  expect(broker.heard().slice(2)).toEqual([
    'SUBSCRIBE\nid:9\ndestination:/queue/a\nsince:e-2\nreceipt:3\n\n\0',
    'SUBSCRIBE\nid:10\ndestination:/queue/a\nsince:e-3\n\n\0',
  ]);
  broker.say('RECEIPT\nreceipt-id:1\n\n\0RECEIPT\nreceipt-id:2\n\n\0');
  broker.say('RECEIPT\nreceipt-id:3\nrecovered:true\nposition:e-2\nserver:x\n\n\0');
  expect(client.heard()).toEqual([
    'RECEIPT\nreceipt-id:r\nrecovered:false\n\n\0',
    'RECEIPT\nreceipt-id:s\n\n\0',
    'RECEIPT\nreceipt-id:t\nrecovered:true\nposition:e-2\n\n\0',
  ]);
});

test('[RELAY-20] a prefetch that the client names for ActiveMQ stays', () => {
  const { client, broker } = scene();
  client.say(subscribe('7', 'ack:client-individual\nactivemq.prefetchSize:3\n'));
  expect(broker.heard()).toEqual([
    'SUBSCRIBE\nid:7\ndestination:/queue/a\nack:client-individual\nactivemq.prefetchSize:3\n\n\0',
  ]);
});

test('[RELAY-4] [RELAY-8] a broker of 1.1 hears message-id and subscription, whatever the client says', () => {
  const { client, broker } = scene({}, { brokerVersion: '1.1' });
  client.say(subscribe('a\\nb', 'ack:client\n'));
  expect(broker.heard()).toHaveLength(1);
  broker.say(message('a%0Ab', 'm'));
  expect(client.heard()).toEqual(['MESSAGE\nsubscription:a\\nb\nack:1\nmessage-id:m\ndestination:/queue/a\n\nbody\0']);
  client.say('ACK\nid:1\n\n\0');
  expect(broker.heard()).toEqual(['ACK\nmessage-id:m\nsubscription:a%0Ab\n\n\0']);
});

test('[RELAY-4] a broker that gives no ack is answered by message-id', () => {
  const { client, broker } = scene();
  client.say(subscribe('7', 'ack:client\n'));
  broker.heard();
  broker.say(message('7', 'm'));
  client.say('ACK\nid:1\n\n\0');
  expect(broker.heard()).toEqual(['ACK\nid:m\n\n\0']);
});

test('[RELAY-4] [RELAY-10] a client of 1.0 names neither subscription nor ack', () => {
  const { client, broker } = scene({}, { version: '1.0' });
  client.say('SUBSCRIBE\ndestination:/queue/a\nack:client\n\n\0');
  expect(broker.heard()[0]).toMatch(/^SUBSCRIBE\ndestination:\/queue\/a\nack:client-individual\nid:%-1\n/);
  broker.say('MESSAGE\nsubscription:%-1\nmessage-id:m\nack:A\ndestination:/queue/a\ntext:a\\nb\n\nx\0');
  expect(client.heard()).toEqual(['MESSAGE\nmessage-id:m\ndestination:/queue/a\n\nx\0']);
  client.say('ACK\nmessage-id:m\n\n\0UNSUBSCRIBE\ndestination:/queue/a\n\n\0');
  expect(broker.heard()).toEqual(['ACK\nid:A\n\n\0', 'UNSUBSCRIBE\ndestination:/queue/a\nid:%-1\n\n\0']);
});

test('[RELAY-10] a client of 1.0 may use ids all the same', () => {
  const { client, broker } = scene({}, { version: '1.0' });
  client.say(subscribe('7'));
  broker.say(message('7', 'm'));
  expect(client.heard()).toEqual(['MESSAGE\nsubscription:7\nmessage-id:m\ndestination:/queue/a\n\nbody\0']);
  broker.heard();
  client.say('UNSUBSCRIBE\nid:7\n\n\0');
  expect(broker.heard()).toEqual(['UNSUBSCRIBE\nid:7\n\n\0']);
});

test('[RELAY-4] a client of 1.1 acknowledges by message-id and subscription', () => {
  const { client, broker } = scene({}, { version: '1.1' });
  client.say(subscribe('7', 'ack:client\n'));
  broker.heard();
  broker.say(message('7', 'm', 'ack:A\n'));
  expect(client.heard()).toEqual(['MESSAGE\nsubscription:7\nmessage-id:m\ndestination:/queue/a\n\nbody\0']);
  client.say('NACK\nmessage-id:m\nsubscription:7\n\n\0');
  expect(broker.heard()).toEqual(['NACK\nid:A\n\n\0']);
});

test('[RELAY-9] an ABORT brings back what its transaction acknowledged, a COMMIT does not', () => {
  const { client, broker } = scene();
  client.say(subscribe('7', 'ack:client\n'));
  broker.say(message('7', 'a', 'ack:A\n'), message('7', 'b', 'ack:B\n'));
  broker.heard();
  client.say(
    'BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/b\ntransaction:t\n\nx\0ACK\nid:2\ntransaction:t\n\n\0',
  );
  client.say(
    'ABORT\ntransaction:t\n\n\0BEGIN\ntransaction:t\n\n\0ACK\nid:1\ntransaction:t\n\n\0COMMIT\ntransaction:t\n\n\0',
  );
  expect(broker.heard().map((frame) => String(frame).replaceAll('\n', ' ').trim())).toEqual([
    'BEGIN transaction:t  \0',
    'SEND destination:/queue/b transaction:t  x\0',
    'ACK id:A transaction:t  \0',
    'ACK id:B transaction:t  \0',
    'ABORT transaction:t  \0',
    'BEGIN transaction:t  \0',
    'ACK id:A transaction:t  \0',
    'COMMIT transaction:t  \0',
  ]);
  client.say('ACK\nid:1\n\n\0');
  expect(errorOf(client.heard())).toMatch(/does not wait for one/);
});

test('[RELAY-11] what was under way at UNSUBSCRIBE is dropped, replies of a queue that the broker made go on', () => {
  const { client, broker } = scene();
  client.say(subscribe('7', 'ack:client\n'));
  broker.say(message('7', 'a'));
  client.heard();
  client.say('UNSUBSCRIBE\nid:7\n\n\0');
  broker.say(message('7', 'b'), message('/temp-queue/r', 'c'), 'MESSAGE\nmessage-id:d\ndestination:/queue/a\n\n\0');
  expect(client.heard()).toEqual(['MESSAGE\nsubscription:/temp-queue/r\nmessage-id:c\ndestination:/queue/a\n\nbody\0']);
});

const refusals: readonly [what: string, frame: string, code: number, words: RegExp][] = [
  ['SEND without destination', 'SEND\n\n\0', 1002, /SEND without destination/],
  ['SEND in a transaction that is not open', 'SEND\ndestination:/a\ntransaction:t\n\n\0', 1002, /not open/],
  ['SUBSCRIBE without destination', 'SUBSCRIBE\nid:1\n\n\0', 1002, /SUBSCRIBE without destination/],
  ['SUBSCRIBE without id', 'SUBSCRIBE\ndestination:/a\n\n\0', 1002, /SUBSCRIBE without id/],
  ['SUBSCRIBE with an unknown mode', 'SUBSCRIBE\nid:1\ndestination:/a\nack:maybe\n\n\0', 1002, /ack mode maybe/],
  ['SUBSCRIBE with an id in use', subscribe('7') + subscribe('7'), 1002, /id that is in use/],
  ['UNSUBSCRIBE without id', 'UNSUBSCRIBE\n\n\0', 1002, /UNSUBSCRIBE without id/],
  ['UNSUBSCRIBE of nothing', 'UNSUBSCRIBE\nid:1\n\n\0', 1002, /does not exist/],
  ['ACK without id', 'ACK\n\n\0', 1002, /ACK without id/],
  ['ACK of nothing', 'ACK\nid:1\n\n\0', 1002, /does not wait/],
  ['BEGIN without transaction', 'BEGIN\n\n\0', 1002, /BEGIN without transaction/],
  ['BEGIN twice', 'BEGIN\ntransaction:t\n\n\0BEGIN\ntransaction:t\n\n\0', 1002, /open already/],
  ['COMMIT of nothing', 'COMMIT\ntransaction:t\n\n\0', 1002, /not open/],
  ['a second CONNECT', 'CONNECT\naccept-version:1.2\n\n\0', 1002, /second CONNECT/],
  ['an unknown command', 'PUBLISH\nreceipt:r\n\n\0', 1002, /the command PUBLISH is none of STOMP 1\.2/],
];

test.each(refusals)('[RELAY-21] %s is refused, and the broker never hears of it', (_what, frame, code, words) => {
  const { client, broker } = scene();
  client.say(frame);
  const [error] = client.heard().filter((each) => String(each).startsWith('ERROR'));
  expect(error).toMatch(words);
  expect(client.socket.closing?.code).toBe(code);
  const heard = broker.heard();
  expect(heard.at(-1)).toBe('DISCONNECT\n\n\0');
  expect(heard.filter((each) => String(each) === frame)).toEqual([]);
});

test.each([
  ['ACK\nmessage-id:m\n\n\0', /ACK without subscription/],
  ['ACK\nmessage-id:m\nsubscription:9\n\n\0', /does not wait for one/],
])('[RELAY-21] an ACK of 1.1 needs its subscription', (frame, words) => {
  const { client } = scene({}, { version: '1.1' });
  client.say(frame);
  expect(errorOf(client.heard())).toMatch(words);
});

test.each([
  ['NACK\nmessage-id:m\n\n\0', /NACK is none of STOMP 1\.0/],
  ['SUBSCRIBE\ndestination:/a\nack:client-individual\n\n\0', /none of STOMP 1\.0/],
  ['SEND\ndestination:/a\nreceipt:a\rb\n\n\0', /a receipt with a CR/],
  ['UNSUBSCRIBE\ndestination:/a\n\n\0', /does not exist/],
])('[RELAY-21] what 1.0 does not know is refused there', (frame, words) => {
  const { client } = scene({}, { version: '1.0' });
  client.say(frame);
  expect(errorOf(client.heard())).toMatch(words);
});

test('[RELAY-17] authorize decides on SEND and SUBSCRIBE before the broker sees them', async () => {
  const asked: unknown[] = [];
  const { client, broker } = scene({
    authorize({ command, destination, principal, handshake, session, headers }) {
      asked.push([command, destination, principal, handshake.url, session, headers.get('x')]);
      return destination !== '/queue/secret';
    },
  });
  client.say('SEND\ndestination:/queue/a\nx:y\n\n\0', subscribe('1'));
  expect(broker.heard()).toHaveLength(2);
  client.say('SUBSCRIBE\nid:2\ndestination:/queue/secret\nreceipt:r\n\n\0');
  expect(client.heard()[0]).toMatch(
    /^ERROR\nmessage:Forbidden\\c SUBSCRIBE to \/queue\/secret is not allowed\n.*\nreceipt-id:r\n/,
  );
  expect(client.socket.closing?.code).toBe(1008);
  expect(asked).toEqual([
    ['SEND', '/queue/a', undefined, '/ws', '', 'y'],
    ['SUBSCRIBE', '/queue/a', undefined, '/ws', '', undefined],
    ['SUBSCRIBE', '/queue/secret', undefined, '/ws', '', undefined],
  ]);
});

test('[RELAY-22] authorize and rewrite read a destination as the broker will, and as it was written', () => {
  const asked: string[][] = [];
  const { client, broker } = scene({
    strict: false,
    authorize({ destination, rawDestination }) {
      asked.push([destination, rawDestination]);
      return destination !== '/queue/secret';
    },
    rewrite({ destination }) {
      asked.push([destination]);
      return {};
    },
  });
  client.say('SEND\ndestination:/queue/%73ecret\n\nx\0', 'SEND\ndestination:/queue/a%2Fb\n\nx\0');
  client.say('SEND\ndestination:/queue/%2573ecret\n\nx\0');
  expect(asked).toEqual([
    ['/queue/secret', '/queue/%73ecret'],
    ['/queue/a/b', '/queue/a%2Fb'],
    ['/queue/a/b'],
    ['/queue/%73ecret', '/queue/%2573ecret'],
    ['/queue/%73ecret'],
  ]);
  // What goes on is what the client wrote: the broker decodes it once.
  expect(broker.heard().map((each) => String(each).split('\n')[1])).toEqual([
    'destination:/queue/a%2Fb',
    'destination:/queue/%2573ecret',
  ]);
  client.say(subscribe('1', '', '/queue/%73%65cret'));
  expect(errorOf(client.heard())).toMatch(/not allowed/);
});

test.each(['/queue/a%0Ab', '/queue/%00', '/queue/%7f', '/queue/%', '/queue/%zz', '/queue/%c0%ae', '/queue/\\na'])(
  '[RELAY-22] %s, which does not decode to plain text, is refused for every command',
  (destination) => {
    for (const frame of [subscribe('1', '', destination), `SEND\ndestination:${destination}\n\nx\0`]) {
      const { client, broker } = scene();
      client.say(frame);
      expect(errorOf(client.heard())).toMatch(/a destination with a/);
      expect(client.socket.closing?.code).toBe(1002);
      expect(broker.heard()).toEqual(['DISCONNECT\n\n\0']);
    }
  },
);

test.each(['activemq.subscriptionName:orders', 'durable-subscription-name:orders', 'durable:true', 'persistent:true'])(
  '[RELAY-25] UNSUBSCRIBE with %s ends what the broker remembers, whether it is open here or not',
  (header) => {
    const { client, broker } = scene();
    client.say(`UNSUBSCRIBE\nid:a%b\n${header}\nreceipt:r\n\n\0`);
    expect(broker.heard()).toEqual([`UNSUBSCRIBE\nid:a%25b\n${header}\nreceipt:1\n\n\0`]);
    broker.say('RECEIPT\nreceipt-id:1\n\n\0');
    expect(client.heard()).toEqual(['RECEIPT\nreceipt-id:r\n\n\0']);
    client.say(
      subscribe('7', `${header}\n`),
      `UNSUBSCRIBE\nid:7\n${header}\n\n\0`,
      `UNSUBSCRIBE\nid:7\n${header}\n\n\0`,
    );
    expect(broker.heard().slice(1)).toEqual(Array(2).fill(`UNSUBSCRIBE\nid:7\n${header}\n\n\0`));
    client.say('UNSUBSCRIBE\nid:7\ndurable:false\n\n\0');
    expect(errorOf(client.heard())).toMatch(/does not exist/);
  },
);

test('[RELAY-25] [RELAY-22] authorize is asked before what is remembered for a destination is ended', () => {
  const { client, broker } = scene({ authorize: ({ destination }) => destination !== '/topic/b' });
  client.say('UNSUBSCRIBE\nid:1\ndurable:true\ndestination:/topic/a\n\n\0');
  expect(broker.heard()).toEqual(['UNSUBSCRIBE\nid:1\ndurable:true\ndestination:/topic/a\n\n\0']);
  client.say('UNSUBSCRIBE\nid:2\ndurable:true\ndestination:/topic/%62\n\n\0');
  expect(errorOf(client.heard())).toMatch(/not allowed/);
  expect(broker.heard()).toEqual(['DISCONNECT\n\n\0']);
});

test('[RELAY-24] a client that acknowledges nothing pays for what waits, and its connection ends where it is too much', () => {
  const { client, broker } = scene({ connection: { maxKept: 6_000 } });
  client.say(subscribe('7', 'ack:client\n'));
  broker.say(message('7', 'a'.repeat(500)));
  client.say('ACK\nid:1\n\n\0');
  client.say('BEGIN\ntransaction:t\n\n\0');
  broker.say(message('7', 'b'.repeat(500)));
  client.say('ACK\nid:2\ntransaction:t\n\n\0COMMIT\ntransaction:t\n\n\0');
  broker.say(message('7', 'c'.repeat(1_500)));
  expect(client.socket.closing).toBeUndefined();
  broker.say(message('7', 'd'.repeat(1_500)));
  expect(client.socket.closing?.code).toBe(1009);
});

test('[RELAY-17] frames behind one that is being decided on wait; anything but true refuses', async () => {
  const verdicts: ((verdict: boolean) => void)[] = [];
  const { scene: made, client, broker } = scene({ authorize: () => new Promise((resolve) => verdicts.push(resolve)) });
  client.say('SEND\ndestination:/queue/a\n\n1\0BEGIN\ntransaction:t\n\n\0', 'SEND\ndestination:/queue/a\n\n2\0');
  expect(broker.heard()).toEqual([]);
  expect(verdicts).toHaveLength(1);
  verdicts[0]?.(true);
  await made.clock.settle();
  expect(broker.heard()).toEqual(['SEND\ndestination:/queue/a\n\n1\0', 'BEGIN\ntransaction:t\n\n\0']);
  verdicts[1]?.(undefined as unknown as boolean);
  await made.clock.settle();
  expect(client.socket.closing?.code).toBe(1008);
  expect(broker.heard()).toEqual(['DISCONNECT\n\n\0']);
});

test.each([true, false])('[RELAY-17] authorize may answer with any thenable: %s', async (verdict) => {
  // biome-ignore lint/suspicious/noThenProperty: that is what a query builder looks like
  const answer = { then: (resolve: (given: boolean) => void) => resolve(verdict) } as unknown as Promise<boolean>;
  const { scene: made, client, broker } = scene({ authorize: () => answer });
  client.say('SEND\ndestination:/a\n\nx\0');
  await made.clock.settle();
  expect(broker.heard()).toEqual([verdict ? 'SEND\ndestination:/a\n\nx\0' : 'DISCONNECT\n\n\0']);
  expect(client.socket.closing?.code).toBe(verdict ? undefined : 1008);
});

test('[RELAY-17] an authorize that fails ends the connection as our own fault, with the receipt of the frame', async () => {
  const { scene: made, client } = scene({ authorize: () => Promise.reject(new Error('database')) });
  client.say('SEND\ndestination:/queue/a\nreceipt:r\n\n1\0');
  await made.clock.settle();
  expect(client.heard()[0]).toMatch(/receipt-id:r/);
  expect(client.socket.closing?.code).toBe(1011);
  expect(String(made.reported)).toMatch(/database/);
});

test('[RELAY-7] a client that reads slowly holds its broker connection back until it has caught up', () => {
  const { client, broker } = scene({ connection: { highWaterMark: 1_000 } });
  client.say(subscribe('1'));
  client.socket.bufferedAmount = 600;
  broker.say(message('1', 'a'));
  expect(broker.socket.paused).toBe(true);
  broker.say(message('1', 'b'));
  client.socket.bufferedAmount = 0;
  client.socket.receiver?.drained();
  expect(broker.socket.paused).toBe(false);
  expect(client.heard()).toHaveLength(2);
  expect(client.socket.closing).toBeUndefined();
});

test('[RELAY-7] a client that owes too many ACKs holds its broker connection back', () => {
  const { client, broker } = scene({ limits: { maxUnacknowledged: 1 } });
  client.say(subscribe('1', 'ack:client\n'), subscribe('2', 'ack:client\n'));
  broker.say(message('1', 'a'));
  expect(broker.socket.paused).toBe(false);
  broker.say(message('2', 'b'));
  expect(broker.socket.paused).toBe(true);
  client.say('ACK\nid:1\n\n\0');
  expect(broker.socket.paused).toBe(false);
});

test('[RELAY-7] a broker that takes no more holds the client back until it does', () => {
  const { client, broker } = scene({ brokerLimits: { highWaterMark: 1_000 } });
  broker.socket.bufferedAmount = 600;
  client.say('SEND\ndestination:/queue/a\n\n1\0SEND\ndestination:/queue/a\n\n2\0');
  expect(broker.heard()).toHaveLength(1);
  expect(client.socket.paused).toBe(true);
  broker.socket.bufferedAmount = 0;
  broker.socket.receiver?.drained();
  expect(broker.heard()).toHaveLength(1);
  expect(client.socket.paused).toBe(false);
});

test('[RELAY-19] a broker that owes too many receipts holds the client back', () => {
  const { client, broker } = scene({ limits: { maxPending: 1 } });
  const send = (receipt: string): string => `SEND\ndestination:/queue/a\nreceipt:${receipt}\n\n\0`;
  client.say(send('same') + send('same') + send('same'));
  expect(broker.heard()).toHaveLength(2);
  broker.say('RECEIPT\nreceipt-id:1\n\n\0');
  expect(client.heard()).toEqual(['RECEIPT\nreceipt-id:same\n\n\0']);
  expect(broker.heard()).toHaveLength(1);
});

test('[RELAY-13] [STOMP-61] DISCONNECT waits for the receipts that are owed, and is answered before the close', () => {
  const { client, broker } = scene();
  client.say('SEND\ndestination:/queue/a\nreceipt:a\n\n\0SEND\ndestination:/queue/a\nreceipt:b\n\n\0');
  client.say('DISCONNECT\nreceipt:bye\n\n\0SEND\ndestination:/queue/a\n\nafter\0', 'SEND\ndestination:/late\n\n\0');
  expect(broker.heard()).toHaveLength(2);
  broker.say('RECEIPT\nreceipt-id:2\n\n\0');
  expect(broker.heard()).toEqual([]);
  broker.say('RECEIPT\nreceipt-id:1\n\n\0');
  expect(broker.heard()).toEqual(['DISCONNECT\nreceipt:3\n\n\0']);
  broker.say('RECEIPT\nreceipt-id:3\n\n\0');
  expect(client.heard()).toEqual(['a', 'b', 'bye'].map((id) => `RECEIPT\nreceipt-id:${id}\n\n\0`));
  expect(client.socket.closing).toEqual({ code: 1000, reason: '' });
  expect(broker.socket.closing?.code).toBe(1000);
});

test('[RELAY-13] a broker that closes instead of giving the RECEIPT of DISCONNECT has processed it', () => {
  const { client, broker } = scene();
  client.say('DISCONNECT\nreceipt:bye\n\n\0');
  broker.socket.hangUp(1000);
  expect(client.heard()).toEqual(['RECEIPT\nreceipt-id:bye\n\n\0']);
  expect(client.socket.closing?.code).toBe(1000);
});

test('[RELAY-13] a client that closes its half gets what the broker owes it', () => {
  const { client, broker } = scene();
  client.say('SEND\ndestination:/queue/a\nreceipt:a\n\n\0');
  client.socket.receiver?.ended?.();
  expect(broker.heard()).toHaveLength(1);
  broker.say('RECEIPT\nreceipt-id:1\n\n\0');
  expect(broker.heard()).toEqual(['DISCONNECT\nreceipt:2\n\n\0']);
  expect(client.socket.closing).toBeUndefined();
  broker.say('RECEIPT\nreceipt-id:2\n\n\0');
  expect(client.heard()).toEqual(['RECEIPT\nreceipt-id:a\n\n\0']);
  expect(client.socket.closing).toEqual({ code: 1000, reason: '' });
});

test('[RELAY-13] a DISCONNECT without receipt is not answered', () => {
  const { client, broker } = scene();
  client.say('DISCONNECT\n\n\0');
  broker.say('RECEIPT\nreceipt-id:1\n\n\0');
  expect(client.heard()).toEqual([]);
  expect(client.socket.closing?.code).toBe(1000);
});

test('[RELAY-13] a broker that breaks down at DISCONNECT gives no RECEIPT', () => {
  const { client, broker } = scene();
  client.say('DISCONNECT\nreceipt:bye\n\n\0');
  broker.socket.hangUp(1006);
  expect(client.heard()[0]).toMatch(/^ERROR\nmessage:Unavailable/);
  expect(client.socket.closing?.code).toBe(1013);
});

test('[RELAY-13] the wait for the RECEIPT of DISCONNECT has an end', () => {
  const { scene: made, client } = scene({ limits: { disconnectTimeout: 2_000 } });
  client.say('DISCONNECT\nreceipt:bye\n\n\0');
  made.clock.advance(1_900);
  expect(client.socket.closing).toBeUndefined();
  made.clock.advance(200);
  expect(client.heard()[0]).toMatch(/did not answer DISCONNECT/);
  expect(client.socket.closing?.code).toBe(1013);
});

test('[RELAY-13] a client that leaves while it reads slowly does not wait for itself', () => {
  const { client, broker } = scene({ connection: { highWaterMark: 1_000 } });
  client.say(subscribe('1'));
  client.socket.bufferedAmount = 600;
  broker.say(message('1', 'a'));
  client.say('DISCONNECT\nreceipt:bye\n\n\0');
  expect(broker.socket.paused).toBe(false);
  client.socket.receiver?.drained();
  broker.say(message('1', 'b'), 'RECEIPT\nreceipt-id:1\n\n\0');
  expect(client.heard().at(-1)).toBe('RECEIPT\nreceipt-id:bye\n\n\0');
  expect(client.socket.sent.filter((each) => String(each).startsWith('MESSAGE'))).toHaveLength(1);
});

test('[RELAY-12] the ERROR of the broker goes on, and nothing after it', () => {
  const { client, broker } = scene();
  client.say(subscribe('1'));
  broker.say('ERROR\nmessage:not_found\ncontent-type:text/plain\n\nno such thing\0', message('1', 'a'));
  expect(client.heard()).toEqual([
    'ERROR\nmessage:not_found\ncontent-type:text/plain\ncontent-length:13\n\nno such thing\0',
  ]);
  expect(client.socket.closing).toEqual({ code: 1002, reason: 'Not acceptable: not_found' });
});

test('[RELAY-12] an ERROR of the broker after our own is not heard any more', () => {
  const { client, broker } = scene();
  client.socket.receiver?.received('NONSENSE\n\n\0');
  broker.socket.receiver?.received('ERROR\nmessage:late\n\n\0');
  expect(client.heard()).toHaveLength(1);
});

test('[RELAY-14] the session of the broker is known to authorize', () => {
  const sessions: string[] = [];
  const made = new RelayScene({ authorize: ({ session }) => sessions.push(session) > 0 });
  const { client } = made.connected({ brokerHeaders: 'session:s-1\n' });
  client.say('SEND\ndestination:/a\n\n\0');
  expect(sessions).toEqual(['s-1']);
});

test('[RELAY-18] a drain waits for receipts and transactions', async () => {
  const { scene: made, client, broker } = scene();
  client.say('SEND\ndestination:/a\nreceipt:r\n\n\0BEGIN\ntransaction:t\n\n\0');
  const drained = made.endpoint.drain({ deadline: 60_000 });
  made.clock.advance(1_000);
  expect(client.socket.closing).toBeUndefined();
  broker.say('RECEIPT\nreceipt-id:1\n\n\0');
  made.clock.advance(1_000);
  expect(client.socket.closing).toBeUndefined();
  client.say('COMMIT\ntransaction:t\n\n\0');
  made.clock.advance(1_000);
  await drained;
  expect(client.socket.closing?.code).toBe(1001);
  expect(broker.heard().at(-1)).toBe('DISCONNECT\n\n\0');
});

test('[RELAY-6] the client gets its beats while the broker does not take what it sends', () => {
  const made = new RelayScene({
    heartbeat: { outgoing: 1_000, incoming: 1_000 },
    brokerLimits: { highWaterMark: 1_000 },
  });
  const { client, broker } = made.connected({ clientHeaders: 'heart-beat:1000,1000\n' });
  broker.socket.bufferedAmount = 600;
  client.say('SEND\ndestination:/a\n\n\0');
  expect(client.socket.paused).toBe(true);
  made.clock.advance(3_000);
  expect(client.socket.take()).toEqual(['\n', '\n', '\n']);
  expect(client.socket.terminated).toBe(false);
});
