/** A deadline that does not come. */
export const never: number = Infinity;

/** Something that wants to be called when its time has come. `deadline` is in ms of {@link Clock.now}; Infinity: never. */
export interface Timed {
  /** When `tick` is wanted, in ms of {@link Timers.now}; Infinity: never. */
  readonly deadline: number;
  /** Does waiting for it keep the process alive? Back-off does, heart-beats do not. */
  readonly keepsAlive?: boolean;
  /** Slot in the timer wheel, private to the clock. It is kept here because a Map would cost more for each connection. */
  slot?: number | undefined;
  /** The time has come; `now` is in ms of {@link Timers.now}. */
  tick(now: number): void;
}

/** As much of a {@link Clock} as a client needs. */
export interface Timers {
  /** Milliseconds from an arbitrary start; never goes backwards. */
  now(): number;
  /** Milliseconds since 1970 UTC; follows the wall clock, for what has a date. */
  wall(): number;
  /** Call `timed.tick` at its deadline. Call again after the deadline moved: a later one costs nothing. */
  watch(timed: Timed): void;
  /** Do not call it any more. */
  forget(timed: Timed): void;
}

/** The only source of time. Sessions never see it: they get `now` as a number. */
export interface Clock extends Timers {
  /** Call this once at the end of this turn of the event loop. */
  afterTurn(waiting: EndOfTurn | (() => void)): void;
}

/** Something that waits for the end of a turn. Where there are thousands, a function for each would cost memory. */
export interface EndOfTurn {
  /** The turn is over. */
  turnEnded(): void;
}

/** What a clock needs of its host; tests hand in their own. */
export interface TimeSource {
  /** Milliseconds from an arbitrary start; never goes backwards. */
  now(): number;
  /** Milliseconds since 1970 UTC. */
  wall(): number;
  /** Call `run` once in so many ms; returns what {@link TimeSource.clearTimer} takes. */
  setTimer(run: () => void, ms: number, keepsAlive: boolean): unknown;
  /** Do not call it any more. */
  clearTimer(timer: unknown): void;
  /** Call `run` at the end of this turn of the event loop. */
  endOfTurn(run: () => void): void;
  /** A tick or a flush threw. */
  failed(error: unknown): void;
}

/** Deadlines are rounded up to this many ms, so that many connections share one wake-up. */
const resolution = 10;
/**
 * If a timer fires so many ms late the process was suspended: wait one more turn, so that input which arrived meanwhile
 * is read before anything times out.
 */
const stall = 1_000;
/** So many abandoned slots may wait in the heap before it is built anew. */
const spareSlots = 64;
/** So many ms the end of one turn may take, which is looked at every so many calls. */
const turnEndMs = 8;
const lookEvery = 32;
const ascending = (one: number, other: number): number => one - other;

/**
 * The timer wheel: one host timer for any number of {@link Timed}. Slots are created on demand and kept in a heap by
 * time, so an idle wheel never wakes up. A deadline that moves later leaves its entry where it is; the entry is looked
 * at when its slot comes up and goes back if it is early.
 */
export function createClock(host: TimeSource): Clock {
  const slots = new Map<number, Set<Timed>>();
  const heap: number[] = [];
  let watched = 0;
  let waiting: (EndOfTurn | (() => void))[] = [];
  // `endTurn` is going to run, or runs.
  let ending = false;
  let timer: unknown;
  let timerSlot = Number.POSITIVE_INFINITY;
  let timerKeepsAlive = false;
  let keepingAlive = 0;
  // Whose tick runs now; undefined once it was forgotten in it.
  let ticking: Timed | undefined;
  // While slots run, no entry may go back into the past: that would never end.
  let firstSlot = Number.NEGATIVE_INFINITY;

  function arm(): void {
    let next = heap[0];
    while (next !== undefined && !slots.has(next)) {
      pop(heap);
      next = heap[0];
    }
    const keepsAlive = keepingAlive > 0;
    if (next === timerSlot && keepsAlive === timerKeepsAlive) return;
    if (timer !== undefined) host.clearTimer(timer);
    timer = undefined;
    timerSlot = next ?? Number.POSITIVE_INFINITY;
    timerKeepsAlive = keepsAlive;
    if (next !== undefined) {
      // A host timer holds 31 bits of ms; a longer wait is made of several.
      const wait = Math.min(Math.max(0, next * resolution - host.now()), 0x7fffffff);
      timer = host.setTimer(wake, wait, keepsAlive);
    }
  }

  function wake(): void {
    timer = undefined;
    const late = host.now() - timerSlot * resolution;
    timerSlot = Number.POSITIVE_INFINITY;
    if (late > stall) host.endOfTurn(run);
    else run();
  }

  function run(): void {
    const now = host.now();
    firstSlot = Math.floor(now / resolution) + 1;
    for (let slot = heap[0]; slot !== undefined && slot * resolution <= now; slot = heap[0]) {
      pop(heap);
      const due = slots.get(slot);
      slots.delete(slot);
      for (const timed of due ?? []) {
        if (timed.slot !== slot) continue;
        drop(timed, slot);
        ticking = timed;
        if (timed.deadline <= now) attempt(() => timed.tick(now));
        if (ticking) watch(timed);
      }
    }
    ticking = undefined;
    firstSlot = Number.NEGATIVE_INFINITY;
    arm();
  }

  /** A bug of one must not stop the time of all others: it comes up on its own, as an uncaught error. */
  function attempt(run: EndOfTurn | (() => void)): void {
    try {
      if (typeof run === 'function') run();
      else run.turnEnded();
    } catch (error) {
      host.failed(error);
    }
  }

  function drop(timed: Timed, slot: number): void {
    timed.slot = undefined;
    watched--;
    if (timed.keepsAlive) keepingAlive--;
    const set = slots.get(slot);
    if (set?.delete(timed) && set.size === 0) slots.delete(slot);
  }

  /** Build the heap anew from the slots that are left. One by one: an argument list has a length, the slots have none. */
  function rebuild(): void {
    heap.length = 0;
    for (const slot of slots.keys()) heap.push(slot);
    heap.sort(ascending);
  }

  /** Run what waits for the end of the turn; what takes too long goes on after the next one. */
  function endTurn(): void {
    const batch = waiting;
    waiting = [];
    const end = host.now() + turnEndMs;
    for (let index = 0; index < batch.length; index++) {
      if (index % lookEvery === lookEvery - 1 && host.now() >= end) {
        waiting = batch.slice(index).concat(waiting);
        break;
      }
      attempt(batch[index] as EndOfTurn | (() => void));
    }
    if (waiting.length > 0) host.endOfTurn(endTurn);
    else ending = false;
  }

  function watch(timed: Timed): void {
    const { deadline } = timed;
    const current = timed.slot;
    // A deadline that is no number would break the order of the heap, for everybody.
    if (!(deadline < Number.POSITIVE_INFINITY)) return;
    const slot = Math.max(firstSlot, Math.ceil(deadline / resolution));
    if (current !== undefined) {
      if (current <= slot) return;
      drop(timed, current);
    }
    timed.slot = slot;
    watched++;
    if (timed.keepsAlive) keepingAlive++;
    const set = slots.get(slot);
    if (set) set.add(timed);
    else {
      slots.set(slot, new Set([timed]));
      push(heap, slot);
      // Slots that were left before their time stay in the heap; far ones would pile up there.
      if (heap.length > 2 * slots.size + spareSlots) rebuild();
    }
    if (slot < timerSlot || (timed.keepsAlive && !timerKeepsAlive)) arm();
  }

  return {
    now: host.now,
    wall: host.wall,
    watch,
    forget(timed) {
      if (ticking === timed) ticking = undefined;
      const { slot } = timed;
      if (slot === undefined) return;
      drop(timed, slot);
      if (timed.keepsAlive || watched === 0) arm();
    },
    afterTurn(one) {
      waiting.push(one);
      if (ending) return;
      ending = true;
      host.endOfTurn(endTurn);
    },
  };
}

function push(heap: number[], value: number): void {
  let index = heap.push(value) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if ((heap[parent] as number) <= value) break;
    heap[index] = heap[parent] as number;
    index = parent;
  }
  heap[index] = value;
}

function pop(heap: number[]): void {
  const value = heap.pop();
  if (value === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++;
    if ((heap[child] as number) >= value) break;
    heap[index] = heap[child] as number;
    index = child;
  }
  heap[index] = value;
}

/** The clock of this process: one timer for all connections, one flush per turn of the event loop. */
export const systemClock: Clock = /* @__PURE__ */ createClock({
  // Whole ms: a number with a fraction is an object of its own wherever it is kept.
  now: () => Math.floor(performance.now()),
  wall: () => Date.now(),
  setTimer(run, ms, keepsAlive) {
    const timer: { unref?(): unknown } | number = setTimeout(run, ms);
    // Browsers return a number, which has nothing to keep alive.
    if (!keepsAlive && typeof timer === 'object') timer.unref?.();
    return timer;
  },
  clearTimer: (timer) => clearTimeout(timer as Parameters<typeof clearTimeout>[0]),
  endOfTurn: (run) => (typeof setImmediate === 'function' ? void setImmediate(run) : void setTimeout(run)),
  failed: (error) =>
    queueMicrotask(() => {
      throw error;
    }),
});
