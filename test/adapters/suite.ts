import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EndpointOptions } from '../../src/core/endpoint-options.ts';
import type { ServerConnection } from '../../src/core/server-connection.ts';
import { type ScriptedSession, type ScriptedSubprotocol, scripted } from '../support/scripted-session.ts';

/** A server behind the adapter under test. */
export interface Served {
  readonly port: number;
  stats(): { readonly open: number; readonly faults: Readonly<Record<string, number | undefined>> };
  stop(): Promise<void>;
}

export interface ClientEnd {
  readonly code: number;
  readonly reason: string;
}

/** One client connection, as far as the suite needs it; a browser can stand behind it as well. */
export interface SuiteClient {
  send(message: string | Uint8Array): void;
  /** The next message; on a stream, the next so many bytes. */
  receive(bytes: number): Promise<string | Uint8Array>;
  close(code: number, reason: string): void;
  /** Resolves when the connection is over, with what the client was told. */
  readonly ended: Promise<ClientEnd>;
  /** Still tells what comes after its own `close`. */
  readonly readsToTheEnd?: boolean;
  /** Drop the connection without a goodbye; absent where the client cannot. */
  destroy?(): void;
  /** Stop and go on reading; absent where the client cannot. */
  pause?(): void;
  resume?(): void;
}

export interface AdapterUnderTest {
  /** Messages have bounds and close codes; false: a byte stream. */
  readonly framed: boolean;
  serve(options: EndpointOptions): Promise<Served>;
  /** Ways to connect, by name. */
  readonly clients: Readonly<Record<string, (served: Served) => Promise<SuiteClient>>>;
}

const kib = 1_024;
const sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 1_024 * kib];
const limits = { closeTimeout: 300, maxPayload: 1_024 * kib, maxUnread: 8_192 * kib };
const text = (head: string) => ({ head, binary: false });

const decode = (data: string | Uint8Array): string => (typeof data === 'string' ? data : Buffer.from(data).toString());

/** Bytes in which every value occurs, so that nothing may touch them on the way. */
const bytesOf = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, index) => (index * 31) % 251);
/** Text of so many bytes, with characters of one to four bytes where there is room. */
const textOf = (size: number): string => 'aé漢😀'.repeat(Math.floor(size / 10)) + 'x'.repeat(size % 10);

/** Echoes; a few words are commands. */
function commanded(name: string, waiting: Map<ScriptedSession, () => void>): ScriptedSubprotocol {
  return scripted(
    [name],
    (session) => {
      const { connection } = session;
      session.on.receive = (data: string | Uint8Array) => {
        const words = data.length < 20 ? decode(data) : '';
        if (words === 'burst')
          for (let index = 0; index < 2_000; index++) connection.send(text(String(100_000 + index)));
        else if (words === 'close') connection.close('forbidden', 'gö away');
        else if (words === 'finish') connection.finish();
        else if (words === 'terminate') connection.terminate();
        else if (words === 'hold') connection.hold();
        else if (words === 'bug') throw new Error('a bug in a session');
        else
          connection.send({
            head: typeof data === 'string' ? data : new Uint8Array(data),
            binary: typeof data !== 'string',
          });
      };
      session.on.fail = (error: { fault: string }) => connection.send(text(`fault ${error.fault}`));
      session.on.end = () => waiting.get(session)?.();
    },
    { acceptsUnnamed: true },
  );
}

/** The one suite: whatever carries the bytes, this is what it has to do. */
export function adapterSuite(name: string, adapter: AdapterUnderTest): void {
  const waiting = new Map<ScriptedSession, () => void>();
  const protocol = commanded('echo', waiting);
  const errors: unknown[] = [];
  let served: Served;
  /** How many bytes a short answer has: a stream has to know. */
  const answer = async (client: SuiteClient, words: string): Promise<string> =>
    decode(await client.receive(Buffer.byteLength(words)));
  const ended = (session: ScriptedSession): Promise<void> =>
    new Promise((resolve) => {
      if (session.log.some((line) => line.startsWith('end'))) resolve();
      else waiting.set(session, resolve);
    });

  beforeAll(async () => {
    served = await adapter.serve({ protocols: [protocol], limits, onError: (error) => errors.push(error) });
  });
  afterAll(() => served.stop());

  for (const [clientName, connect] of Object.entries(adapter.clients)) {
    const open = async () => {
      const client = await connect(served);
      client.send('hi');
      expect(await answer(client, 'hi')).toBe('hi');
      const session = protocol.sessions.at(-1) as ScriptedSession;
      return { client, session, connection: session.connection as ServerConnection };
    };

    describe(`${name}, ${clientName}`, () => {
      test.each(adapter.framed ? sizes : sizes.slice(1))('echoes %i bytes', async (size) => {
        const { client } = await open();
        const bytes = bytesOf(size);
        client.send(bytes);
        expect(Buffer.compare((await client.receive(size)) as Uint8Array, bytes)).toBe(0);
        if (adapter.framed) {
          client.send(textOf(size));
          expect((await client.receive(size)) === textOf(size)).toBe(true);
        }
        client.close(1000, '');
        await client.ended;
      });

      test('[CONN-11] many messages of one turn arrive in order', async () => {
        const { client } = await open();
        client.send('burst');
        for (let index = 0; index < 2_000; index++)
          expect(await answer(client, '100000')).toBe(String(100_000 + index));
        client.close(1000, '');
      });

      test('many messages of a client arrive in order', async () => {
        const { client } = await open();
        for (let index = 0; index < 500; index++) client.send(String(100_000 + index));
        for (let index = 0; index < 500; index++) expect(await answer(client, '100000')).toBe(String(100_000 + index));
        client.close(1000, '');
      });

      test('[CONN-24] [CONN-28] a fault comes as last words, then as code and reason', async () => {
        const { client, session } = await open();
        client.send('close');
        expect(await answer(client, 'fault forbidden')).toBe('fault forbidden');
        const end = await client.ended;
        if (adapter.framed) expect(end).toEqual({ code: 4403, reason: 'gö away' });
        await ended(session);
        expect(session.log.at(-1)).toBe('end 4403 gö away');
      });

      test('[CONN-25] a bug in a session ends that connection, and no other', async () => {
        const { client: other } = await open();
        const { client } = await open();
        client.send('bug');
        expect(await answer(client, 'fault internal')).toBe('fault internal');
        await client.ended;
        expect(String(errors.at(-1))).toBe('Error: a bug in a session');
        other.send('still here');
        expect(await answer(other, 'still here')).toBe('still here');
        other.close(1000, '');
      });

      test('[CONN-24] what a peer asked right before its close is answered', async () => {
        const { client, session } = await open();
        client.send('last question');
        client.close(1000, '');
        if (client.readsToTheEnd) expect(await answer(client, 'last question')).toBe('last question');
        await client.ended;
        await ended(session);
      });

      test('finish() closes normally', async () => {
        const { client, session } = await open();
        client.send('finish');
        const end = await client.ended;
        if (adapter.framed) expect(end.code).toBe(1000);
        await ended(session);
        expect(session.log.at(-1)).toBe('end 1000');
      });

      test('terminate() drops the connection without a goodbye', async () => {
        const { client, session } = await open();
        client.send('terminate');
        const end = await client.ended;
        if (adapter.framed) expect(end).toEqual({ code: 1006, reason: '' });
        await ended(session);
        expect(session.log.at(-1)).toBe('end 1006');
      });

      test.each([
        [1000, ''],
        [3000, 'thrée'],
        [4999, 'x'.repeat(123)],
      ])('a client that closes with %i is heard', async (code, reason) => {
        const { client, session } = await open();
        client.close(code, reason);
        await ended(session);
        expect(session.log.at(-1)).toBe(adapter.framed ? `end ${code} ${reason}`.trim() : 'end 1000');
        await client.ended;
      });

      test('a peer that vanishes is the end of its session', async () => {
        const { client, session } = await open();
        if (!client.destroy) return client.close(1000, '');
        client.destroy();
        await ended(session);
        expect(session.log.at(-1)).toMatch(/^end 10(00|06)$/);
      });

      test('[CONN-13] while input is held nothing is read; then all of it comes, in order', async () => {
        const { client, session, connection } = await open();
        client.send('hold');
        // A turn of another connection shows that the server had time to read.
        const { client: other } = await open();
        client.send('one');
        client.send('two');
        other.send('turn');
        await answer(other, 'turn');
        expect(session.log.some((line) => line.includes('one'))).toBe(false);
        connection.release();
        expect(await answer(client, 'one')).toBe('one');
        expect(await answer(client, 'two')).toBe('two');
        for (const each of [client, other]) each.close(1000, '');
      });

      test('[CONN-17] a reader that goes on reading is told to have drained', async () => {
        const { client, session, connection } = await open();
        if (!client.pause || !client.resume) return client.close(1000, '');
        client.pause();
        const tail = new Uint8Array(64 * kib);
        let sent = 0;
        while (!connection.mustWait() && sent < 1_000) {
          connection.send({ head: '', tail, binary: true });
          sent++;
          await setImmediate();
        }
        expect(connection.mustWait()).toBe(true);
        const drained = new Promise<void>((resolve) => {
          session.on.drained = () => resolve();
        });
        client.resume();
        for (let index = 0; index < sent; index++) await client.receive(tail.length);
        await drained;
        client.send('on');
        expect(await answer(client, 'on')).toBe('on');
        client.close(1000, '');
      });

      test('[CONN-16] [CONN-26] a reader that does not read is cut, within its close timeout', async () => {
        const { client, session, connection } = await open();
        if (!client.pause) return client.close(1000, '');
        client.pause();
        const tail = new Uint8Array(64 * kib);
        for (let sent = 0; !connection.closing && sent < 1_000; sent++) {
          connection.send({ head: '', tail, binary: true });
          await setImmediate();
        }
        expect(session.log.at(-1)).toBe('fail tooSlow');
        await ended(session);
        expect(served.stats().faults['tooSlow']).toBeGreaterThan(0);
        client.resume?.();
        client.destroy?.();
        await client.ended;
      });
    });
  }

  test(`[CONN-38] ${name}: nothing is left open`, async () => {
    for (const session of protocol.sessions) await ended(session);
    expect(served.stats().open).toBe(0);
  });
}
