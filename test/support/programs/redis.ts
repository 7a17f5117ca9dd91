import { freePort, privateDirectory, type RunningProgram, startProgram } from './program.ts';

export interface Redis extends RunningProgram {
  readonly port: number;
}

export interface RedisOptions {
  /** The port of one that has ended: then it is that one, restarted. Default: a free one. */
  readonly port?: number;
  /** Where it keeps what it confirms, before it confirms it. Default: nowhere, it has memory alone. */
  readonly appendTo?: string;
  /** Where a SAVE goes, and what it begins with. Default: nowhere, it begins empty. */
  readonly snapshotIn?: string;
  readonly password?: string;
}

/**
 * A private Redis. Takes about a tenth of a second.
 *
 * @example
 * const redis = await startRedis();
 * afterAll(() => redis.stop());
 */
export async function startRedis({ port: wanted, appendTo, snapshotIn, password }: RedisOptions = {}): Promise<Redis> {
  const port = wanted ?? (await freePort());
  const directory = await privateDirectory('redis');
  const program = await startProgram({
    name: 'Redis',
    directory,
    command: [
      ...['/usr/bin/redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', ''],
      ...['--appendonly', appendTo === undefined ? 'no' : 'yes', '--appendfsync', 'always'],
      ...['--dir', appendTo ?? snapshotIn ?? directory],
      ...(password === undefined ? [] : ['--requirepass', password]),
    ] as [string, ...string[]],
    port,
    within: 10_000,
  });
  return { ...program, port };
}
