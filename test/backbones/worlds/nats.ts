import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { natsBackbone, natsCoreBackbone } from '../../../src/backbones/nats.ts';
import { subjectOf } from '../../../src/backbones/subjects.ts';
import type { Backbone } from '../../../src/bus/backbone.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { hastyClock } from '../../support/hasty-clock.ts';
import { type ClosableNats, natsPackage } from '../../support/nats-clients.ts';
import { startNats } from '../../support/programs/nats.ts';
import { freePort } from '../../support/programs/program.ts';
import type { SmallHistory, World } from '../world.ts';

/** The same for subjects without a stream. */
export const natsCoreWorld = (options: SmallHistory = {}): Promise<World> =>
  natsWorld(options, ({ connection, prefix, clock }) => natsCoreBackbone({ connection, prefix, clock }), 'core');

interface NatsParts {
  readonly connection: ClosableNats;
  readonly prefix: string | undefined;
  readonly clock: Clock | undefined;
}

/** A NATS behind a proxy, and some connections in advance, since a backbone is made of one that is there. */
export async function natsWorld(
  { hasty = false, ...history }: SmallHistory = {},
  make?: (parts: NatsParts) => Backbone,
  folder = 'out',
): Promise<World> {
  const { connect, headers } = await natsPackage();
  const storeIn = await mkdtemp(join(tmpdir(), 'subwire-nats-store-'));
  let nats = await startNats({ storeIn });
  const { port } = nats;
  const proxyPort = await freePort();
  const proxy = await startFaultProxy(proxyPort, port);
  const opened: ClosableNats[] = [];
  const ready: ClosableNats[] = [];
  async function more(): Promise<void> {
    const connection = await connect({
      servers: `127.0.0.1:${proxyPort}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
    });
    opened.push(connection);
    ready.push(connection);
  }
  let last: ClosableNats | undefined;
  const refill: Promise<void>[] = [];
  for (let count = 0; count < 6; count++) await more();
  const [writer] = ready.splice(0, 1);
  return {
    backbone({ prefix, clock = hasty ? hastyClock : undefined } = {}) {
      const connection = ready.shift();
      if (!connection) throw new Error('no connection is ready');
      refill.push(more().catch(() => {}));
      last = connection;
      if (make) return make({ connection, prefix, clock });
      return natsBackbone({ connection, headers, prefix, ackWait: 1_500, clock, ...history });
    },
    async writeForeign(topic, bytes) {
      const { publish } = writer as unknown as { publish(subject: string, body: Uint8Array, options: object): void };
      const own = headers();
      // Whatever it says of the place: the server has the last word.
      if (bytes[0] === 0xb5) {
        own.set('Nats-Sequence', '900000');
        own.set('Nats-Last-Sequence', '0');
      }
      publish.call(writer, `subwire.${make || bytes[0] !== 0xb5 ? folder : 'in'}.${subjectOf(topic, '>')}`, bytes, {
        headers: own,
      });
      await writer?.flush();
    },
    faults: {
      kill: () => nats.kill(),
      async restart() {
        nats = await startNats({ storeIn, port });
      },
      stop: () => void nats.signal('SIGSTOP'),
      resume: () => void nats.signal('SIGCONT'),
      cut: proxy.cut,
      swallowAnswers: proxy.swallowAnswers,
      freeze: proxy.freeze,
      thaw: proxy.thaw,
    },
    async clientWorks() {
      await last?.flush();
      return last?.isClosed() === false;
    },
    async close() {
      await Promise.all(refill);
      await Promise.all(opened.map((connection) => connection.close()));
      await proxy.close();
      await nats.stop();
      await rm(storeIn, { recursive: true, force: true });
    },
  };
}
