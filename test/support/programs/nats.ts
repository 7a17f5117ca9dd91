import { freePort, privateDirectory, type RunningProgram, startProgram } from './program.ts';

export interface Nats extends RunningProgram {
  readonly port: number;
}

export interface NatsOptions {
  /** The port of one that has ended: then it is that one, restarted. Default: a free one. */
  readonly port?: number;
  /** A directory for streams, which stays. */
  readonly storeIn: string;
  readonly token?: string;
}

/**
 * A private nats-server with JetStream, which takes messages of up to 8 MiB. Takes about a tenth of a second.
 *
 * @example
 * const nats = await startNats({ storeIn: directory });
 * afterAll(() => nats.stop());
 */
export async function startNats({ port: wanted, storeIn, token }: NatsOptions): Promise<Nats> {
  const port = wanted ?? (await freePort());
  const directory = await privateDirectory('nats', {
    'nats.conf': [
      `listen: "127.0.0.1:${port}"`,
      'max_payload: 8388608',
      `jetstream { store_dir: "${storeIn}", max_file_store: 1073741824, max_memory_store: 67108864 }`,
      ...(token === undefined ? [] : [`authorization { token: "${token}" }`]),
    ].join('\n'),
  });
  const program = await startProgram({
    name: 'NATS',
    directory,
    command: ['/usr/sbin/nats-server', '-c', `${directory}/nats.conf`],
    port,
    within: 10_000,
  });
  return { ...program, port };
}
