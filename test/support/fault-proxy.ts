import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Where a stream server is: a port of 127.0.0.1, or a path. */
export type StreamAddress = number | string;

/** A relay of byte streams that can do what networks do. */
export interface FaultProxy {
  /** What comes back from the server is thrown away, until the connections are cut. */
  swallowAnswers(): void;
  /** Nothing passes in either direction, and nothing is closed: a network that lost its cable. */
  freeze(): void;
  /** What `freeze` held passes on. */
  thaw(): void;
  /** All connections are reset; new ones pass as before. */
  cut(): void;
  /** New connections go to another server from now on. */
  retarget(server: StreamAddress): void;
  /** How many connections pass through it. */
  readonly size: number;
  close(): Promise<void>;
}

/**
 * Start a proxy at one address for the server at another.
 *
 * @example
 * const proxy = await startFaultProxy(21_000, 6_379);
 * proxy.cut();
 */
export async function startFaultProxy(address: StreamAddress, behind: StreamAddress): Promise<FaultProxy> {
  let server = behind;
  const pairs = new Set<readonly [near: Socket, far: Socket]>();
  let deaf = new WeakSet<Socket>();
  let frozen = false;

  function dial(): Socket {
    return typeof server === 'number' ? connect(server, '127.0.0.1') : connect(server);
  }

  const listener = createServer((near) => {
    const far = dial();
    const pair = [near, far] as const;
    pairs.add(pair);
    near.on('data', (data: Buffer) => far.write(data));
    far.on('data', (data: Buffer) => {
      if (!deaf.has(near)) near.write(data);
    });
    for (const [one, other] of [pair, [far, near] as const]) {
      one.on('error', () => {});
      one.on('close', () => {
        pairs.delete(pair);
        other.destroy();
      });
      if (frozen) one.pause();
    }
  });
  if (typeof address === 'number') listener.listen(address, '127.0.0.1');
  else listener.listen(address);
  await once(listener, 'listening');

  return {
    get size() {
      return pairs.size;
    },
    retarget(other) {
      server = other;
    },
    swallowAnswers() {
      for (const [near] of pairs) deaf.add(near);
    },
    freeze() {
      frozen = true;
      for (const pair of pairs) for (const socket of pair) socket.pause();
    },
    thaw() {
      frozen = false;
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    cut() {
      deaf = new WeakSet();
      // Only TCP can say that a connection was reset.
      for (const [near] of [...pairs]) {
        if (typeof address === 'number') near.resetAndDestroy();
        else near.destroy();
      }
    },
    async close() {
      for (const [near, far] of [...pairs]) {
        near.destroy();
        far.destroy();
      }
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
