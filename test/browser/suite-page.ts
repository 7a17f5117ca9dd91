import { type Connector, connect } from 'subwire';
import type { Connection } from 'subwire/extend';

/** A message between a test and its page: bytes travel as base64. */
export type Parcel = { readonly text: string } | { readonly base64: string };

export type Told =
  | { readonly kind: 'open' }
  | { readonly kind: 'message'; readonly parcel: Parcel }
  | { readonly kind: 'end'; readonly code: number; readonly reason: string };

type Line = { readonly dial: Connector; connection: Pick<Connection, 'send' | 'finish'> | undefined };

const lines = new Map<number, Line>();

const unpack = (parcel: Parcel): string | Uint8Array =>
  'text' in parcel ? parcel.text : Uint8Array.from(atob(parcel.base64), (unit) => unit.charCodeAt(0));

function pack(message: string | Uint8Array): Parcel {
  if (typeof message === 'string') return { text: message };
  let binary = '';
  for (let at = 0; at < message.length; at += 8_192) binary += String.fromCharCode(...message.subarray(at, at + 8_192));
  return { base64: btoa(binary) };
}

/** Connect with our client; what happens is told to the test, all of a turn at once. */
export function openLine(id: number, url: string, tell: (id: number, told: readonly Told[]) => void): void {
  let queue: Told[] = [];
  const later = (told: Told): void => {
    if (queue.push(told) > 1) return;
    setTimeout(() => {
      const all = queue;
      queue = [];
      tell(id, all);
    });
  };
  const dial = connect(url, {
    protocols: [
      {
        names: ['echo'],
        faults: {},
        open(connection) {
          line.connection = connection as Connection;
          later({ kind: 'open' });
          return {
            deadline: Number.POSITIVE_INFINITY,
            receive: (data) => later({ kind: 'message', parcel: pack(data) }),
            tick() {},
            drained() {},
            end: (code, reason) => later({ kind: 'end', code, reason }),
          };
        },
      },
    ],
    retry: () => false,
  });
  const line: Line = { dial, connection: undefined };
  lines.set(id, line);
  dial.start();
}

export function sendOnLine(id: number, parcels: readonly Parcel[]): void {
  for (const parcel of parcels) {
    const head = unpack(parcel);
    lines.get(id)?.connection?.send({ head, binary: typeof head !== 'string' });
  }
}

export const closeLine = (id: number, code: number, reason: string): void =>
  lines.get(id)?.connection?.finish(code, reason);
