import { BackboneError } from '../bus/backbone.ts';
import type { Position } from '../bus/message.ts';
import { messageOf } from '../core/fault.ts';
import { randomId } from '../core/random.ts';
import type { Changes, LinkedLog, Past } from './linked-log.ts';
import type { Batch } from './outbox.ts';
import type { RedisArgument, RedisCalls } from './redis-client.ts';
import { changesScript, placeScript, publishScript, type RedisScript, readScript } from './redis-scripts.ts';

/** How the log is kept. */
export interface RedisLogOptions {
  /** Before all keys and channels: `{prefix:0}`. */
  readonly root: string;
  /** How many messages of a topic are kept. */
  readonly maxMessages: number;
  /** How long a topic is kept after its last message, in ms. */
  readonly maxAge: number;
  /** Redis never loses what it has confirmed. */
  readonly durable: boolean;
  /** How many replicas have to have a message before it counts as stored. */
  readonly replicas: number;
  /** Which topics have a past. */
  history(topic: string): boolean;
}

/** For so long it is remembered when a topic had its last message, in µs: longer than any history. */
const remembered = 3_600_000_000;
/** Replicas are waited for so long, in ms: then it is tried again. */
const waitMost = 1_000;
/** More topics than this are not looked through. */
const mostTopics = 10_000;

/** The log of messages in Redis: what the scripts do, in the words of a backbone. */
export class RedisLog implements LinkedLog {
  readonly #calls: RedisCalls;
  readonly #options: RedisLogOptions;
  // The batch that was tried last, and in which epoch: Redis without its memory would store it a second time.
  #tried: { readonly id: string; readonly epoch: string } | undefined;

  constructor(calls: RedisCalls, options: RedisLogOptions) {
    this.#calls = calls;
    this.#options = options;
  }

  /** Store a batch, once however often it is asked for; `epoch` is the one that is believed to be there. */
  async publish(batch: Batch, epoch: string): Promise<readonly Position[]> {
    const { maxMessages, maxAge, history } = this.#options;
    const before = this.#tried?.id === batch.id ? this.#tried.epoch : '';
    if (before === '') this.#tried = { id: batch.id, epoch };
    const args: RedisArgument[] = [String(maxMessages), String(maxAge), newEpoch(), batch.id, before];
    for (const { topic, id = '', envelope } of batch.messages) {
      args.push(topic, history(topic) ? 'h' : '-', id, envelope as Buffer);
    }
    try {
      const [stored = '', ...offsets] = String(await this.#run(publishScript, args)).split(' ');
      if (this.#options.replicas > 0) await this.#replicated();
      return offsets.map((offset) => ({ epoch: stored, offset: Number(offset) }));
    } catch (error) {
      const words = messageOf(error);
      if (words.includes('SUBWIRE_EPOCH')) {
        const lost = 'redis: the answer was lost, and Redis has another log now, which does not know the message';
        throw new BackboneError('unavailable', lost, 'unknown');
      }
      // Redis has looked at it and says no: nothing is stored (a script that fails at its first write changes nothing).
      if (/^(OOM|READONLY|MISCONF|NOPERM|NOREPLICAS)/.test(words)) {
        throw new BackboneError('unavailable', `redis: ${words}`, 'no');
      }
      throw error;
    }
  }

  /**
   * Replicas have all that was written before. `WAIT` is about what its own connection has written last, which may be
   * another one by now: so something is written right before it. Throws where there are not enough: the batch comes again.
   */
  async #replicated(): Promise<void> {
    const { root, replicas } = this.#options;
    const [, count] = await Promise.all([
      this.#calls.call(['SET', `${root}:w`, '1', 'PX', '60000']),
      this.#calls.call(['WAIT', String(replicas), String(waitMost)]),
    ]);
    if (Number(count) < replicas) throw new Error(`redis: ${count} of ${replicas} replicas have the message`);
  }

  /** The end of the log; with the id of a server also its beacon. */
  async place(beacon = ''): Promise<Position> {
    const args = [newEpoch(), beacon, this.#options.durable ? '1' : '', String(remembered)];
    const [epoch, last] = (await this.#run(placeScript, args)) as [Buffer, Buffer];
    return { epoch: epoch.toString(), offset: Number(last) };
  }

  /** What one topic had after an offset. */
  async read(topic: string, after: number, limit: number): Promise<Past> {
    const answer = (await this.#run(readScript, [topic, String(after), String(limit + 1)])) as [
      ...texts: [epoch: Buffer, last: Buffer, now: Buffer, lastOfTopic: Buffer],
      entries: [id: Buffer, fields: [p: Buffer, link: Buffer, d: Buffer, envelope: Buffer]][],
    ];
    const [epoch, last, now, lastOfTopic] = answer.slice(0, 4).map(String) as [string, string, string, string];
    const [first] = answer[4];
    const entries = answer[4].map(([id, [, , , envelope]]) => ({
      topic,
      offset: Number.parseInt(id.toString(), 10),
      envelope,
    }));
    const known = after >= Number(now) - remembered;
    let complete = known && lastOfTopic === '';
    const link = first && Number(first[1][1]);
    if (link !== undefined) complete = link === 0 ? known : link <= after;
    else if (lastOfTopic !== '') complete = Number(lastOfTopic) <= after;
    complete &&= entries.length <= limit && after <= Number(last);
    return { epoch, entries, complete };
  }

  /** Which topics had messages after an offset. */
  async changes(after: number): Promise<Changes> {
    const answer = (await this.#run(changesScript, [String(after), String(mostTopics + 1)])) as [
      ...texts: [epoch: Buffer, last: Buffer, now: Buffer],
      topics: (Buffer | number)[],
    ];
    const topics = answer[3].filter((_each, index) => index % 2 === 0).map(String);
    const known = topics.length <= mostTopics && after >= Number(answer[2]) - remembered;
    return { epoch: answer[0].toString(), last: Number(answer[1]), topics: known ? topics : undefined };
  }

  /** Redis forgets scripts when it starts: then it is told again. */
  async #run({ sha, text }: RedisScript, args: RedisArgument[]): Promise<unknown> {
    const { root } = this.#options;
    try {
      return await this.#calls.call(['EVALSHA', sha, '1', root, ...args]);
    } catch (error) {
      if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
      return this.#calls.call(['EVAL', text, '1', root, ...args]);
    }
  }
}

const newEpoch = (): string => randomId().slice(0, 12);
