import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, privateDirectory, type RunningProgram, startProgram } from './program.ts';

/** Proxies that stand in front of many a server. */
export type ProxyName = 'nginx' | 'haproxy';

export interface ProxyOptions {
  /** Where the server is, on 127.0.0.1. */
  readonly to: number;
  /** How long a connection may be silent before the proxy ends it, in seconds. */
  readonly idle: number;
  /** The port of one that has ended: then it is that one, restarted. Default: a free one. */
  readonly port?: number;
}

export interface RunningProxy extends RunningProgram {
  readonly port: number;
}

const nginxConfig = (port: number, { to, idle }: ProxyOptions, directory: string): string => `
daemon off; master_process off;
pid ${directory}/pid; error_log stderr warn;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/f; uwsgi_temp_path ${directory}/u; scgi_temp_path ${directory}/s;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${to};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout ${idle}s; proxy_send_timeout ${idle}s;
    }
  }
}
`;

const haproxyConfig = (port: number, { to, idle }: ProxyOptions): string => `
defaults
  mode http
  timeout connect 2s
  timeout client ${idle}s
  timeout server ${idle}s
  timeout tunnel ${idle}s
  option forwardfor
frontend front
  bind 127.0.0.1:${port}
  default_backend back
backend back
  server one 127.0.0.1:${to}
`;

/**
 * A private proxy with a configuration of our own, in front of a server of this machine.
 *
 * @example
 * const proxy = await startProxy('nginx', { to: server.port, idle: 2 });
 * afterAll(() => proxy.stop());
 */
export async function startProxy(name: ProxyName, options: ProxyOptions): Promise<RunningProxy> {
  const port = options.port ?? (await freePort());
  const directory = await privateDirectory(name);
  const file = join(directory, 'proxy.conf');
  const config = name === 'nginx' ? nginxConfig(port, options, directory) : haproxyConfig(port, options);
  await writeFile(file, config);
  const program = await startProgram({
    name,
    directory,
    command:
      name === 'nginx' ? ['/usr/sbin/nginx', '-p', directory, '-c', file] : ['/usr/sbin/haproxy', '-db', '-f', file],
    port,
    within: 10_000,
  });
  return { ...program, port };
}
