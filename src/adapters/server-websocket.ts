import type { Socket as RawSocket } from 'node:net';
import type { WebSocket as WebSocketOfWs } from 'ws';
import { CloseCode } from '../core/fault.ts';
import type { ServerReceiver, Socket } from '../core/socket.ts';
import type { Wire } from '../core/wire.ts';
import { writeFrames } from './frames.ts';

/**
 * A socket of `ws` that is a {@link Socket} as well. What happens on it is handed to the connection without listeners,
 * because each listener would cost memory in many thousands of sockets.
 */
export type ServerWebSocket = WebSocketOfWs & {
  /** The handshake is done: `accept` returns who hears what happens from here on. */
  open<Receiver extends ServerReceiver>(raw: RawSocket, accept: (socket: Socket) => Receiver): Receiver;
};

type ServerWebSocketClass = typeof WebSocketOfWs &
  (new (
    ...details: ConstructorParameters<typeof WebSocketOfWs>
  ) => ServerWebSocket);

let made: ServerWebSocketClass | undefined;

/**
 * The class of a server's sockets, over the class of the loaded `ws`. There is one for the process, so that V8 sees one
 * shape.
 *
 * @example
 * new WebSocketServer({ noServer: true, WebSocket: serverWebSocketOver(WebSocket) });
 */
export function serverWebSocketOver(WebSocket: typeof WebSocketOfWs): ServerWebSocketClass {
  made ??= extend(WebSocket);
  return made;
}

function extend(WebSocket: typeof WebSocketOfWs): ServerWebSocketClass {
  return class extends WebSocket implements Socket {
    #receiver: ServerReceiver | undefined;
    #raw: RawSocket | undefined;
    // Made when it is first needed: most sockets never fill up.
    #drained: (() => void) | undefined;
    // Under an extension the bytes of a message are not ours to write.
    #plain = true;

    open<Receiver extends ServerReceiver>(raw: RawSocket, accept: (socket: Socket) => Receiver): Receiver {
      this.#raw = raw;
      this.#plain = this.extensions === '';
      const receiver = accept(this);
      this.#receiver = receiver;
      // After the listener of `ws`: what the piece completed has been told by then.
      const owned: OwnedSocket = raw;
      owned[ownSocket] = this;
      raw.on('data', onData);
      return receiver;
    }

    /** `ws` has worked off a piece of what came. */
    pieceCame(): void {
      if (isPartial(this)) this.#receiver?.partly();
    }

    get batches(): boolean {
      return true;
    }

    get bytesReceived(): number | undefined {
      return this.#raw?.bytesRead;
    }

    get #tellDrained(): () => void {
      this.#drained ??= () => this.#receiver?.drained();
      return this.#drained;
    }

    write(wires: readonly Wire[]): void {
      const raw = this.#raw;
      if (!raw || this.readyState !== WebSocket.OPEN) return;
      if (!this.#plain) {
        // `ws` writes when it has deflated, which is later; it tells when the system has taken the last of these.
        const last = wires.length - 1;
        for (const [index, wire] of wires.entries()) {
          this.send(whole(wire), { binary: wire.binary }, index === last ? this.#tellDrained : ignore);
        }
        return;
      }
      writeFrames(raw, wires);
      // Most sockets never fill up: listened to is only what did.
      if (raw.writableNeedDrain && raw.listenerCount('drain') === 0) raw.once('drain', this.#tellDrained);
    }

    /**
     * `ws` closes by itself: when the peer does, and when the framing, the UTF-8 or the size of a message is bad. First
     * what is queued leaves, and the last words of the protocol, since nothing can be sent after a close frame.
     */
    override close(code?: number, reason?: string | Buffer): void {
      let words = reason;
      if (this.readyState === WebSocket.OPEN) {
        // A code without a reason is a refusal by `ws`; a peer's close frame comes with both, or with none.
        if (code !== undefined && reason === undefined) words = this.#receiver?.refused(code);
        else this.#receiver?.flush();
      }
      super.close(code, words);
    }

    /** `ws` ends by itself, and without a word, who floods it with pings: such an end counts as a fault. */
    override terminate(): void {
      // Whom the connection itself drops is ended already, and hears no more.
      if (this.readyState === WebSocket.OPEN) this.#receiver?.refused(CloseCode.policyViolation);
      super.terminate();
    }

    override emit(event: string | symbol, value?: unknown, detail?: unknown): boolean {
      const receiver = this.#receiver;
      if (!receiver) return super.emit(event, value, detail);
      if (event === 'message') receiver.received(detail || receiver.takesBytes ? (value as Buffer) : String(value));
      else if (event === 'ping') receiver.pinged();
      else if (event === 'pong') receiver.ponged();
      else if (event === 'close') receiver.closed(value as number, String(detail));
      // An error is not passed on: the close that follows tells what is needed.
      return true;
    }
  };
}

const ignore = (): void => {};

const ownSocket = Symbol('socket');

interface OwnedSocket extends RawSocket {
  [ownSocket]?: { pieceCame(): void };
}

/** One function for all sockets: a closure for each of them would cost memory. */
function onData(this: OwnedSocket): void {
  this[ownSocket]?.pieceCame();
}

/** What `ws` keeps of a message that is not whole. These are its own fields: without them nothing counts as partial. */
interface ReceiverOfWs {
  readonly _receiver?: {
    readonly _state?: number;
    readonly _bufferedBytes?: number;
    readonly _fragmented?: number;
  } | null;
}

/** Has a message begun that is not whole yet ([CONN-61])? Pings may come between its fragments. */
function isPartial(socket: object): boolean {
  const receiver = (socket as ReceiverOfWs)._receiver;
  if (!receiver) return false;
  return receiver._state !== 0 || (receiver._bufferedBytes ?? 0) > 0 || (receiver._fragmented ?? 0) !== 0;
}

const whole = ({ head, tail }: Wire): Buffer =>
  Buffer.concat([typeof head === 'string' ? Buffer.from(head) : head, tail ?? new Uint8Array()]);
