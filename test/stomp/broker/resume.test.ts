import { describe, expect, test } from 'vitest';
import type { Backbone, BackboneSink } from '../../../src/bus/backbone.ts';
import { type BusOptions, createBus } from '../../../src/bus/bus.ts';
import { positionText } from '../../../src/bus/history.ts';
import { memoryBackbone } from '../../../src/bus/memory-backbone.ts';
import { createMessage, type Message } from '../../../src/bus/message.ts';
import { topic } from '../../../src/bus/topic.ts';
import { encodeUtf8 } from '../../../src/core/wire.ts';
import type { Version } from '../../../src/stomp/protocol/versions.ts';
import { messageIdOf, placeOfMessageId } from '../../../src/stomp/server/message-forms.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createGate } from '../../support/gate.ts';
import { openBus } from '../../support/open-bus.ts';
import { sharedLog } from '../../support/shared-backbone.ts';
import { createStompDesk, type StompDeskOptions, type StompPeer } from '../../support/stomp-desk.ts';

const destination = '/topic/n';

function created({ history, ...options }: StompDeskOptions & Pick<BusOptions, 'history'> = {}) {
  const bus = openBus({ onError: () => {}, history });
  const desk = createStompDesk({ bus, ...options });
  const publish = (name: string, ...values: readonly unknown[]): Promise<unknown> =>
    Promise.all(values.map((value) => bus.publish(name, encodeUtf8(String(value)))));
  return { ...desk, bus, publish };
}

/** What came, in short: `RECEIPT true`, and bodies. */
const briefly = (peer: StompPeer): string[] =>
  peer.take().map(({ command, headers, body }) => {
    const lost = headers['messages-lost'] === undefined ? '' : ' (lost)';
    return command === 'MESSAGE' ? `${body}${lost}` : `${command} ${headers['recovered'] ?? headers['message']}`;
  });

/** A subscription that may come back: where it is. */
async function begun(peer: StompPeer, to = destination): Promise<string> {
  await peer.send('SUBSCRIBE', { id: '0', destination: to, since: 'now', receipt: 'r' });
  const [receipt] = peer.take();
  expect(receipt?.command).toBe('RECEIPT');
  return receipt?.headers['position'] as string;
}

describe('where a subscription is', () => {
  test('[STOMP-129] the message-id is where a message stands, the same for all, and comes back as that', async () => {
    const { open, publish, bus } = created();
    const peer = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination });
    await peer.send('SUBSCRIBE', { id: '1', destination });
    await publish('n', 1, 2);
    const ids = (await peer.raw('\n')).take().map(({ headers }) => headers['message-id'] as string);
    expect(new Set(ids).size).toBe(2);
    const position = bus.position();
    expect(ids.at(-1)).toBe(`${position?.epoch}-2`);
    expect(placeOfMessageId(ids.at(-1) as string)).toEqual(position);
  });

  test.each(['e', 'a-b-7', '2026-12-01T00:00:00.000Z', 'a:b\n\r\\c%', 'ü€'])(
    '[STOMP-129] an epoch %j needs no escape in any version',
    (epoch) => {
      const id = messageIdOf({ epoch, offset: 17 });
      expect(id).toMatch(/^[!-9;-[\]-~]+-17$/);
      expect(placeOfMessageId(id)).toEqual({ epoch, offset: 17 });
    },
  );

  test.each(['', '-', '-5', '5', 'x-', 'e-1x', 'e--1', 'e-1.5', '%-5', 'e-99999999999999999', `${'e'.repeat(200)}-1`])(
    '[STOMP-129] the message-id %j is no place, and no error',
    (id) =>
      expect(placeOfMessageId(id)).toEqual({ epoch: expect.stringMatching(/^(e-)?$/), offset: expect.any(Number) }),
  );

  test('[STOMP-130] who wants to come back is told where it begins; who does not sees nothing of it', async () => {
    const { open, publish, bus } = created();
    const plain = await open().connect();
    await plain.send('SUBSCRIBE', { id: '0', destination, receipt: 'p' });
    expect(plain.take()).toEqual([expect.objectContaining({ command: 'RECEIPT', headers: { 'receipt-id': 'p' } })]);
    await publish('n', 'before');
    expect(bus.stats().historyTopics).toBe(0);
    const peer = await open().connect();
    expect(await begun(peer)).toBe(`${bus.position()?.epoch}-1`);
    await publish('n', 'after');
    expect(bus.stats().historyTopics).toBe(1);
    expect(briefly(await peer.raw('\n'))).toEqual(['after']);
  });
});

describe('coming back', () => {
  test.each<Version>(['1.0', '1.1', '1.2'])(
    '[STOMP-130] STOMP %s: the RECEIPT, then what was missed, then what comes, each once',
    async (version) => {
      const { open, publish } = created();
      const first = await open().connect(version);
      await begun(first);
      await publish('n', 1);
      const since = (await first.raw('\n')).take()[0]?.headers['message-id'] as string;
      first.socket.hangUp();
      await publish('n', 2, 3);
      const second = await open().connect(version);
      second.put('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
      await publish('n', 4);
      await second.raw('\n');
      await publish('n', 5);
      expect(briefly(await second.raw('\n'))).toEqual(['RECEIPT true', '2', '3', '4', '5']);
    },
  );

  test('[STOMP-130] from the position of a RECEIPT too, and again from the id of what was replayed', async () => {
    const { open, publish } = created();
    const since = await begun(await open().connect());
    await publish('n', 1, 2);
    const peer = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
    const [receipt, one] = peer.take();
    expect(receipt?.headers).toEqual({ 'receipt-id': 'r', recovered: 'true', position: since });
    const last = await open().connect();
    await last.send('SUBSCRIBE', { id: '0', destination, since: one?.headers['message-id'] as string, receipt: 'r' });
    expect(briefly(last)).toEqual(['RECEIPT true', '2']);
  });

  test.each(['', 'x', 'x-1', '-5', 'now-', 'T_0@@session-1@@1', 'e-99999999999999999999', 'ID:host-1234-5:1'])(
    '[STOMP-130] an id that is foreign or none (%j) is not recovered, ends nothing, and the subscription is live',
    async (since) => {
      const { open, publish } = created();
      await begun(await open().connect());
      await publish('n', 1);
      const peer = await open().connect();
      await peer.send('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
      await publish('n', 2);
      expect(briefly(await peer.raw('\n'))).toEqual(['RECEIPT false', '2']);
      expect(peer.closed).toBeUndefined();
    },
  );

  test('[STOMP-130] a position of the future, and of before the recording, is not recovered', async () => {
    const { open, publish, bus } = created();
    await publish('n', 1);
    const epoch = bus.position()?.epoch;
    await begun(await open().connect());
    await publish('n', 2);
    for (const offset of [0, 3]) {
      const peer = await open().connect();
      await peer.send('SUBSCRIBE', { id: '0', destination, since: `${epoch}-${offset}`, receipt: 'r' });
      expect(briefly(peer)).toEqual(['RECEIPT false']);
    }
  });

  test('[STOMP-130] without a receipt it is replayed, and what is missing is said by the next message', async () => {
    const { open, publish } = created();
    const since = await begun(await open().connect());
    await publish('n', 1);
    const peer = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination, since });
    await peer.send('SUBSCRIBE', { id: '1', destination, since: 'x-1' });
    expect(briefly(peer)).toEqual(['1']);
    await publish('n', 2);
    expect(briefly(await peer.raw('\n')).sort()).toEqual(['2', '2 (lost)']);
  });

  test('[STOMP-130] its RECEIPT waits for those before it, and what was missed for its RECEIPT', async () => {
    const gate = createGate();
    const { open, publish } = created({ onSend: () => gate.opened });
    const since = await begun(await open().connect());
    await publish('n', 1);
    const peer = await open().connect();
    await peer.send('SEND', { destination: '/app/slow', receipt: 's' });
    await peer.send('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
    await publish('n', 2);
    expect((await peer.raw('\n')).brief()).toEqual([]);
    gate.open();
    expect((await peer.raw('\n')).brief()).toEqual(['RECEIPT s', 'RECEIPT r', 'MESSAGE 1', 'MESSAGE 2']);
  });

  test('[STOMP-130] the first message of the application comes first, and one can come back from it', async () => {
    const { open, publish } = created({ onSubscribe: () => ({ body: 'first' }) });
    const peer = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination, since: 'now', receipt: 'r' });
    const [receipt, first] = peer.take();
    expect([receipt?.command, first?.body]).toEqual(['RECEIPT', 'first']);
    await publish('n', 1);
    const back = await open().connect();
    await back.send('SUBSCRIBE', { id: '0', destination, since: first?.headers['message-id'] as string, receipt: 'r' });
    expect(briefly(back)).toEqual(['RECEIPT true', 'first', '1']);
  });

  test('[STOMP-130] acknowledgements name what was replayed, in each version', async () => {
    for (const version of ['1.0', '1.1', '1.2'] as const) {
      const { open, publish } = created();
      const peer = await open().connect(version);
      await begun(peer, '/topic/other');
      await publish('n', 1, 2);
      const since = await begun(await open().connect(version));
      await publish('n', 3, 4);
      const ack = version === '1.0' ? 'client' : 'client-individual';
      await peer.send('SUBSCRIBE', { id: '7', destination, since, ack, 'prefetch-count': '1', receipt: 'r' });
      const [, three] = peer.take();
      expect(three?.body).toBe('3');
      const { ack: id, 'message-id': messageId } = three?.headers ?? {};
      const names =
        version === '1.2' ? { id } : { 'message-id': messageId, ...(version === '1.1' && { subscription: '7' }) };
      await peer.send('ACK', names as Record<string, string>);
      expect(peer.brief()).toEqual(['MESSAGE 4']);
      // The same id brings it back to where it was, in 1.0 too, where it names the subscription.
      const again = await open().connect(version);
      await again.send('SUBSCRIBE', { id: '0', destination, since: messageId as string, ack, receipt: 'r' });
      expect(briefly(again)).toEqual(['RECEIPT true', '4']);
    }
  });

  test('[STOMP-130] who may come back is counted once, and has left once', async () => {
    const { open, publish, bus, clock } = created({ history: { maxAge: 10 } });
    const peer = await open().connect();
    await begun(peer);
    await peer.send('UNSUBSCRIBE', { id: '0' });
    await begun(peer);
    peer.socket.hangUp();
    await clock.settle();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await publish('n', 1);
    expect(bus.stats().historyTopics).toBe(0);
  });
});

describe('who may', () => {
  test('[STOMP-131] queues, users and replies have no past: not recovered, and never an error', async () => {
    const { open, publish, bus } = created();
    const since = await begun(await open().connect());
    await publish('n', 1);
    for (const to of ['/queue/a', '/user/queue/a', '/temp-queue/a']) {
      const peer = await open().connect();
      await peer.send('SUBSCRIBE', { id: '0', destination: to, since, receipt: 'r' });
      expect(peer.take()[0]?.headers).toEqual({ 'receipt-id': 'r', recovered: 'false' });
      await peer.send('SUBSCRIBE', { id: '1', destination: `${to}2`, since: 'now', receipt: 'r' });
      expect(peer.take()[0]?.headers).toEqual({ 'receipt-id': 'r' });
      await peer.send('SEND', { destination: '/queue/a' }, 'x');
      const id = peer.take()[0]?.headers['message-id'];
      if (id !== undefined) expect(placeOfMessageId(id).epoch).not.toBe(bus.position()?.epoch);
    }
  });

  test('[STOMP-131] a bus without a history, and a topic without one, recover nothing, by a pattern neither', async () => {
    const secret = topic('n.secret', { clients: 'read', history: false });
    for (const bus of [openBus({ history: false }), createBus({ topics: [secret], open: true })]) {
      const { open } = createStompDesk({ bus });
      const peer = await open().connect();
      await peer.send('SUBSCRIBE', { id: 'w', destination: '/topic/n.other', since: 'now' });
      await bus.publish('n.secret', encodeUtf8('1'));
      await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/n.other' });
      await bus.publish('n.other', encodeUtf8('2'));
      const ids = (await peer.raw('\n')).take().map(({ headers }) => placeOfMessageId(headers['message-id'] as string));
      const since = messageIdOf({ epoch: ids[0]?.epoch as string, offset: 0 });
      for (const to of ['/topic/n.secret', '/topic/n.*', '/topic/**']) {
        const back = await open().connect();
        await back.send('SUBSCRIBE', { id: '0', destination: to, since, receipt: 'r' });
        expect(briefly(back)).toEqual(['RECEIPT false']);
      }
    }
  });

  test('[STOMP-131] what was missed is judged by what the client may read today', async () => {
    const bus = createBus({ open: { 'n.**': 'read' } });
    bus.declare('n.closed', { clients: 'none' });
    const { open } = createStompDesk({ bus });
    const since = await begun(await open().connect(), '/topic/n.**');
    for (const name of ['n.a', 'n.closed', 'm', 'n.b']) await bus.publish(name, encodeUtf8(name));
    const peer = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/**', since, receipt: 'r' });
    expect(briefly(peer)).toEqual(['RECEIPT true', 'n.a', 'n.b']);
    await peer.send('SUBSCRIBE', { id: '1', destination: '/topic/n.closed', since, receipt: 'r' });
    expect(peer.take()[0]?.command).toBe('ERROR');
  });

  test('[STOMP-131] authorize is asked of each topic that a pattern missed, and sees since; order and pace stay', async () => {
    const gates = new Map(['x.1', 'x.2'].map((name) => [`/topic/${name}`, createGate()]));
    const asked: string[] = [];
    const { open, publish } = created({
      limits: { maxBacklog: 3 },
      authorize: ({ destination: to, headers }) => {
        if (!headers.has('since') || headers.get('since') === 'now') return true;
        asked.push(to);
        return gates.get(to)?.opened.then(() => to !== '/topic/x.2') ?? true;
      },
    });
    const since = await begun(await open().connect(), '/topic/x.*');
    for (let round = 0; round < 5; round++) {
      await publish('x.1', round * 10 + 1);
      await publish('x.2', round * 10 + 2);
    }
    const peer = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination: '/topic/x.*', since, receipt: 'r' });
    expect(briefly(peer)).toEqual(['RECEIPT true']);
    await publish('x.1', 'live');
    gates.get('/topic/x.1')?.open();
    expect(briefly(await peer.raw('\n'))).toEqual(['1']);
    gates.get('/topic/x.2')?.open();
    expect(briefly(await peer.raw('\n'))).toEqual(['11', '21', '31', '41', 'live']);
    expect(asked).toEqual(['/topic/x.*', '/topic/x.1', '/topic/x.2']);
    expect(peer.closed).toBeUndefined();
  });
});

/** A backbone whose log is read when a test says so. */
function slowLog() {
  const inner = memoryBackbone();
  const log: Message[] = [];
  const reads: number[] = [];
  let gate = createGate();
  let sink: BackboneSink | undefined;
  let fails = false;
  const backbone: Backbone = {
    ...inner,
    name: 'log',
    abilities: { ...inner.abilities, history: true },
    get position() {
      return inner.position;
    },
    open(opened) {
      sink = opened;
      inner.open({
        ...opened,
        message(message) {
          log.push(message);
          sink?.message(message);
        },
      });
    },
    async since(name, after) {
      reads.push(after.offset);
      await gate.opened;
      if (fails) throw new Error('the log is gone');
      return log.filter(({ topic: of, position }) => of === name && position.offset > after.offset);
    },
  };
  return {
    backbone,
    reads,
    gap: (name: string) => sink?.gap(name, inner.position),
    message: (message: Message) => sink?.message(message),
    open: () => gate.open(),
    shut() {
      gate = createGate();
    },
    fail() {
      fails = true;
      gate.open();
    },
  };
}

describe('over a log that takes its time', () => {
  async function scene(maxBacklog: number) {
    const log = slowLog();
    const bus = openBus({ backbone: log.backbone, onError: () => {} });
    const { open } = createStompDesk({ bus, limits: { maxBacklog } });
    const publish = async (from: number, to: number): Promise<void> => {
      for (let value = from; value <= to; value++) await bus.publish('n', encodeUtf8(String(value)));
    };
    await publish(1, 5);
    const since = `${bus.position()?.epoch}-2`;
    const peer = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
    expect(log.reads).toEqual([2]);
    return { log, bus, open, peer, publish, since };
  }

  test('[STOMP-130] [STOMP-132] what comes while it is read comes behind, each once, also when it is too much to wait', async () => {
    for (const maxBacklog of [100, 3]) {
      const { log, peer, publish } = await scene(maxBacklog);
      await publish(6, 15);
      expect(briefly(await peer.raw('\n'))).toEqual([]);
      log.open();
      await peer.raw('\n');
      await publish(16, 17);
      expect(briefly(await peer.raw('\n'))).toEqual([
        'RECEIPT true',
        ...Array.from({ length: 15 }, (_, index) => `${index + 3}`),
      ]);
      expect(peer.closed).toBeUndefined();
    }
  });

  test('[STOMP-130] a log that cannot be read is not recovered, and no error', async () => {
    const { log, peer, publish } = await scene(100);
    await publish(6, 7);
    log.fail();
    await peer.raw('\n');
    await publish(8, 8);
    // What came since it listens is not lost.
    expect(briefly(await peer.raw('\n'))).toEqual(['RECEIPT false', '6', '7', '8']);
  });

  test('[STOMP-130] [BUS-34] a log that does not answer holds nobody for longer than 10 s', async () => {
    const clock = createFakeClock();
    const log = slowLog();
    const bus = openBus({ backbone: log.backbone, clock, onError: () => {} });
    const { open } = createStompDesk({ bus });
    for (const value of ['1', '2']) await bus.publish('n', encodeUtf8(value));
    const peer = await open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination, since: `${bus.position()?.epoch}-1`, receipt: 'r' });
    await bus.publish('n', encodeUtf8('3'));
    await peer.send('SEND', { destination, receipt: 's' }, '4');
    clock.advance(9_000);
    expect((await peer.raw('\n')).brief()).toEqual([]);
    clock.advance(2_000);
    await clock.settle();
    expect((await peer.raw('\n')).brief()).toEqual(['RECEIPT r', 'RECEIPT s', 'MESSAGE 3', 'MESSAGE 4']);
    log.open();
    expect((await peer.raw('\n')).brief()).toEqual([]);
  });

  test('[STOMP-130] who has gone meanwhile hears nothing more, and is counted no more', async () => {
    for (const end of ['UNSUBSCRIBE', 'DISCONNECT', 'socket'] as const) {
      const { log, peer, publish, bus } = await scene(100);
      if (end === 'socket') peer.socket.hangUp();
      else await peer.send(end, { id: '0', receipt: 'end' });
      log.open();
      await publish(6, 7);
      if (end !== 'socket')
        expect((await peer.raw('\n')).brief().filter((each) => each.startsWith('MESSAGE'))).toEqual([]);
      expect(bus.stats().listeners).toBe(0);
    }
  });

  test('[STOMP-132] [BUS-34] a storm of readers is one read', async () => {
    const { log, peer, open, since } = await scene(100);
    const others = [];
    for (let reader = 0; reader < 20; reader++) {
      const other = await open().connect();
      other.put('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
      others.push(other);
    }
    log.open();
    for (const each of [peer, ...others])
      expect(briefly(await each.raw('\n'))).toEqual(['RECEIPT true', '3', '4', '5']);
    expect(log.reads).toEqual([2]);
  });

  test('[STOMP-130] a gap, and another epoch, in the middle of it are said, and it goes on', async () => {
    const { log, peer, publish } = await scene(100);
    await publish(6, 6);
    log.gap('n');
    log.message(createMessage({ topic: 'n', body: encodeUtf8('new'), position: { epoch: 'another', offset: 1 } }));
    log.open();
    const frames = (await peer.raw('\n')).take();
    expect(frames.map(({ command, body }) => body || command)).toEqual(['RECEIPT', '3', '4', '5', '6', 'new']);
    expect(frames.filter(({ headers }) => headers['messages-lost'] === 'true')).toHaveLength(1);
    expect(frames.at(-1)?.headers['message-id']).toBe('another-1');
  });

  test('[STOMP-130] a server that is behind the one where the client was sends nothing twice', async () => {
    const { log, peer, since } = await scene(100);
    log.open();
    expect(briefly(await peer.raw('\n'))).toEqual(['RECEIPT true', '3', '4', '5']);
    const epoch = since.split('-')[0] as string;
    for (const offset of [2, 5, 6]) {
      log.message(createMessage({ topic: 'n', body: encodeUtf8(`late ${offset}`), position: { epoch, offset } }));
    }
    expect(briefly(await peer.raw('\n'))).toEqual(['late 6']);
  });
});

test('[STOMP-130] over a backbone that keeps nothing: back at the same server, and at one that heard it, but at no other', async () => {
  const log = sharedLog();
  const desks = [1, 2, 3].map(() => createStompDesk({ bus: openBus({ backbone: log.backbone() }) }));
  const [one, two, three] = desks as [(typeof desks)[number], (typeof desks)[number], (typeof desks)[number]];
  await begun(await two.open().connect());
  await begun(await three.open().connect(), '/topic/other');
  const first = await one.open().connect();
  await begun(first);
  await one.bus.publish('n', encodeUtf8('1'));
  const since = (await first.raw('\n')).take()[0]?.headers['message-id'] as string;
  first.socket.hangUp();
  for (const value of ['2', '3']) await one.bus.publish('n', encodeUtf8(value));
  for (const [desk, expected] of [
    [one, ['RECEIPT true', '2', '3']],
    [two, ['RECEIPT true', '2', '3']],
    [three, ['RECEIPT false']],
  ] as const) {
    const peer = await desk.open().connect();
    await peer.send('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
    expect(briefly(peer)).toEqual(expected);
  }
});

describe('how much', () => {
  const body = 'x'.repeat(1_000);

  test('[STOMP-132] it goes at the pace of its reader, whatever the policy: nobody is cut by what it missed, and live comes behind', async () => {
    for (const slowSubscriber of ['disconnect', 'latest'] as const) {
      const { open, publish, bus } = created({ slowSubscriber, limits: { maxBacklog: 50 } });
      const since = await begun(await open().connect());
      for (let value = 1; value <= 3_000; value++) await publish('n', `${value} ${body}`);
      const peer = open();
      await peer.connect();
      Object.assign(peer.socket, { fills: true });
      await peer.send('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
      let sent = 3_000;
      const kept: number[] = [];
      for (let rounds = 0; rounds < 200 && peer.socket.sent.length < 3_001 + 20 * 60; rounds++) {
        kept.push(peer.connection.heldBytes);
        if (rounds < 20) for (let live = 0; live < 60; live++) await publish('n', `${++sent} ${body}`);
        peer.socket.peerReads(1e9);
        await peer.raw('\n');
      }
      expect(peer.closed).toBeUndefined();
      const values = peer
        .take()
        .slice(1)
        .map((frame) => Number(frame.body.split(' ')[0]));
      expect(values).toEqual(Array.from({ length: sent }, (_, index) => index + 1));
      expect(Math.max(...kept)).toBeLessThan(4_000_000);
      expect(bus.stats().gaps).toBe(0);
      peer.socket.peerReads(1e9);
      await peer.raw('\n');
      expect(peer.connection.heldBytes).toBeLessThan(5_000);
    }
  });

  test('[STOMP-132] a reader that is slower than what is kept hears that it has lost something, and goes on', async () => {
    const { open, publish } = created({ history: { maxMessages: 2_000 }, limits: { maxBacklog: 50 } });
    const since = await begun(await open().connect());
    for (let value = 1; value <= 2_000; value++) await publish('n', `${value} ${body}`);
    const peer = open();
    await peer.connect();
    Object.assign(peer.socket, { fills: true });
    await peer.send('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
    for (let value = 2_001; value <= 4_500; value++) await publish('n', `${value} ${body}`);
    for (let rounds = 0; rounds < 100; rounds++) {
      peer.socket.peerReads(1e9);
      await peer.raw('\n');
    }
    await publish('n', `4501 ${body}`);
    peer.socket.peerReads(1e9);
    await peer.raw('\n');
    const frames = peer.take();
    expect(frames[0]?.headers['recovered']).toBe('true');
    let last = 0;
    for (const { body: text, headers } of frames.slice(1)) {
      const value = Number(text.split(' ')[0]);
      if (value !== last + 1) expect(headers['messages-lost']).toBe('true');
      expect(value).toBeGreaterThan(last);
      last = value;
    }
    expect(last).toBe(4_501);
    expect(peer.closed).toBeUndefined();
  });

  test('[STOMP-132] what waits is charged to its connection, and given back when it goes', async () => {
    const { open, publish } = created();
    const since = await begun(await open().connect());
    for (let value = 1; value <= 3_000; value++) await publish('n', `${value} ${body}`);
    const peer = open();
    await peer.connect();
    Object.assign(peer.socket, { fills: true });
    await peer.send('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
    const held = peer.connection.heldBytes - peer.socket.bufferedAmount;
    expect(held).toBeGreaterThan(100_000);
    await peer.send('UNSUBSCRIBE', { id: '0' });
    for (let rounds = 0; rounds < 20; rounds++) {
      peer.socket.peerReads(1e9);
      await peer.raw('\n');
    }
    expect(peer.connection.heldBytes).toBeLessThan(2_000);
  });

  test('[STOMP-132] a storm of readers encodes each message once', async () => {
    const backbone = memoryBackbone();
    const bus = openBus({ backbone });
    const { open } = createStompDesk({ bus });
    const since = await begun(await open().connect());
    for (let value = 1; value <= 100; value++) await bus.publish('n', encodeUtf8(String(value)));
    const tails = new Set<Uint8Array>();
    for (let reader = 0; reader < 50; reader++) {
      const peer = await open().connect();
      await peer.send('SUBSCRIBE', { id: '0', destination, since, receipt: 'r' });
      for (const { head, tail } of peer.socket.writes.flat()) {
        if (tail instanceof Uint8Array && String(head).startsWith('MESSAGE')) tails.add(tail);
      }
    }
    expect(tails.size).toBe(100);
    expect(positionText(bus.position() as never)).toMatch(/:100$/);
  });
});
