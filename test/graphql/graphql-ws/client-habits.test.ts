import { describe, expect, test, vi } from 'vitest';
import type { ConnectionLost } from '../../../src/core/connection-lost.ts';
import * as names from '../../../src/graphql/graphql-ws/index.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { FakeTransport } from '../../support/fake-transport.ts';

describe('createClient has the habits of graphql-ws', () => {
  function create(options: Partial<names.ClientOptions> = {}) {
    const clock = createFakeClock();
    const server = new FakeTransport();
    const events: unknown[][] = [];
    const client = names.createClient({
      url: 'ws://server',
      transport: server.transport,
      clock,
      onError: () => {},
      generateID: () => '1',
      on: {
        closed: (event, ...more) => events.push(['closed', (event as ConnectionLost).code, more.length]),
        error: (error) => events.push(['error', (error as Error).message]),
      },
      ...options,
    });
    const told: unknown[] = [];
    const sink = { next: () => {}, error: (error: unknown) => told.push(error), complete: () => told.push('complete') };
    const run = (): (() => void) => client.subscribe({ query: '{ a }' }, sink);
    async function accept() {
      await clock.settle();
      const socket = server.last.open();
      await clock.settle();
      socket.receiver?.received('{"type":"connection_ack"}');
      return socket;
    }
    return { client, clock, server, events, told, run, accept };
  }

  test('names that it does not know are passed over, as that package does', () => {
    expect(() => create({ isFatalConnectionProblem: () => false, whatever: 1 } as object)).not.toThrow();
  });

  test('five attempts in a row, each later than the one before, and then the error', () => {
    const { server, clock, told, run } = create();
    run();
    for (const least of [1_300, 2_300, 4_300, 8_300, 16_300]) {
      server.last.refuse();
      const { length } = server.dials;
      clock.advance(least - 20);
      expect(server.dials).toHaveLength(length);
      clock.advance(3_040);
      expect(server.dials).toHaveLength(length + 1);
      // The attempt after that is the test's to end.
    }
    server.last.refuse();
    // The last one, with what an ErrorEvent has.
    expect(told).toEqual([expect.objectContaining({ code: 1006, error: new Error('connect ECONNREFUSED') })]);
  });

  test('terminate() is told as a TerminatedCloseEvent', async () => {
    const closes: unknown[] = [];
    const { client, accept, run } = create({ on: { closed: (event) => closes.push(event) } });
    run();
    await accept();
    client.terminate();
    expect(closes).toEqual([
      expect.objectContaining({
        name: 'TerminatedCloseEvent',
        message: '4499: Terminated',
        code: 4499,
        wasClean: false,
      }),
    ]);
  });

  test('retryWait stands in for these waits, and what it rejects with ends everything', async () => {
    const retryWait = vi.fn(async (retries: number) => {
      if (retries > 0) throw new Error('enough');
    });
    const { server, clock, told, run } = create({ retryWait });
    run();
    server.last.refuse();
    await clock.settle();
    server.last.refuse();
    await clock.settle();
    expect(retryWait.mock.calls).toEqual([[0], [1]]);
    expect(told).toEqual([new Error('enough')]);
  });

  test('it sends no pings of its own', async () => {
    const { accept, run, clock, client } = create();
    run();
    const socket = await accept();
    socket.take();
    clock.advance(120_000);
    expect([socket.take(), client.state.getSnapshot().status]).toEqual([[], 'connected']);
  });

  test('4401 is final, whatever shouldRetry says; what connectionParams throw is final as well', async () => {
    const shouldRetry = vi.fn(() => true);
    const { accept, run, told } = create({ shouldRetry });
    run();
    (await accept()).hangUp(4401, 'Unauthorized');
    expect([told.length, shouldRetry.mock.calls.length]).toEqual([1, 0]);
    let fails = false;
    const later = create({
      connectionParams: async () => {
        if (fails) throw new Error('fetch failed');
        return {};
      },
      retryWait: async () => {},
    });
    later.run();
    fails = true;
    (await later.accept()).hangUp(1006);
    await later.clock.settle();
    expect(later.told).toEqual([new Error('fetch failed')]);
  });

  test('`closed` is told after dispose(), with the code', async () => {
    const { client, accept, run, events } = create();
    run();
    await accept();
    await client.dispose();
    expect(events).toEqual([['closed', 1000, 1]]);
  });

  test.each([
    ['opened', 4005],
    ['connected', 4004],
    ['message', 4004],
  ] as const)('a listener of %s that throws closes with %i, whenever it was added', async (event, code) => {
    for (const early of [true, false]) {
      const listener = (): never => {
        throw new Error('of the application');
      };
      const on = early ? { [event]: listener } : {};
      const { client, server, clock, run } = create({ on });
      if (!early) client.on(event, listener);
      run();
      await clock.settle();
      const socket = server.last.open();
      await clock.settle();
      if (code === 4004) socket.receiver?.received('{"type":"connection_ack"}');
      expect(socket.closing).toEqual({ code, reason: 'of the application' });
    }
  });
});
