import { once } from 'node:events';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer } from 'node:net';
import { freePort } from '../../support/programs/program.ts';
import { answer } from '../ipc.ts';
import { profiling } from './profile.ts';

/** Where a server under test is reached. */
export interface ServerReady {
  readonly port: number;
  /** A byte to this port makes one event. */
  readonly controlPort: number;
}

/** What a server process has used so far: CPU in µs, memory in bytes. */
export interface Usage {
  readonly user: number;
  readonly system: number;
  readonly rss: number;
}

/** Put a server on a port and answer what the bench asks of it. `publish` makes one event, or one burst of events. */
export async function serve(publish: () => void = () => {}, http: Server = createHttpServer()): Promise<Server> {
  const port = await freePort();
  const controlPort = await freePort();
  const control = createServer((socket) => {
    socket.on('data', (bytes) => {
      for (let left = bytes.length; left > 0; left--) publish();
    });
    socket.on('error', () => {});
  });
  http.listen({ port, host: '127.0.0.1', backlog: 4_096 });
  control.listen(controlPort, '127.0.0.1');
  await Promise.all([once(http, 'listening'), once(control, 'listening')]);
  answer(
    {
      ...profiling(),
      usage(): Usage {
        const { user, system } = process.cpuUsage();
        return { user, system, rss: process.memoryUsage.rss() };
      },
      collect() {
        globalThis.gc?.();
      },
    },
    { port, controlPort } satisfies ServerReady,
  );
  return http;
}
