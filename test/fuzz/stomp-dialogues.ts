import type { HeaderInput } from '../../src/stomp/protocol/headers.ts';
import { versions } from '../../src/stomp/protocol/versions.ts';
import { createStompDesk } from '../support/stomp-desk.ts';
import type { Fuzz } from './fuzz.ts';
import type { Random } from './random.ts';
import { type Mode, type ModelPeer, StompModel } from './stomp-model.ts';

const queues = ['/queue/a', '/queue/b'];
const topics = ['/topic/t.a', '/topic/t.b'];
const readable = [...queues, ...queues, ...topics, '/topic/t.*', '/topic/t.**'];
/** Of what {@link dialogue} chooses from: SEND, SUBSCRIBE, ACK, BEGIN, COMMIT or ABORT, UNSUBSCRIBE, the end. */
const narrowChoices = [
  ...Array<number>(8).fill(0),
  40,
  40,
  40,
  ...Array<number>(8).fill(60),
  80,
  80,
  85,
  85,
  92,
  92,
  97,
];
const modes: readonly Mode[] = ['auto', 'client', 'client-individual'];

/** Some clients talk to the embedded broker, and after every turn everybody has what the model says. */
export const stompDialogues: Fuzz = {
  name: 'STOMP broker: dialogues do what the model says',
  unit: 'dialogues',
  short: 200,
  long: 200_000,
  async once(random) {
    const said: string[] = [];
    try {
      await dialogue(random, said);
    } catch (error) {
      throw new Error(`${said.join('\n')}\n${(error as Error).message}`);
    }
    return 1;
  },
};

async function dialogue(random: Random, said: string[]): Promise<void> {
  const maxDeliveries = random.pick([1, 2, 5]);
  const isAsync = random.chance(0.2);
  const desk = createStompDesk({
    authorize: () => (isAsync ? Promise.resolve(true) : true),
    limits: { maxDeliveries, prefetch: 100 },
  });
  const model = new StompModel(maxDeliveries);
  let bodies = 0;
  let receipts = 0;
  // Half of them are about one queue and its transactions: what is put back together is where order is lost.
  const isNarrow = random.chance(0.5);

  async function join(): Promise<void> {
    const real = await desk.open().connect(random.pick(versions));
    const name = `C${model.peers.length}`;
    said.push(`${name} connects with ${real.version}`);
    model.peers.push({
      name,
      real,
      subscriptions: new Map(),
      transactions: new Map(),
      receipts: [],
      failing: false,
      gone: false,
    });
  }

  /** One frame; some ask for a receipt. `fails`: it breaks a rule. */
  async function send(peer: ModelPeer, command: string, headers: HeaderInput, body = '', fails = false): Promise<void> {
    const all = { ...Object.fromEntries(new Map(Object.entries(headers))) } as Record<string, string>;
    if (!fails && random.chance(0.4)) {
      all['receipt'] = `r${receipts++}`;
      peer.receipts.push(all['receipt']);
    }
    said.push(`${peer.name}: ${command} ${JSON.stringify(all)} ${body}`);
    if (fails) {
      peer.failing = true;
      peer.receipts.length = 0;
    }
    await peer.real.send(command, all, body);
  }

  async function act(peer: ModelPeer): Promise<void> {
    const subscriptions = [...peer.subscriptions.values()];
    const deliveries = subscriptions.flatMap(({ unacknowledged }) => unacknowledged);
    const transaction =
      peer.transactions.size > 0 && random.chance(isNarrow ? 0.9 : 0.4) && random.pick([...peer.transactions.keys()]);
    const inTransaction = transaction ? { transaction } : {};
    const steps = transaction ? peer.transactions.get(transaction) : undefined;
    const choice = isNarrow ? random.pick(narrowChoices) : random.below(100);
    if (choice < 35) {
      const destination = isNarrow ? '/queue/a' : random.pick(random.chance(0.7) ? queues : topics);
      const body = `m${bodies++}`;
      if (steps) steps.push({ kind: 'send', destination, body });
      else model.send(destination, body);
      return send(peer, 'SEND', { destination, ...inTransaction }, body);
    }
    if (choice < 50) {
      const id = `s${random.below(4)}`;
      if (peer.subscriptions.has(id)) return;
      const destination = isNarrow ? '/queue/a' : random.pick(readable);
      const mode = random.pick(peer.real.version === '1.0' ? modes.slice(0, 2) : modes);
      const prefetch = random.chance(0.6) ? 1 + random.below(3) : 100;
      model.subscribe(peer, id, destination, mode, prefetch);
      const asked = prefetch === 100 ? {} : { 'prefetch-count': String(prefetch) };
      return send(peer, 'SUBSCRIBE', { id, destination, ack: mode, ...asked });
    }
    if (choice < 75) {
      if (deliveries.length === 0) return;
      const delivery = random.pick(deliveries);
      const consumed = peer.real.version === '1.0' || random.chance(0.6);
      const claimed = model.claim(delivery);
      if (steps) steps.push({ kind: 'settle', claimed, consumed });
      else model.settle(claimed, consumed);
      return send(peer, consumed ? 'ACK' : 'NACK', { ...delivery.headers, ...inTransaction });
    }
    if (choice < 82) {
      const id = `t${random.below(3)}`;
      if (peer.transactions.has(id)) return;
      peer.transactions.set(id, []);
      return send(peer, 'BEGIN', { transaction: id });
    }
    if (choice < 89) {
      if (!transaction || !steps) return;
      peer.transactions.delete(transaction);
      const commits = random.chance(0.6);
      if (commits) model.commit(steps);
      else model.abort(steps);
      return send(peer, commits ? 'COMMIT' : 'ABORT', { transaction });
    }
    if (choice < 94) {
      if (subscriptions.length === 0) return;
      const subscription = random.pick(subscriptions);
      model.unsubscribe(subscription);
      return send(peer, 'UNSUBSCRIBE', { id: subscription.id });
    }
    if (choice < 96) {
      await send(peer, 'DISCONNECT', {});
      return model.leave(peer, false);
    }
    if (choice < 98) {
      said.push(`${peer.name} is gone`);
      peer.receipts.length = 0;
      model.leave(peer, true);
      return peer.real.socket.hangUp();
    }
    const [command, headers] = random.pick<[string, Record<string, string>]>([
      ['ACK', { id: '9-nothing-1', subscription: 's9', 'message-id': '9-x' }],
      ['COMMIT', { transaction: 'unknown' }],
      ['UNSUBSCRIBE', { id: 'unknown' }],
      ['SEND', {}],
      ['SHOUT', {}],
      ['CONNECT', { 'accept-version': '1.2', host: 'a' }],
    ]);
    model.leave(peer, true);
    return send(peer, command, headers, '', true);
  }

  const clients = 1 + random.below(3);
  for (let client = 0; client < clients; client++) await join();
  for (let steps = 10 + random.below(30); steps > 0; steps--) {
    let present = model.peers.filter(({ gone }) => !gone);
    if (present.length === 0) {
      await join();
      present = model.peers.filter(({ gone }) => !gone);
    }
    await act(random.pick(present));
    await desk.clock.settle();
    model.check();
  }
  for (const peer of model.peers) {
    if (peer.gone) continue;
    said.push(`${peer.name} is gone`);
    peer.receipts.length = 0;
    peer.real.socket.hangUp();
    model.leave(peer, true);
    await desk.clock.settle();
    model.check();
  }
  // Nothing was lost, nothing came twice, and what is left is in its old order.
  const last = await desk.open().connect('1.2');
  for (const destination of queues) await last.send('SUBSCRIBE', { id: destination, destination });
  const left = last.take().map(({ headers, body }) => `${headers['subscription']} ${body}`);
  const wanted = queues.flatMap((destination) => model.left(destination).map((body) => `${destination} ${body}`));
  if (left.join() !== wanted.join()) throw new Error(`left in the queues\nwanted: ${wanted}\ngot:    ${left}`);
}
