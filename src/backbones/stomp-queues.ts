import {
  BackboneError,
  type BackboneQueues,
  defaultPatience,
  type MessageOptions,
  type QueueConsumer,
  type QueueDelivery,
} from '../bus/backbone.ts';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/fault.ts';
import type { ReceivedMessage, StompClient, StompSubscription } from '../stomp/client/client.ts';
import { openEnvelope, sealEnvelope } from './envelope.ts';
import { subjectOf } from './subjects.ts';

/** What the queues need of their backbone. */
export interface StompQueuesHost {
  /** Which broker it is: they do different things with a NACK. */
  readonly broker: 'rabbitmq' | 'activemq';
  /** Applications with different prefixes do not see each other. */
  readonly prefix: string;
  /** The connection. */
  readonly client: StompClient;
  /** Time. */
  readonly clock: Clock;
  /** The largest body, in bytes. */
  readonly maxBody: number;
  /** The longest name of a queue at the broker, in bytes. */
  readonly longest: number;
  /** Another number for each time that the connection came or went. */
  readonly connection: () => number;
  /** The broker can be reached. */
  readonly up: () => boolean;
  /** Something came that is no message of ours. */
  unreadable(error: Error): void;
}

/** How often a message was handed out before it was put back: neither broker counts that over STOMP. */
const countHeader = 'subwire-deliveries';

/**
 * Work queues of RabbitMQ or ActiveMQ: durable, with messages that are kept on disk. A message that fails is put behind
 * the others in one transaction with its acknowledgement, so that it is counted; RabbitMQ's NACK counts nothing, and that of
 * ActiveMQ throws it away.
 */
export class StompQueues implements BackboneQueues {
  readonly #host: StompQueuesHost;
  readonly #consumers = new Set<StompQueueConsumer>();
  readonly #aborts = new Set<AbortController>();
  #closed = false;

  constructor(host: StompQueuesHost) {
    this.#host = host;
  }

  /** See {@link BackboneQueues.put}. A publish whose answer was lost is not repeated: nobody would drop the double. */
  async put(queue: string, body: Uint8Array, options: MessageOptions): Promise<void> {
    const { client, clock, maxBody, up } = this.#host;
    if (this.#closed) throw closed();
    if (body.length > maxBody) {
      throw new BackboneError('tooLarge', `stomp: a body of ${body.length} bytes for "${queue}"; at most ${maxBody}`);
    }
    const destination = this.destinationOf(queue);
    let sent = up();
    const abort = new AbortController();
    const { timeout = defaultPatience } = options;
    const deadline = { deadline: clock.now() + timeout, tick: () => abort.abort(new Error('no answer in time')) };
    clock.watch(deadline);
    this.#aborts.add(abort);
    const stop = client.on('connected', () => {
      sent = true;
    });
    try {
      await client.publish({
        ...{ destination, body: sealEnvelope(body, options), headers: persistent, receipt: true },
        signal: abort.signal,
      });
    } catch (error) {
      const why = `stomp: a message for "${queue}" was not confirmed: ${messageOf(error)}`;
      const late = abort.signal.aborted && !this.#closed && sent;
      const reason = this.#closed ? 'closed' : late ? 'timeout' : 'unavailable';
      throw new BackboneError(reason, why, sent ? 'unknown' : 'no', { cause: error });
    } finally {
      stop();
      clock.forget(deadline);
      this.#aborts.delete(abort);
    }
  }

  /** See {@link BackboneQueues.consume}. */
  consume(queue: string, credit: number, take: (delivery: QueueDelivery) => void): QueueConsumer {
    if (this.#closed) return { active: Promise.reject(closed()), stop() {} };
    const consumer = new StompQueueConsumer(this.#host, this.destinationOf(queue), credit, take, () =>
      this.#consumers.delete(consumer),
    );
    this.#consumers.add(consumer);
    return consumer;
  }

  /** What waits is rejected; consumers end with the connection. */
  close(): void {
    this.#closed = true;
    for (const abort of this.#aborts) abort.abort(new Error('the backbone is closed'));
    for (const consumer of [...this.#consumers]) consumer.stop();
  }

  /** The queue at the broker. Throws a `BackboneError` `tooLarge` where its name is too long. */
  destinationOf(queue: string): string {
    const { prefix, longest } = this.#host;
    const name = `${prefix}.${subjectOf(queue, '#')}`;
    if (name.length > longest) {
      throw new BackboneError('tooLarge', `stomp: the queue "${queue}" makes a name of more than ${longest} bytes`);
    }
    return `/queue/${name}`;
  }
}

const closed = (): BackboneError => new BackboneError('closed', 'stomp: the backbone is closed');

const persistent = { 'content-type': 'application/octet-stream', persistent: 'true' } as const;

class StompQueueConsumer implements QueueConsumer {
  readonly active: Promise<void>;
  readonly #host: StompQueuesHost;
  readonly #destination: string;
  readonly #take: (delivery: QueueDelivery) => void;
  readonly #ended: () => void;
  readonly #subscription: StompSubscription;
  readonly #unsettled = new Set<StompQueueDelivery>();
  #stopped = false;

  constructor(
    host: StompQueuesHost,
    destination: string,
    credit: number,
    take: (delivery: QueueDelivery) => void,
    ended: () => void,
  ) {
    this.#host = host;
    this.#destination = destination;
    this.#take = take;
    this.#ended = ended;
    this.#subscription = host.client.subscribe(destination, (message) => this.#received(message), {
      ack: 'client-individual',
      [host.broker === 'rabbitmq' ? 'prefetch-count' : 'activemq.prefetchSize']: credit,
    });
    this.active = this.#subscription.active.catch((error: unknown) => {
      throw new BackboneError('unavailable', `stomp: ${messageOf(error)}`);
    });
    this.active.catch(() => {});
  }

  #received(message: ReceivedMessage): void {
    const delivery = this.#opened(message);
    if (!delivery) return;
    this.#unsettled.add(delivery);
    this.#take(delivery);
  }

  #opened(message: ReceivedMessage): StompQueueDelivery | undefined {
    try {
      const { contentType, headers, body } = openEnvelope(message.bytes);
      const counted = Number(message.headers.get(countHeader) ?? 0) || 0;
      const again = message.headers.get('redelivered') === 'true' ? 1 : 0;
      return new StompQueueDelivery(this, message, this.#host.connection, {
        // The client's buffer is used again.
        ...{ body: Uint8Array.from(body), contentType, headers, deliveries: counted + again + 1 },
      });
    } catch (error) {
      // Nobody could read it: it must not come again and again.
      message.ack();
      this.#host.unreadable(
        new Error(`stomp: a message of "${this.#destination}" cannot be read: ${messageOf(error)}`),
      );
      return undefined;
    }
  }

  /** Carry out what became of a delivery. */
  settle(delivery: StompQueueDelivery, outcome: 'consumed' | 'failed' | 'returned'): void {
    if (!this.#unsettled.delete(delivery) || delivery.lost) return;
    const { message } = delivery;
    if (outcome === 'consumed') message.ack();
    else if (outcome === 'returned' && this.#host.broker === 'rabbitmq') message.nack();
    else this.#putBehind(delivery, outcome === 'failed' ? delivery.deliveries : delivery.deliveries - 1);
  }

  #putBehind({ message, body: bytes, contentType, headers: own }: StompQueueDelivery, count: number): void {
    try {
      const transaction = this.#host.client.begin();
      const headers = { ...persistent, [countHeader]: count };
      const body = sealEnvelope(bytes, { contentType, headers: own });
      transaction.publish({ destination: this.#destination, body, headers }).catch(() => {});
      transaction.ack(message);
      // Where it fails the connection is gone, and the broker hands the message out again by itself.
      transaction.commit().catch(() => {});
    } catch {}
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#ended();
    // RabbitMQ keeps what a consumer that has ended did not acknowledge, until the connection ends; ActiveMQ takes it back.
    if (this.#host.broker === 'rabbitmq') for (const delivery of this.#unsettled) delivery.settle('returned');
    this.#unsettled.clear();
    this.#subscription.unsubscribe();
  }
}

class StompQueueDelivery implements QueueDelivery {
  readonly body: Uint8Array;
  readonly contentType: string | undefined;
  readonly headers: QueueDelivery['headers'];
  readonly deliveries: number;
  readonly message: ReceivedMessage;
  readonly #consumer: StompQueueConsumer;
  readonly #connection: () => number;
  readonly #came: number;

  constructor(
    consumer: StompQueueConsumer,
    message: ReceivedMessage,
    connection: () => number,
    { body, contentType, headers, deliveries }: Pick<QueueDelivery, 'body' | 'contentType' | 'headers' | 'deliveries'>,
  ) {
    this.body = body;
    this.contentType = contentType;
    this.headers = headers;
    this.deliveries = deliveries;
    this.message = message;
    this.#consumer = consumer;
    this.#connection = connection;
    this.#came = connection();
  }

  get lost(): boolean {
    return this.#came !== this.#connection();
  }

  settle(outcome: 'consumed' | 'failed' | 'returned'): void {
    this.#consumer.settle(this, outcome);
  }
}
