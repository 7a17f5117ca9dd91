import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, privateDirectory, type RunningProgram, startProgram } from './program.ts';

export interface RabbitMq extends RunningProgram {
  /** STOMP over TCP. */
  readonly port: number;
  /** STOMP over WebSocket. User and password are `guest`. */
  readonly url: string;
  readonly webPort: number;
}

export interface RabbitMqOptions {
  /** How it sends bodies over WebSocket. Default: text. */
  readonly frames?: 'text' | 'binary';
  /** Ports of one that has ended: then it is that one, restarted. Default: free ones. */
  readonly port?: number;
  readonly webPort?: number;
  /** Where it keeps what it knows. Default: in a directory that ends with it. */
  readonly storeIn?: string;
  /** A network namespace that it runs in, and its address there. Default: 127.0.0.1 of this one. */
  readonly network?: { readonly name: string; readonly address: string };
}

const library = '/usr/lib/rabbitmq/lib';

/** Before a command that is to run in a network namespace. */
const inNetwork = (network: RabbitMqOptions['network']): readonly [string, ...string[]] =>
  network ? ['/usr/sbin/ip', 'netns', 'exec', network.name, 'bash'] : ['bash'];

/**
 * A private RabbitMQ with STOMP over TCP and over WebSocket; all that it knows is gone afterwards. Takes about 7 s.
 *
 * @example
 * const rabbit = await startRabbitMq({ frames: 'binary' });
 * afterAll(() => rabbit.stop());
 */
export async function startRabbitMq(options: RabbitMqOptions = {}): Promise<RabbitMq> {
  const { frames = 'text', storeIn, network, ...ports } = options;
  const host = network?.address ?? '127.0.0.1';
  const port = ports.port ?? (await freePort());
  const webPort = ports.webPort ?? (await freePort());
  const [distributionPort, epmdPort] = [await freePort(), await freePort()];
  const directory = await privateDirectory('rabbitmq', {
    '.erlang.cookie': 'SUBWIRE',
    'env.conf': '',
    enabled_plugins: '[rabbitmq_stomp,rabbitmq_web_stomp].',
    'advanced.config': `[
      {rabbit, [{tcp_listeners, []}, {loopback_users, []},
        {vm_memory_high_watermark, {absolute, 1073741824}}, {disk_free_limit, 50000000},
        {log, [{console, [{enabled, true}, {level, warning}]}, {file, [{enabled, false}]}]}]},
      {rabbitmq_stomp, [{tcp_listeners, [{"${host}", ${port}}]}]},
      {rabbitmq_web_stomp, [{tcp_config, [{ip, "${host}"}, {port, ${webPort}}]}, {ws_frame, ${frames}}]}].`,
  });
  for (const name of ['mnesia', 'log', 'schema']) await mkdir(join(directory, name));
  const [release] = (await readdir(library)).filter((name) => name.startsWith('rabbitmq_server-'));
  const program = await startProgram({
    name: 'RabbitMQ',
    directory,
    // Its own epmd in the foreground: else Erlang would start one that stays when the node is gone.
    command: [...inNetwork(network), '-c', 'epmd & exec "$0"', join(library, String(release), 'sbin/rabbitmq-server')],
    env: {
      HOME: directory,
      ERL_EPMD_ADDRESS: '127.0.0.1',
      ERL_EPMD_PORT: String(epmdPort),
      RABBITMQ_DIST_PORT: String(distributionPort),
      RABBITMQ_NODENAME: `subwire${port}@localhost`,
      RABBITMQ_CONF_ENV_FILE: join(directory, 'env.conf'),
      RABBITMQ_CONFIG_FILE: join(directory, 'none'),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(directory, 'advanced.config'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, 'enabled_plugins'),
      RABBITMQ_GENERATED_CONFIG_DIR: join(directory, 'schema'),
      RABBITMQ_SCHEMA_DIR: join(directory, 'schema'),
      RABBITMQ_MNESIA_BASE: storeIn ?? join(directory, 'mnesia'),
      RABBITMQ_LOG_BASE: join(directory, 'log'),
      RABBITMQ_PID_FILE: join(directory, 'pid'),
      // No busy waiting beside the tests, and no port that others can reach.
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
        '+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}',
    },
    port: webPort,
    host,
    within: 60_000,
  });
  return { ...program, port, webPort, url: `ws://${host}:${webPort}/ws` };
}
