import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A proxy whose connections a test can cut, all at once. */
export interface CuttableProxy {
  /** The port that it listens on. */
  readonly port: number;
  /** Where it connects to: change it, and those that come next go there. */
  readonly target: { port: number };
  /** Drop every connection. */
  cut(): void;
  /** Drop every connection, and listen no more. */
  close(): void;
}

/**
 * Start one in front of a port of this machine.
 *
 * @example
 * const { port, cut, close } = await startCuttableProxy(serverPort);
 */
export async function startCuttableProxy(to: number): Promise<CuttableProxy> {
  const sockets = new Set<Socket>();
  const target = { port: to };
  const proxy = createServer((near) => {
    const far = connect(target.port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (proxy.address() as AddressInfo).port,
    target,
    cut,
    close() {
      cut();
      proxy.close();
    },
  };
}
