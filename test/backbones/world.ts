import { setTimeout as sleep } from 'node:timers/promises';
import type { Backbone, BackboneAbilities, BackboneState } from '../../src/bus/backbone.ts';
import type { Message, Position } from '../../src/bus/message.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { ProgramName } from '../support/programs/program.ts';

/** Bounds of a history that a case can reach. */
export interface SmallHistory {
  readonly maxMessages?: number;
  readonly maxAge?: number;
  /** Time runs ten times as fast for the backbones, and for what they ask after a time. */
  readonly hasty?: boolean;
}

/** What can be done to a broker and to the connections to it. */
export interface Faults {
  /** End the broker as a crash would. */
  kill(): Promise<void>;
  /** Start it again where it was. */
  restart(): Promise<void>;
  /** The broker stands still, and goes on. */
  stop(): void;
  resume(): void;
  /** All connections are reset. */
  cut(): void;
  /** What the broker answers is thrown away, until the connections are cut. */
  swallowAnswers(): void;
  /** Nothing passes, and nothing is closed: a network that lost its cable. */
  freeze(): void;
  /** What `freeze` held passes on. */
  thaw(): void;
  /** The connections that subscribe are cut, and no others. Absent: a backbone has one for everything. */
  cutSubscribers?(): Promise<void>;
  /** What the broker knows now is what it will know after it was killed. Absent: it cannot be made to. */
  remember?(): Promise<void>;
}

/** A broker with any number of servers on it. */
export interface World {
  /** A backbone on this broker; not opened yet. */
  backbone(options?: {
    readonly prefix?: string;
    readonly history?: (topic: string) => boolean;
    readonly clock?: Clock;
  }): Backbone;
  /** Absent: they cannot be made here. */
  readonly faults?: Faults | undefined;
  /** Put bytes where messages of a topic come from, as a foreign writer would. */
  writeForeign?(topic: string, bytes: Uint8Array): Promise<void>;
  /** Does the client of the last backbone, which the application gave, still work? Absent: no client is given. */
  clientWorks?(): Promise<boolean>;
  /** A backbone whose clock the case moves. Absent: ids are kept by a clock that nobody can move. */
  aged?(clock: Clock): Backbone;
  /** A backbone that shows a wrong password, or token. */
  intruder?(): Backbone;
  close(): Promise<void>;
}

/** What the contract is run over. */
export interface Contract {
  /** As in the titles. */
  readonly name: string;
  /** What the backbone must claim. */
  readonly abilities: BackboneAbilities;
  /** A new broker. */
  world(history?: SmallHistory): Promise<World>;
  /** Messages that the broker has confirmed are there after it was killed. */
  readonly durable: boolean;
  /** More than one server can share the broker. */
  readonly shared: boolean;
  /** What has to be installed. */
  readonly program?: ProgramName | undefined;
  /** These cases alone, because the others run elsewhere over the same backbone; absent: all. */
  readonly only?: readonly number[];
  /** Cases that need too much time, with the reason; `CONTRACT=all` in the environment runs them. */
  readonly slow?: { readonly cases: readonly number[]; readonly because: string } | undefined;
  /** Cases that do not hold, by number, each with its reason. */
  readonly unclaimed?: Readonly<Record<number, string>>;
}

/** A backbone and all that its bus heard. */
export class Server {
  readonly backbone: Backbone;
  readonly messages: Message[] = [];
  readonly gaps: { readonly name: string | undefined; readonly from: Position | undefined; readonly before: number }[] =
    [];
  readonly states: BackboneState[] = [];
  readonly errors: unknown[] = [];
  readonly unreadable: Error[] = [];

  constructor(backbone: Backbone) {
    this.backbone = backbone;
    backbone.open({
      message: (message) => this.messages.push(message),
      gap: (name, from) => this.gaps.push({ name, from, before: this.messages.length }),
      state: (state, error) => {
        this.states.push(state);
        if (error !== undefined) this.errors.push(error);
      },
      unreadable: (error) => this.unreadable.push(error),
    });
  }

  /** Bodies as text, of one topic or of all. */
  bodies(topic?: string): string[] {
    return this.messages
      .filter((message) => topic === undefined || message.topic === topic)
      .map(({ body }) => Buffer.from(body).toString());
  }

  publish(
    topic: string,
    text: string,
    options: Parameters<Backbone['publish']>[2] = {},
  ): Promise<Position | undefined> {
    return this.backbone.publish(topic, Buffer.from(text), options);
  }

  /** All that was published to this topic before is here, or will never be. */
  async settled(topic: string): Promise<void> {
    const last = `settled ${Math.random()}`;
    await this.publish(topic, last, { timeout: 20_000 });
    await until(() => this.bodies(topic).includes(last), `the last message of ${topic}`);
    this.messages.splice(
      this.messages.findIndex(({ body }) => Buffer.from(body).toString() === last),
      1,
    );
  }
}

/** Wait for something that is to come about. */
export async function until(holds: () => boolean, what: string, within = 8_000): Promise<void> {
  const deadline = performance.now() + within;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`It did not come about within ${within} ms: ${what}`);
    await sleep(5);
  }
}
