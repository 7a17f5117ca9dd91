import { type Access, AccessRules, type Operation } from '../../bus/access.ts';
import { isRecord } from '../../core/options.ts';

/** Queues that clients may use without a word of `authorize`, by name or family; `true`: all of them. */
export type OpenQueues = boolean | { readonly [destinationOrFamily: string]: Access | undefined };

/** What the clients of a broker may do with its queues: nothing, unless `open` says otherwise ([STOMP-89]). */
export class QueueAccess {
  readonly #rules: AccessRules;
  readonly #deadLetter: string;

  /**
   * `prefix`: of queues. `deadLetter` is never open. Throws a `TypeError` that names what is wrong with `open`.
   *
   * @example
   * new QueueAccess({ '/queue/orders.*': 'write' }, '/queue/', '/queue/dead-letter');
   */
  constructor(open: OpenQueues | undefined, prefix: string, deadLetter: string) {
    this.#deadLetter = deadLetter;
    if (!isRecord(open)) {
      this.#rules = new AccessRules(open as boolean | undefined);
      return;
    }
    const table: Record<string, Access | undefined> = {};
    for (const [name, access] of Object.entries(open)) {
      if (!name.startsWith(prefix) || name === prefix) {
        throw new TypeError(
          `open: "${name}" is no queue: they begin with ${prefix}. Topics are opened by createBus({ open })`,
        );
      }
      table[name.replace(/^\//, '')] = access;
    }
    this.#rules = new AccessRules(table);
  }

  /** Why clients may not do that with this queue, with the ways out; undefined: they may. */
  refusal(queue: string, operation: Operation): string | undefined {
    if (queue === this.#deadLetter) return 'dead letters are for the application, unless authorize answers true';
    if (this.#rules.permits(queue.replace(/^\//, ''), 'stomp', operation)) return undefined;
    const shown = queue.length > 64 ? `${queue.slice(0, 64)}…` : queue;
    return (
      `clients may not ${operation === 'read' ? 'read' : 'write to'} it: ` +
      `open it with stompBroker({ open: { '${shown}': '${operation}' } }), or let authorize answer true`
    );
  }
}
