import { type Bus, type BusOptions, createBus } from '../../src/bus/bus.ts';

/**
 * A bus whose topics are open to the clients of every protocol: for tests that are about something else than who may
 * read and write. Those that are about that make their bus themselves.
 *
 * @example
 * const desk = createStompDesk({ bus: openBus({ onError: () => {} }) });
 */
export const openBus = (options: BusOptions = {}): Bus => createBus({ open: true, ...options });
