import { CloseCode, isPrivateCode, messageOf } from '../core/fault.ts';
import { assertOption } from '../core/options.ts';
import type { SocketReceiver, Transport } from '../core/socket.ts';
import type { Wire } from '../core/wire.ts';

export { timers as clock } from '../core/timers.ts';

/** As much of the WHATWG `WebSocket` as is used: the browser's, Node's, or one that behaves alike. */
export interface WebSocketLike {
  /** The token that the server chose; '' if none. */
  readonly protocol: string;
  /** 1 while messages can be sent. */
  readonly readyState: number;
  /** Bytes that were sent and have not left yet. */
  readonly bufferedAmount: number;
  /** How binary messages come; set to `arraybuffer`. */
  binaryType: string;
  /** Sends a message. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  /** Begins the close handshake. */
  close(code?: number, reason?: string): void;
  /** Of `ws`: drops the connection without a close frame. */
  terminate?(): void;
  /** Adds a listener of `open`, `message`, `error` or `close`. */
  addEventListener(type: string, listener: (event: never) => void): void;
}

/** A class of such sockets. */
export type WebSocketConstructor = new (url: string, protocols?: string[]) => WebSocketLike;

type Message = string | Uint8Array<ArrayBuffer>;

/**
 * A client transport over a WHATWG WebSocket. The rules of that interface are obeyed here, once for all clients:
 * binary messages come as buffers, nothing is sent unless the state is OPEN, an error and the close after it are told
 * once, and a close code that scripts may not send (all but 1000 and 3000 to 4999) is replaced.
 *
 * Throws a `TypeError` if it is given something else than a class.
 *
 * @example
 * const transport = webSocket(); // globalThis.WebSocket
 */
export const webSocket = (constructor?: unknown): Transport => over(constructor, join);

/** The same for protocols whose messages are text, each a head without a tail. */
export const textWebSocket = (constructor?: unknown): Transport => over(constructor, ({ head }) => head as string);

function over(constructor: unknown, dataOf: (wire: Wire) => Message): Transport {
  assertOption(!constructor || typeof constructor === 'function', 'webSocketImpl', 'a WebSocket class', constructor);
  return (url, protocols, attempt) => {
    const Constructor = (constructor ?? globalThis.WebSocket) as WebSocketConstructor;
    assertOption(Constructor, 'webSocketImpl', 'a WebSocket class', constructor);
    const socket = new Constructor(url, protocols as string[]);
    let receiver: SocketReceiver | undefined;
    let told = false;
    let problem: unknown;
    socket.binaryType = 'arraybuffer';

    function end({ code, reason }: { readonly code: number; readonly reason: string }): void {
      if (told) return;
      told = true;
      // Some runtimes say 0 for a connection that never opened ([CONN-82]).
      if (receiver) return receiver.closed(code || CloseCode.abnormal, reason);
      // [CONN-6] `ws` tells that the server speaks nothing of what was offered: it will not next time either.
      const unspoken = /subprotocol/i.test(messageOf(problem));
      if (unspoken) attempt.failed(CloseCode.subprotocolNotAcceptable, `none of ${protocols.join(', ')}`, problem);
      else attempt.failed(CloseCode.abnormal, reason || 'The WebSocket could not be opened', problem);
    }

    socket.addEventListener('open', () => {
      if (told) return socket.close();
      receiver = attempt.opened({
        protocol: socket.protocol,
        raw: socket,
        get bufferedAmount() {
          return socket.bufferedAmount;
        },
        write(wires) {
          if (socket.readyState === 1) for (const wire of wires) socket.send(dataOf(wire));
        },
        close(code, reason) {
          socket.close(code === CloseCode.normal || isPrivateCode(code) ? code : CloseCode.internal, reason);
        },
        terminate() {
          if (socket.terminate) socket.terminate();
          else socket.close();
          // A dead peer answers no close frame, and the browser would wait for it.
          end({ code: CloseCode.abnormal, reason: '' });
        },
      });
    });
    socket.addEventListener('message', ({ data }: { data: string | ArrayBuffer }) => {
      if (!told) receiver?.received(typeof data === 'string' ? data : new Uint8Array(data));
    });
    // What went wrong is told with the close that follows; browsers say nothing here, `ws` does.
    socket.addEventListener('error', ({ error }: { error?: unknown }) => {
      problem = error;
    });
    socket.addEventListener('close', end);
    return () => {
      told = true;
      socket.close();
    };
  };
}

function join({ head, tail, binary }: Wire): Message {
  if (!binary && !tail && typeof head === 'string') return head;
  const start = typeof head === 'string' ? new TextEncoder().encode(head) : head;
  const bytes = new Uint8Array(start.length + (tail?.length ?? 0));
  bytes.set(start);
  bytes.set(tail ?? [], start.length);
  // Text has to be handed over as text: bytes would go out as a binary message.
  return binary ? bytes : new TextDecoder().decode(bytes);
}

/**
 * Call back when the network or the tab comes back. `offline` is not believed: an open socket may survive it.
 * Returns how to stop.
 */
export function onWake(wake: () => void): () => void {
  const listening = new AbortController();
  for (const event of ['online', 'pageshow', 'visibilitychange']) {
    const heard = (): void => {
      // It bubbles up from the document, and is told of a tab that hides as well.
      if (event !== 'visibilitychange' || !document.hidden) wake();
    };
    globalThis.addEventListener?.(event, heard, { signal: listening.signal });
  }
  return () => listening.abort();
}
