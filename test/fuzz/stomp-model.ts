import type { SeenFrame, StompPeer } from '../support/stomp-desk.ts';

export type Mode = 'auto' | 'client' | 'client-individual';

/** A message of a queue, as the model knows it. */
interface Item {
  readonly body: string;
  readonly order: number;
  deliveries: number;
}

/** A message that a subscription has and has not acknowledged. */
export interface Unacknowledged {
  readonly subscription: ModelSubscription;
  /** What its ACK says, in the version of the client. */
  readonly headers: Readonly<Record<string, string>>;
  readonly serial: number;
  readonly item: Item | undefined;
}

export interface ModelSubscription {
  readonly peer: ModelPeer;
  readonly id: string;
  readonly destination: string;
  readonly mode: Mode;
  readonly prefetch: number;
  unacknowledged: Unacknowledged[];
  /** Taken by an ACK or NACK of a transaction that is still open. */
  claimed: number;
  /** Of topics: what has to come, in this order. */
  readonly pending: string[];
  active: boolean;
}

type Step =
  | { readonly kind: 'send'; readonly destination: string; readonly body: string }
  | { readonly kind: 'settle'; readonly claimed: readonly Unacknowledged[]; readonly consumed: boolean };

/** A client of the broker, and what has to become of it. */
export interface ModelPeer {
  readonly name: string;
  readonly real: StompPeer;
  readonly subscriptions: Map<string, ModelSubscription>;
  readonly transactions: Map<string, Step[]>;
  /** Receipts that have to come, in this order. */
  readonly receipts: string[];
  /** It did something wrong: an ERROR has to come, and the close. */
  failing: boolean;
  gone: boolean;
}

const matching: Readonly<Record<string, RegExp>> = {
  '/topic/t.*': /^\/topic\/t\.[^.]+$/,
  '/topic/t.**': /^\/topic\/t(\.|$)/,
};

/**
 * Who must receive what: a broker of topics and queues that is small enough to be believed. Which consumer of a queue
 * gets a message is left to the broker; which messages are handed out, in which order, and that none waits while
 * somebody would take it, is not.
 */
export class StompModel {
  readonly peers: ModelPeer[] = [];
  readonly #maxDeliveries: number;
  readonly #queues = new Map<string, { waiting: Item[]; orders: number }>();
  #serials = 0;
  /** Messages that were put back too often. */
  dead = 0;
  // A COMMIT first sends and then puts back: what is handed out between the two may be younger than what comes back.
  #putsBackLate = false;

  constructor(maxDeliveries: number) {
    this.#maxDeliveries = maxDeliveries;
  }

  // ── what clients do ────────────────────────────────────────────────────────────────────────────────────────────

  send(destination: string, body: string): void {
    if (destination.startsWith('/queue/')) {
      const queue = this.#queue(destination);
      queue.waiting.push({ body, order: queue.orders++, deliveries: 0 });
      return;
    }
    for (const peer of this.peers) {
      for (const subscription of peer.subscriptions.values()) {
        const pattern = matching[subscription.destination];
        if (pattern ? pattern.test(destination) : subscription.destination === destination) {
          subscription.pending.push(body);
        }
      }
    }
  }

  subscribe(peer: ModelPeer, id: string, destination: string, mode: Mode, prefetch: number): void {
    peer.subscriptions.set(id, {
      peer,
      id,
      destination,
      mode,
      prefetch,
      unacknowledged: [],
      claimed: 0,
      pending: [],
      active: true,
    });
  }

  unsubscribe(subscription: ModelSubscription): void {
    subscription.peer.subscriptions.delete(subscription.id);
    this.#stop(subscription, false);
  }

  /** What an ACK or NACK of this delivery is about: it alone, or in mode `client` all before it as well. */
  claim(delivery: Unacknowledged): Unacknowledged[] {
    const { subscription } = delivery;
    const claimed = subscription.unacknowledged.filter(
      (each) => each === delivery || (subscription.mode === 'client' && each.serial < delivery.serial),
    );
    subscription.unacknowledged = subscription.unacknowledged.filter((each) => !claimed.includes(each));
    subscription.claimed += claimed.length;
    return claimed;
  }

  settle(claimed: readonly Unacknowledged[], consumed: boolean): void {
    for (const { subscription, item } of claimed) {
      subscription.claimed--;
      if (!consumed && item) this.#putBack(subscription.destination, item, true);
    }
  }

  commit(steps: readonly Step[]): void {
    for (const step of steps) if (step.kind === 'send') this.send(step.destination, step.body);
    for (const step of steps) {
      if (step.kind !== 'settle') continue;
      this.settle(step.claimed, step.consumed);
      if (!step.consumed) this.#putsBackLate = true;
    }
  }

  abort(steps: readonly Step[]): void {
    for (const step of steps) {
      if (step.kind !== 'settle') continue;
      for (const delivery of step.claimed) {
        const { subscription, item } = delivery;
        subscription.claimed--;
        if (subscription.active) subscription.unacknowledged.push(delivery);
        else if (item) this.#putBack(subscription.destination, item, false);
        subscription.unacknowledged.sort((one, other) => one.serial - other.serial);
      }
    }
  }

  /** The connection ends; `failed`: what it had counts as delivered. */
  leave(peer: ModelPeer, failed: boolean): void {
    peer.gone = true;
    for (const steps of peer.transactions.values()) this.abort(steps);
    peer.transactions.clear();
    const subscriptions = [...peer.subscriptions.values()];
    peer.subscriptions.clear();
    for (const subscription of subscriptions) this.#stop(subscription, failed);
  }

  // ── what has to come of it ─────────────────────────────────────────────────────────────────────────────────────

  /** Look at everything that came, and throw where it is not what had to come. */
  check(): void {
    const handedOut = new Map<string, number[]>();
    for (const peer of this.peers) {
      for (const frame of peer.real.take()) this.#see(peer, frame, handedOut);
      this.#checkEnd(peer);
    }
    for (const [destination, orders] of handedOut) {
      const { waiting } = this.#queue(destination);
      const youngest = Math.max(...orders);
      const left = waiting.find(({ order }) => order < youngest);
      if (left && !this.#putsBackLate) fail(`${destination}: ${left.body} waits, and a younger message was handed out`);
    }
    this.#putsBackLate = false;
    for (const peer of this.peers) {
      for (const subscription of peer.subscriptions.values()) this.#checkNothingWaits(subscription);
    }
  }

  /** What nobody has consumed, oldest first, when all clients are gone. */
  left(destination: string): string[] {
    return this.#queue(destination).waiting.map(({ body }) => body);
  }

  #see(peer: ModelPeer, frame: SeenFrame, handedOut: Map<string, number[]>): void {
    const { command, headers, body } = frame;
    const said = `${peer.name} got ${command} ${JSON.stringify(headers)} ${body}`;
    if (command === 'RECEIPT') {
      const wanted = peer.receipts.shift();
      if (wanted !== headers['receipt-id']) fail(`${said}, wanted receipt ${wanted}`);
      return;
    }
    if (command === 'ERROR') {
      if (!peer.failing) fail(`${said}, and it did nothing wrong`);
      return;
    }
    if (command !== 'MESSAGE') fail(`${said}, which no server sends`);
    if (peer.gone) fail(`${said}, after its end`);
    const subscription = peer.subscriptions.get(headers['subscription'] ?? '');
    if (!subscription) return fail(`${said}, for no subscription`);
    const item = subscription.destination.startsWith('/queue/') ? this.#take(subscription, said, frame) : undefined;
    if (!item && subscription.pending.shift() !== body) fail(`${said}, which is not the next one of its topic`);
    if (item) {
      const orders = handedOut.get(subscription.destination) ?? [];
      handedOut.set(subscription.destination, orders);
      orders.push(item.order);
    }
    if (subscription.mode === 'auto') return;
    if (!hasRoom(subscription)) fail(`${said}, over its prefetch-count`);
    const ack: Readonly<Record<string, string>> =
      peer.real.version === '1.2'
        ? { id: String(headers['ack']) }
        : { subscription: subscription.id, 'message-id': String(headers['message-id']) };
    subscription.unacknowledged.push({ subscription, headers: ack, serial: this.#serials++, item });
  }

  #take({ destination }: ModelSubscription, said: string, { headers, body }: SeenFrame): Item {
    const { waiting } = this.#queue(destination);
    const index = waiting.findIndex((each) => each.body === body);
    const [item] = index < 0 ? [] : waiting.splice(index, 1);
    if (!item) return fail(`${said}, which does not wait in ${destination}`);
    item.deliveries++;
    if (item.deliveries > 1 !== (headers['redelivered'] === 'true')) {
      fail(`${said}, which was handed out ${item.deliveries} times`);
    }
    return item;
  }

  #checkEnd(peer: ModelPeer): void {
    if (peer.failing && !peer.real.closed) fail(`${peer.name} broke a rule and was not closed`);
    if (!peer.gone && (peer.real.closed || peer.real.socket.terminated)) {
      fail(`${peer.name} was closed: ${JSON.stringify(peer.real.closed)}`);
    }
    if (!peer.gone && peer.receipts.length > 0) fail(`${peer.name} waits for the receipts ${peer.receipts}`);
    if (peer.real.reported.length > 0) fail(`${peer.name} had reported: ${peer.real.reported}`);
  }

  #checkNothingWaits(subscription: ModelSubscription): void {
    const { peer, id, destination, pending, mode } = subscription;
    if (mode !== 'auto' && !hasRoom(subscription)) return;
    if (pending.length > 0) fail(`${peer.name} has not got ${pending} for ${id}`);
    if (!destination.startsWith('/queue/')) return;
    const { waiting } = this.#queue(destination);
    if (waiting.length > 0) fail(`${waiting[0]?.body} waits in ${destination}, and ${peer.name} would take it`);
  }

  #queue(destination: string): { waiting: Item[]; orders: number } {
    const known = this.#queues.get(destination) ?? { waiting: [], orders: 0 };
    this.#queues.set(destination, known);
    return known;
  }

  #stop(subscription: ModelSubscription, failed: boolean): void {
    subscription.active = false;
    for (const { item } of subscription.unacknowledged) {
      if (item) this.#putBack(subscription.destination, item, failed);
    }
    subscription.unacknowledged = [];
  }

  #putBack(destination: string, item: Item, failed: boolean): void {
    if (failed && item.deliveries >= this.#maxDeliveries) {
      this.dead++;
      return;
    }
    const { waiting } = this.#queue(destination);
    const index = waiting.findIndex(({ order }) => order > item.order);
    waiting.splice(index < 0 ? waiting.length : index, 0, item);
  }
}

const hasRoom = ({ claimed, unacknowledged, prefetch }: ModelSubscription): boolean =>
  claimed + unacknowledged.length < prefetch;

function fail(what: string): never {
  throw new Error(what);
}
