import { type Connector, createDial } from '../../src/core/dial.ts';
import { connectionLimits, resolveLimits } from '../../src/core/limits.ts';
import { silentSession } from '../../src/core/negotiate.ts';
import type { Socket, SocketReceiver, Transport } from '../../src/core/socket.ts';
import type { ClientProtocol } from '../../src/core/subprotocol.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';

export interface StormOptions {
  readonly clients: number;
  /** Handshakes that the server accepts in a second; what is above that in a bin of 100 ms fails at once. */
  readonly acceptsPerSecond: number;
  /** The server refuses everybody for so long after the loss, in ms. */
  readonly down: number;
  /** The close code and reason with which all are dropped; 1006 is a crash. */
  readonly code: number;
  readonly reason: string;
  readonly random: () => number;
}

export interface StormResult {
  /** When the last client was back, in ms after the loss. */
  readonly allBack: number;
  readonly givenUp: number;
  readonly attempts: number;
  /** Attempts in the busiest bin of 100 ms. */
  readonly peak: number;
}

const bin = 100;
const patience = 1_200_000;

/** The server's door, in virtual time. */
class Door {
  readonly attemptsPerBin = new Map<number, number>();
  attempts = 0;
  readonly #options: StormOptions;

  constructor(options: StormOptions) {
    this.#options = options;
  }

  enters(now: number): boolean {
    const { down, acceptsPerSecond } = this.#options;
    const index = Math.floor(now / bin);
    const inBin = (this.attemptsPerBin.get(index) ?? 0) + 1;
    this.attemptsPerBin.set(index, inBin);
    this.attempts++;
    return now >= down && inBin <= (acceptsPerSecond * bin) / 1_000;
  }

  get peak(): number {
    return Math.max(...this.attemptsPerBin.values());
  }
}

/** Our own clients: real dials over a real timer wheel whose host only counts. */
export function ownStorm(options: StormOptions): StormResult {
  const clock = createFakeClock();
  const limits = resolveLimits(connectionLimits, { pingInterval: Number.POSITIVE_INFINITY });
  const dials: Connector[] = [];
  const receivers: SocketReceiver[] = [];
  let door: Door | undefined;
  let back = 0;
  let allBack = Number.NaN;
  for (let index = 0; index < options.clients; index++) {
    const transport: Transport = (_url, _protocols, attempt) => {
      if (door && !door.enters(clock.now() - lossAt)) attempt.failed(1006, '');
      else receivers[index] = attempt.opened(openSocket);
      return () => {};
    };
    const dial: Connector = createDial({
      url: 'ws://server',
      offered: ['storm'],
      choose: () => protocol(() => dial.connected()),
      transport,
      clock,
      limits,
      openTimeout: 10_000,
      backoff: { random: options.random },
      retry: () => true,
      report: (error) => {
        throw error;
      },
      changed(state) {
        if (state === 'connected' && door && ++back === options.clients) allBack = clock.now() - lossAt;
      },
    });
    dials.push(dial);
    dial.start();
  }
  clock.advance(bin);
  const lossAt = clock.now();
  door = new Door(options);
  for (const receiver of receivers) receiver.closed(options.code, options.reason);
  while (Number.isNaN(allBack) && clock.now() - lossAt < patience && isAlive(dials)) clock.advance(bin);
  const givenUp = dials.filter(({ state }) => state === 'idle').length;
  return { allBack, givenUp, attempts: door.attempts, peak: door.peak };
}

const isAlive = (dials: readonly Connector[]): boolean =>
  dials.some(({ state }) => state === 'waiting' || state === 'connecting');

const openSocket: Socket = {
  protocol: 'storm',
  bufferedAmount: 0,
  batches: true,
  write() {},
  pause() {},
  resume() {},
  close() {},
  terminate() {},
};

/** A protocol that is ready as soon as its socket is open. */
function protocol(ready: () => void): ClientProtocol {
  return {
    names: ['storm'],
    faults: {},
    open() {
      ready();
      return silentSession;
    },
  };
}

/** Another client, by the waits that its documentation gives; `undefined`: it gives up. */
export function foreignStorm(options: StormOptions, wait: (attempt: number) => number | undefined): StormResult {
  const clock: FakeClock = createFakeClock();
  const door = new Door(options);
  let allBack = Number.NaN;
  let givenUp = 0;
  let left = options.clients;
  function next(attempt: number): void {
    const ms = wait(attempt);
    if (ms === undefined) {
      givenUp++;
      left--;
      return;
    }
    const timed = {
      deadline: clock.now() + ms,
      tick(now: number) {
        timed.deadline = Number.POSITIVE_INFINITY;
        if (!door.enters(now)) next(attempt + 1);
        else if (--left === 0) allBack = now;
      },
    };
    clock.watch(timed);
  }
  for (let client = 0; client < options.clients; client++) next(0);
  while (left > 0 && clock.now() < patience) clock.advance(bin);
  return { allBack, givenUp, attempts: door.attempts, peak: door.peak };
}

/** Numbers from 0 up to 1 that are the same in every run. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
