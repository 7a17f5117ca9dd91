import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { createClock, systemClock, type Timed } from '../../src/core/clock.ts';
import { createFakeClock, type FakeClock } from '../support/fake-clock.ts';

const never = Number.POSITIVE_INFINITY;

/** Something with a deadline that writes down when it was called; then it wants nothing, unless told otherwise. */
function timed(deadline: number, next: (now: number) => number = () => never, keepsAlive = false) {
  const made = {
    deadline,
    keepsAlive,
    at: [] as number[],
    tick(now: number) {
      made.at.push(now);
      made.deadline = next(now);
    },
  };
  return made;
}

function watched(clock: FakeClock, ...all: Timed[]): void {
  for (const each of all) clock.watch(each);
}

test('[CONN-31] one host timer serves any number of deadlines, each rounded up to 10 ms', () => {
  const clock = createFakeClock();
  const all = Array.from({ length: 2_000 }, (_, index) => timed((index * 37) % 5_001));
  watched(clock, ...all);
  expect(clock.armed).toBe(1);
  clock.advance(10_000);
  for (const [index, { at }] of all.entries()) expect(at).toEqual([Math.ceil(((index * 37) % 5_001) / 10) * 10]);
  expect(clock.armed).toBe(0);
});

test('[CONN-31] every deadline is met once, within 10 ms, whatever moves or is forgotten meanwhile', () => {
  const move = fc.record({ which: fc.nat(4), wait: fc.nat(80), deadline: fc.nat(400), forget: fc.boolean() });
  fc.assert(
    fc.property(fc.array(move), (moves) => {
      const clock = createFakeClock();
      const all = Array.from({ length: 5 }, () => timed(never));
      const due: (number | undefined)[] = [];
      const met: number[] = [0, 0, 0, 0, 0];
      const settle = (): void => {
        for (const [which, at] of due.entries()) {
          if (at === undefined || Math.ceil(at / 10) * 10 > clock.now()) continue;
          met[which] = (met[which] as number) + 1;
          due[which] = undefined;
        }
      };
      for (const { which, wait, deadline, forget } of moves) {
        const each = all[which] as ReturnType<typeof timed>;
        each.deadline = forget ? never : clock.now() + deadline;
        due[which] = forget ? undefined : each.deadline;
        if (forget) clock.forget(each);
        else clock.watch(each);
        clock.advance(wait);
        settle();
        expect(all.map(({ at }) => at.length)).toEqual(met);
      }
    }),
  );
});

test('[CONN-31] a deadline that moves later costs nothing until its old slot comes up', () => {
  const clock = createFakeClock();
  const each = timed(100);
  clock.watch(each);
  for (let now = 0; now < 90; now += 10) {
    each.deadline = now + 1_000;
    clock.watch(each);
    clock.advance(10);
  }
  expect(clock.armed).toBe(1);
  clock.advance(2_000);
  expect(each.at).toEqual([1_080]);
});

test('[CONN-31] a deadline that moves earlier is met at its new time', () => {
  const clock = createFakeClock();
  const each = timed(30_000);
  clock.watch(each);
  each.deadline = 50;
  clock.watch(each);
  clock.advance(60_000);
  expect(each.at).toEqual([50]);
});

test('[CONN-31] a tick that leaves its deadline in the past is called once per slot, not for ever', () => {
  const clock = createFakeClock();
  const each = timed(0, () => 0);
  clock.watch(each);
  clock.advance(100);
  expect(each.at.length).toBeGreaterThan(5);
  expect(each.at.length).toBeLessThanOrEqual(11);
});

test('[CONN-31] what is forgotten in its own tick, or by another one, is not called again', () => {
  const clock = createFakeClock();
  const self = timed(10, () => 20);
  const other = timed(10, () => 20);
  const selfTick = self.tick;
  self.tick = (now) => {
    selfTick(now);
    clock.forget(self);
    clock.forget(other);
  };
  watched(clock, self, other);
  clock.advance(1_000);
  expect([self.at, other.at]).toEqual([[10], []]);
  expect(clock.armed).toBe(0);
});

test('[CONN-31] what is watched in a tick has its turn, even if it is due already', () => {
  const clock = createFakeClock();
  const late = timed(5);
  const each = timed(10, () => {
    clock.watch(late);
    return never;
  });
  clock.watch(each);
  clock.advance(30);
  expect(late.at).toEqual([20]);
});

test('[CONN-31] forgetting what was never watched, and watching what wants nothing, does nothing', () => {
  const clock = createFakeClock();
  clock.forget(timed(5));
  clock.watch(timed(never));
  clock.watch(timed(Number.NaN));
  expect(clock.armed).toBe(0);
  const each = timed(10);
  watched(clock, each, timed(Number.NaN));
  clock.advance(20);
  expect(each.at).toEqual([10]);
});

test('[CONN-32] only what keeps the process alive does', () => {
  const clock = createFakeClock();
  const heartbeat = timed(100);
  const backoff = timed(500, undefined, true);
  clock.watch(heartbeat);
  expect(clock.keepsAlive).toBe(false);
  clock.watch(backoff);
  expect(clock.keepsAlive).toBe(true);
  clock.advance(100);
  expect(clock.keepsAlive).toBe(true);
  clock.forget(backoff);
  expect([clock.keepsAlive, clock.armed]).toEqual([false, 0]);
});

test('[CONN-31] an answer that is read in the turn after a stall still counts', () => {
  let now = 0;
  const turns: (() => void)[] = [];
  let fire = (): void => {};
  const clock = createClock({
    now: () => now,
    wall: () => now,
    setTimer: (run) => {
      fire = run;
    },
    clearTimer: () => {},
    endOfTurn: (run) => turns.push(run),
    failed: () => {},
  });
  const peer = timed(10_000);
  clock.watch(peer);
  now = 70_000;
  fire();
  expect(peer.at).toEqual([]);
  peer.deadline = 95_000;
  turns.shift()?.();
  expect(peer.at).toEqual([]);
  now = 95_000;
  fire();
  expect(peer.at).toEqual([95_000]);
});

test('[CONN-31] waits longer than a host timer can hold are made of several', () => {
  const clock = createFakeClock();
  const each = timed(2 ** 31 + 5_000_000);
  clock.watch(each);
  clock.advance(2 ** 31 + 4_999_990);
  expect(each.at).toEqual([]);
  clock.advance(20);
  expect(each.at).toEqual([Math.ceil((2 ** 31 + 5_000_000) / 10) * 10]);
});

test('[CONN-25] a tick that throws stops nobody else; a flush neither', () => {
  let now = 0;
  let fire: (() => void) | undefined;
  const turns: (() => void)[] = [];
  const failures: unknown[] = [];
  const clock = createClock({
    now: () => now,
    wall: () => now,
    setTimer: (run) => {
      fire = run;
    },
    clearTimer: () => {},
    endOfTurn: (run) => turns.push(run),
    failed: (error) => failures.push(error),
  });
  const bug = new Error('a bug');
  const bad = timed(10);
  bad.tick = () => {
    bad.deadline = 30;
    throw bug;
  };
  const good = timed(10, (at) => at + 10);
  watched(clock as FakeClock, bad, good);
  for (now = 10; now <= 40; now += 10) fire?.();
  expect(good.at).toEqual([10, 20, 30, 40]);
  expect(failures).toEqual([bug, bug, bug].slice(0, failures.length));
  expect(failures.length).toBeGreaterThanOrEqual(2);
  const flushed: string[] = [];
  clock.afterTurn(() => {
    throw bug;
  });
  clock.afterTurn(() => flushed.push('other'));
  clock.afterTurn({ turnEnded: () => flushed.push('an object') });
  for (const turn of turns) turn();
  expect(flushed).toEqual(['other', 'an object']);
  expect(failures.at(-1)).toBe(bug);
});

test('what is queued in a flush leaves in the next turn', () => {
  const clock = createFakeClock();
  const order: string[] = [];
  clock.afterTurn(() => {
    order.push('first');
    clock.afterTurn(() => order.push('second'));
  });
  clock.turn();
  expect(order).toEqual(['first']);
  clock.turn();
  expect(order).toEqual(['first', 'second']);
});

test('[CONN-38] slots that were left before their time do not pile up', () => {
  const clock = createFakeClock();
  const each = timed(never);
  // The wheel is built anew by sorting what is left: without that 20,000 dead slots would stay for a day.
  const built = vi.spyOn(Array.prototype, 'sort');
  for (let round = 0; round < 20_000; round++) {
    each.deadline = 86_400_000 - round * 10;
    clock.watch(each);
  }
  const times = built.mock.calls.length;
  built.mockRestore();
  expect(times).toBeGreaterThan(200);
  clock.forget(each);
  expect(clock.armed).toBe(0);
  each.deadline = 50;
  clock.watch(each);
  clock.advance(100);
  expect(each.at).toEqual([50]);
});

test('[CONN-63] deadlines have no number at which the wheel breaks: they are no arguments of a call', () => {
  const clock = createFakeClock();
  const { splice } = Array.prototype;
  let most = 0;
  Array.prototype.splice = function (this: unknown[], ...all: Parameters<typeof splice>): unknown[] {
    most = Math.max(most, all.length);
    return splice.apply(this, all);
  };
  try {
    const all = Array.from({ length: 5_000 }, (_, index) => timed(1_800_000 + index * 10));
    for (const each of all) clock.watch(each);
    for (const each of all) {
      each.deadline = 1_000;
      clock.watch(each);
    }
  } finally {
    Array.prototype.splice = splice;
  }
  expect(most).toBeLessThan(10);
  clock.advance(1_100);
  expect(clock.armed).toBe(0);
});

test('[CONN-63] what takes long at the end of a turn goes on after the next one, in order', () => {
  const clock = createFakeClock();
  const done: number[] = [];
  const slow = (index: number) => (): void => {
    if (index % 100 === 0) clock.sleep(10);
    done.push(index);
  };
  let turns = 0;
  for (let index = 0; index < 320; index++) clock.afterTurn(slow(index));
  clock.afterTurn(() => done.push(-1));
  while (!done.includes(-1)) {
    clock.turn();
    turns++;
  }
  expect(done.slice(0, 320)).toEqual(Array.from({ length: 320 }, (_, index) => index));
  expect(turns).toBeGreaterThan(3);
});

test('the clock of the process: time goes forward, timers run, a flush comes once per turn', async () => {
  const before = systemClock.now();
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    systemClock.afterTurn(() => order.push('flush'));
    const each: Timed & { deadline: number } = {
      deadline: before + 20,
      keepsAlive: true,
      tick(now) {
        each.deadline = never;
        order.push(now >= before + 20 ? 'tick' : 'early');
        resolve();
      },
    };
    systemClock.watch(each);
  });
  expect(order).toEqual(['flush', 'tick']);
  expect(Math.abs(systemClock.wall() - Date.now())).toBeLessThan(1_000);
});

test('[CONN-32] a process in which only heart-beats wait ends by itself, and a throwing tick ends it aloud', () => {
  const clock = JSON.stringify(new URL('../../src/core/clock.ts', import.meta.url).href);
  const run = (script: string): string =>
    execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
      cwd: new URL('../..', import.meta.url),
    });
  const watch = `const { systemClock } = await import(${clock});
    const watch = (ms, keepsAlive, tick) => systemClock.watch({ deadline: systemClock.now() + ms, keepsAlive, tick });
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));`;
  expect(run(`${watch} watch(60_000, false, () => console.log('late')); console.log('end');`)).toBe('end\n');
  const thrower = `watch(10, true, function () { this.deadline = Infinity; throw new Error('loud'); });`;
  expect(run(`${watch} ${thrower}`)).toBe('uncaught loud\n');
});
