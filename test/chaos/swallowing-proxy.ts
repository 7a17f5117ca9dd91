import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to the server that breaks as networks do. */
export interface SwallowingProxy {
  readonly port: number;
  /** What is open now goes on being open, and nothing passes any more: neither side is told. */
  swallow(): void;
  stop(): Promise<void>;
}

/** Pass everything to this port until told otherwise. */
export async function startSwallowingProxy(to: number): Promise<SwallowingProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1');
    const pair = [client, upstream] as const;
    pairs.add(pair);
    for (const [one, other] of [pair, [upstream, client] as const]) {
      one.pipe(other);
      one.on('error', () => {});
      one.on('close', () => {
        if (!one.isPaused()) other.destroy();
        pairs.delete(pair);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    swallow() {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream).pause();
        upstream.unpipe(client).pause();
      }
    },
    stop() {
      for (const sockets of pairs) for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
