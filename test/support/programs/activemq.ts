import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, privateDirectory, type RunningProgram, startProgram } from './program.ts';

export interface ActiveMq extends RunningProgram {
  /** STOMP over TCP; any login is let in. */
  readonly port: number;
}

export interface ActiveMqOptions {
  /** Of one that has ended: then it is that one, restarted. Default: a free one. */
  readonly port?: number;
  /** Where persistent messages are kept. Default: nowhere, they end with it. */
  readonly storeIn?: string;
}

const home = '/usr/share/activemq';

/**
 * A private ActiveMQ Classic that keeps its messages in memory, unless it is said where. Takes about half a second. With the port of one that
 * has ended it is that one, restarted.
 *
 * @example
 * const active = await startActiveMq();
 * afterAll(() => active.stop());
 */
export async function startActiveMq({ port: wanted, storeIn }: ActiveMqOptions = {}): Promise<ActiveMq> {
  const port = wanted ?? (await freePort());
  const directory = await privateDirectory('activemq');
  const jars = [
    ...(await readdir(join(home, 'lib')))
      .filter((name) => name.endsWith('.jar'))
      .map((name) => join(home, 'lib', name)),
    ...['slf4j-log4j12', 'log4j-1.2'].map((name) => join(home, 'lib/optional', `${name}.jar`)),
  ];
  const broker = `broker:(stomp://127.0.0.1:${port})?brokerName=subwire${port}&persistent=${storeIn !== undefined}&useJmx=false&useShutdownHook=false&dataDirectory=${storeIn ?? directory}`;
  const program = await startProgram({
    name: 'ActiveMQ',
    directory,
    command: [
      ...['java', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'],
      ...[`-Dactivemq.home=${home}`, `-Dactivemq.base=${directory}`, `-Djava.io.tmpdir=${directory}`],
      ...['-cp', jars.join(':'), 'org.apache.activemq.console.Main', 'start', broker],
    ] as [string, ...string[]],
    port,
    within: 30_000,
  });
  return { ...program, port };
}
