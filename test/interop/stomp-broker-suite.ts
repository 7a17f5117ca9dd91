import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Transport } from '../../src/core/socket.ts';
import {
  ConnectionLost,
  createStompClient,
  type ReceivedMessage,
  type StompClient,
  type StompClientOptions,
  StompError,
  type Version,
} from '../../src/stomp/client/client.ts';
import { Mailbox } from '../support/mailbox.ts';
import { type ProgramName, requireProgram } from '../support/programs/program.ts';

/** A broker that nobody here wrote, while it runs. */
export interface RunningBroker {
  readonly port: number;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

export interface BrokerUnderTest<Running extends RunningBroker> {
  readonly program: ProgramName;
  start(): Promise<Running>;
  /** On the same ports; absent: it is not killed. */
  restart?(ended: Running): Promise<Running>;
  /** Ways to reach it, by name. */
  readonly ways: Readonly<Record<string, (broker: Running) => StompClientOptions>>;
  /** Ways on which bodies that are no UTF-8 do not survive. */
  readonly textOnly?: readonly string[];
  /** Default: all of them. */
  readonly versions?: readonly Version[];
  /** CONNECT headers that it refuses; absent: it lets everybody in. */
  readonly unwelcome?: Record<string, string>;
  /** What becomes of a refused message: the destination where it turns up next. */
  refusedTo(destination: string): string;
  readonly server: RegExp;
}

/** The same transport; each piece of input is shown to `heard` first. */
export const overheard =
  (transport: Transport, heard: (data: string | Uint8Array) => void): Transport =>
  (url, protocols, attempt) =>
    transport(url, protocols, {
      failed: (code, reason, error) => attempt.failed(code, reason, error),
      opened(socket) {
        const receiver = attempt.opened(socket);
        const received = receiver.received.bind(receiver);
        receiver.received = (data) => {
          heard(data);
          received(data);
        };
        return receiver;
      },
    });

const octets = Uint8Array.from({ length: 70_000 }, (_, index) => index);
let names = 0;
const fresh = (kind: 'queue' | 'topic'): string => `/${kind}/own-client-${process.pid}-${++names}`;

/** Our client with a broker of somebody else: all that it does, over each way, in each version. */
export function stompBrokerSuite<Running extends RunningBroker>(name: string, peer: BrokerUnderTest<Running>): void {
  describe(name, () => suite(peer));
}

function suite<Running extends RunningBroker>(peer: BrokerUnderTest<Running>): void {
  const brokerTest = requireProgram(peer.program, test);
  const clients: StompClient[] = [];
  let broker: Running;

  beforeAll(async () => {
    if (brokerTest === test) broker = await peer.start();
  });
  afterEach(async () => void (await Promise.all(clients.splice(0).map((client) => client.disconnect()))));
  afterAll(() => broker?.stop());

  describe.each(Object.entries(peer.ways))('%s', (way, optionsOf) => {
    async function connect(options: Partial<StompClientOptions> = {}): Promise<StompClient> {
      const client = createStompClient({ backoff: { base: 50, cap: 500 }, ...optionsOf(broker), ...options });
      clients.push(client);
      await client.connect();
      return client;
    }

    /** Subscribe, and wait until the server has done it. */
    async function read(client: StompClient, destination: string, headers: Record<string, string> = {}) {
      const mailbox = new Mailbox<ReceivedMessage>();
      const subscription = client.subscribe(destination, (message) => mailbox.put(message), headers);
      await client.publish({ destination: fresh('topic'), receipt: true });
      return { mailbox, subscription };
    }

    describe.each(peer.versions ?? ['1.0', '1.1', '1.2'])('in %s', (version) => {
      const only = { versions: [version as Version] };

      brokerTest('connects, sends, receives, leaves', async () => {
        const seen = new Mailbox<string>();
        const client = createStompClient({ ...optionsOf(broker), ...only });
        clients.push(client);
        client.on('connected', (headers) => seen.put(headers.get('server') ?? ''));
        await client.connect();
        // ActiveMQ 1.0 does not name itself.
        if (version !== '1.0') expect(await seen.next()).toMatch(peer.server);
        expect(client.state.getSnapshot()).toMatchObject({ status: 'connected', version });
        const destination = fresh('topic');
        const { mailbox, subscription } = await read(client, destination);
        const odd = version === '1.0' ? 'plain' : 'colon: and \\ and\nline';
        await client.publish({ destination, body: 'héllo 漢字 😀', headers: { odd, a: 'é' }, receipt: true });
        const message = await mailbox.next();
        expect(message.body).toBe('héllo 漢字 😀');
        expect([message.headers.get('odd'), message.headers.get('a')]).toEqual([odd, 'é']);
        expect(message.destination).toBe(destination);
        const large = 'é'.repeat(300_000);
        await client.publish({ destination, body: large, receipt: true });
        expect((await mailbox.next()).body === large).toBe(true);
        expect(client.state.getSnapshot().latency).toBeGreaterThanOrEqual(0);
        subscription.unsubscribe();
        await client.publish({ destination, body: 'unheard', receipt: true });
        expect(mailbox.size).toBe(0);
        await client.disconnect();
        expect(client.state.getSnapshot().status).toBe('idle');
      });

      const whole = peer.textOnly?.includes(way) ? 'é'.repeat(35_000) : octets;
      brokerTest(`a body of 70,000 octets, ${typeof whole === 'string' ? 'text' : 'all values'}`, async () => {
        const client = await connect(only);
        const destination = fresh('topic');
        const { mailbox } = await read(client, destination);
        await client.publish({ destination, body: whole, receipt: true });
        expect(Buffer.from(whole as string).equals((await mailbox.next()).bytes)).toBe(true);
      });

      brokerTest('a queue: what is not acknowledged comes again, what is does not', async () => {
        const destination = fresh('queue');
        const sender = await connect(only);
        for (const body of ['one', 'two']) await sender.publish({ destination, body, receipt: true });
        const first = await connect(only);
        const { mailbox } = await read(first, destination, { ack: 'client' });
        const one = await mailbox.next();
        expect(one.body).toBe('one');
        expect(one.ack({ receipt: 'acked' })).toBe(true);
        await first.publish({ destination: fresh('topic'), receipt: true });
        expect((await mailbox.next()).body).toBe('two');
        first.terminate();
        await first.disconnect();
        const { mailbox: again } = await read(await connect(only), destination, { ack: 'client' });
        const two = await again.next();
        expect(two.body).toBe('two');
        expect(two.ack()).toBe(true);
        expect(one.ack()).toBe(false);
      });

      brokerTest('a transaction: all at its commit, nothing at its abort', async () => {
        const client = await connect(only);
        const destination = fresh('queue');
        const { mailbox } = await read(client, destination);
        const aborted = client.begin();
        await aborted.publish({ destination, body: 'never' });
        aborted.abort();
        const transaction = client.begin();
        await transaction.publish({ destination, body: 'one' });
        await transaction.publish({ destination, body: 'two' });
        await client.publish({ destination, body: 'before', receipt: true });
        expect((await mailbox.next()).body).toBe('before');
        await transaction.commit();
        expect([(await mailbox.next()).body, (await mailbox.next()).body]).toEqual(['one', 'two']);
      });

      brokerTest(
        '[STOMP-133] a subscription that wants to come back breaks nothing, and hears that it cannot',
        async () => {
          const client = await connect(only);
          const destination = fresh('topic');
          const mailbox = new Mailbox<unknown>();
          const { active } = client.subscribe(destination, ({ body }) => mailbox.put(body), {
            onRecovery: (recovered) => mailbox.put(recovered),
          });
          await active;
          await client.publish({ destination, body: 'one', receipt: true });
          expect(await mailbox.next()).toBe('one');
          client.terminate();
          expect(await mailbox.next()).toBe(false);
          await client.publish({ destination, body: 'two', receipt: true });
          expect(await mailbox.next()).toBe('two');
          expect(mailbox.size).toBe(0);
        },
      );

      // 1.0 has neither NACK nor heart-beats.
      if (version === '1.0') return;
      brokerTest('[STOMP-55] what is refused goes where the server sends it', async () => {
        const client = await connect(only);
        const destination = fresh('queue');
        const { mailbox, subscription } = await read(client, destination, { ack: 'client-individual' });
        await client.publish({ destination, headers: { persistent: 'true' }, body: 'bitter', receipt: true });
        (await mailbox.next()).nack();
        const next = peer.refusedTo(destination);
        const refused =
          next === destination ? mailbox : (await read(client, next, { ack: 'client-individual' })).mailbox;
        const message = await refused.next();
        expect(message.body).toBe('bitter');
        message.ack();
        subscription.unsubscribe();
      });

      brokerTest('[STOMP-34] heart-beats keep both directions alive', async () => {
        const beats = new Mailbox<true>();
        const { transport, ...rest } = optionsOf(broker);
        let lost = 0;
        const client = createStompClient({
          ...rest,
          ...only,
          heartbeatIncoming: 1_500,
          heartbeatOutgoing: 1_500,
          transport: overheard(transport as Transport, (data) => {
            if (Buffer.from(data as string).every((octet) => octet === 10)) beats.put(true);
          }),
        });
        clients.push(client);
        client.on('closed', () => lost++);
        await client.connect();
        // Longer than a server waits for ours.
        for (let count = 0; count < 2; count++) await beats.next();
        expect(lost).toBe(0);
        await client.publish({ destination: fresh('topic'), receipt: true });
      });
    });

    brokerTest('[STOMP-63] an ERROR rejects what it answers, and the client comes back', async () => {
      const client = await connect();
      const destination = fresh('topic');
      const { mailbox } = await read(client, destination);
      const headers = { transaction: 'never-begun' };
      const outcome = client.publish({ destination, headers, body: 'lost', receipt: true });
      await expect(outcome).rejects.toBeInstanceOf(StompError);
      await client.publish({ destination, body: 'after', receipt: true });
      expect((await mailbox.next()).body).toBe('after');
    });

    const { unwelcome } = peer;
    if (!unwelcome) return;
    brokerTest('[STOMP-63] a refused login is an ERROR, and final', async () => {
      const client = createStompClient({ ...optionsOf(broker), connectHeaders: unwelcome });
      clients.push(client);
      await expect(client.connect()).rejects.toBeInstanceOf(StompError);
      expect(client.state.getSnapshot().status).toBe('idle');
    });
  });

  const { restart } = peer;
  if (!restart) return;
  brokerTest(
    'after it was killed and restarted, subscriptions are back and what waited is sent',
    { timeout: 60_000 },
    async () => {
      const all = Object.values(peer.ways).map((optionsOf) =>
        createStompClient({ backoff: { base: 100, cap: 500 }, ...optionsOf(broker) }),
      );
      clients.push(...all);
      const destination = fresh('topic');
      const mailboxes = all.map((client) => {
        const mailbox = new Mailbox<string>();
        client.subscribe(destination, ({ body }) => mailbox.put(body));
        return mailbox;
      });
      const losses = all.map((client) => new Promise((resolve) => client.on('closed', resolve)));
      for (const client of all) {
        await client.connect();
        await client.publish({ destination: fresh('topic'), receipt: true });
      }
      await all[0]?.publish({ destination, body: 'before', receipt: true });
      for (const mailbox of mailboxes) expect(await mailbox.next()).toBe('before');
      await broker.kill();
      for (const loss of losses) expect(await loss).toBeInstanceOf(ConnectionLost);
      const waiting = all.map((client) =>
        client.publish({ destination: fresh('queue'), body: 'waits', receipt: true }),
      );
      broker = await restart(broker);
      await Promise.all(waiting);
      await all[0]?.publish({ destination, body: 'after', receipt: true });
      for (const mailbox of mailboxes) expect(await mailbox.next()).toBe('after');
    },
  );
}
