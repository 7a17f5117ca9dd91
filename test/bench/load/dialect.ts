import { LeanSocket } from './lean-socket.ts';

/** How to become a subscriber of a server. `$id` in a text becomes an id of the usual 36 characters. */
export interface Dialect {
  readonly port: number;
  readonly path: string;
  readonly protocol?: string | undefined;
  /** The first message; the answer to it is awaited. */
  readonly greeting?: string | undefined;
  readonly subscribe?: string | undefined;
  readonly subscriptionsPerSocket?: number | undefined;
}

let lastId = 0;

/** As long as a UUID, which most clients use. */
export const nextId = (): string => `01234567-89ab-cdef-0123-${String(++lastId).padStart(12, '0')}`;

/** Open one socket and say what the dialect says; resolves when all of it is on its way. */
export function openSocket(dialect: Dialect): Promise<LeanSocket> {
  const { greeting, subscribe, subscriptionsPerSocket = 1 } = dialect;
  return new Promise((resolve, reject) => {
    const socket = new LeanSocket(dialect, (error) => {
      if (error) reject(error);
      else if (greeting === undefined) subscribeAll();
      else {
        socket.onFrame = subscribeAll;
        socket.send(greeting);
      }
    });
    function subscribeAll(): void {
      socket.onFrame = () => {};
      if (subscribe !== undefined) {
        for (let left = subscriptionsPerSocket; left > 0; left--) socket.send(subscribe.replaceAll('$id', nextId()));
      }
      resolve(socket);
    }
  });
}

/** Open many, a few at a time: no accept queue is tested here. */
export async function openSockets(dialect: Dialect, count: number): Promise<LeanSocket[]> {
  const sockets: LeanSocket[] = [];
  while (sockets.length < count) {
    const batch = Math.min(50, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: batch }, () => openSocket(dialect)))));
  }
  return sockets;
}
