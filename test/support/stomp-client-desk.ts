import { expect } from 'vitest';
import type { SocketReceiver, Transport } from '../../src/core/socket.ts';
import { createStompClient, type StompClientOptions } from '../../src/stomp/client/client.ts';
import { Decoder } from '../../src/stomp/protocol/decoder.ts';
import { encodeFrame } from '../../src/stomp/protocol/encoder.ts';
import type { Frame } from '../../src/stomp/protocol/frame.ts';
import { createFakeClock } from './fake-clock.ts';
import { FakeSocket } from './fake-socket.ts';

/** The server's side of one connection, played by the test. */
export class Peer {
  readonly url: string;
  readonly protocols: readonly string[];
  readonly socket: FakeSocket;
  readonly #decoder = new Decoder({ maxHeaders: 99, maxHeaderLine: 9_999, maxHeaderBytes: 9_999, maxBody: 1e7 });

  constructor(url: string, protocols: readonly string[], answersClose: boolean) {
    this.url = url;
    this.protocols = protocols;
    this.socket = new FakeSocket({ protocol: protocols[0] ?? '', batches: false, answersClose });
  }

  /** Frames since the last call. */
  take(): Frame[] {
    for (const message of this.socket.take()) this.#decoder.push(message);
    const frames: Frame[] = [];
    for (let frame = this.#decoder.next(); frame; frame = this.#decoder.next()) frames.push(frame);
    return frames;
  }

  /** The frames since the last call as `COMMAND name:value …`, without the receipts of (UN)SUBSCRIBE. */
  lines(): string[] {
    return this.take().map(({ command, headers }) => {
      const shown = [...headers].filter(([name]) => name !== 'receipt' || !command.endsWith('SUBSCRIBE'));
      return [command, ...shown.map((each) => each.join(':'))].join(' ');
    });
  }

  say(command: string, headers: Record<string, string> = {}, body = ''): void {
    this.socket.receiver?.received(encodeFrame('1.2', command, headers, body).head);
  }
}

/** The middle of what a back-off may be, and the grain of the clock. */
export const firstWait = 2_010;

/**
 * A client, and the connections that it makes. `accepts: false` plays a server that is not there.
 *
 * @example
 * const { client, online } = setup();
 * const peer = await online();
 * peer.say('MESSAGE', { subscription, destination: '/a' }, 'hello');
 */
export function setup(
  options: Partial<StompClientOptions> & { readonly accepts?: boolean; readonly answersClose?: boolean } = {},
) {
  const { accepts = true, answersClose = true, ...more } = options;
  const clock = createFakeClock();
  const peers: Peer[] = [];
  const problems: unknown[] = [];
  const transport: Transport = (url, protocols, attempt) => {
    const peer = new Peer(url, protocols, answersClose);
    peers.push(peer);
    if (!accepts) attempt.failed(1006, 'refused');
    else {
      const receiver: SocketReceiver = attempt.opened(peer.socket);
      peer.socket.receiver = receiver;
    }
    return () => {};
  };
  const client = createStompClient({
    brokerURL: 'ws://broker.example:1234/ws',
    transport,
    heartbeatIncoming: 0,
    heartbeatOutgoing: 0,
    backoff: { base: 4_000, cap: 4_000, random: () => 0.5 },
    onError: (error) => problems.push(error),
    clock,
    ...more,
  });
  const last = (): Peer => peers.at(-1) as Peer;
  /** Let the client dial, and answer its CONNECT. */
  async function accept(headers: Record<string, string> = { version: '1.2' }): Promise<Peer> {
    await clock.settle();
    const peer = last();
    expect(peer.lines()[0]).toMatch(/^CONNECT /);
    peer.say('CONNECTED', headers);
    await clock.settle();
    return peer;
  }
  /** Wait for the back-off and accept the next attempt. */
  async function back(headers?: Record<string, string>): Promise<Peer> {
    const before = peers.length;
    clock.advance(firstWait);
    expect(peers.length).toBe(before + 1);
    return accept(headers);
  }
  async function online(headers?: Record<string, string>): Promise<Peer> {
    const connected = client.connect();
    const peer = await accept(headers);
    await connected;
    return peer;
  }
  return { client, clock, peers, problems, last, accept, back, online };
}
