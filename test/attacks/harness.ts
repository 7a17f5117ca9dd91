import { fileURLToPath } from 'node:url';
import { type Child, startChild } from '../bench/ipc.ts';
import { bundle } from '../support/bundle.ts';
import type { Attack, AttackResult } from './attack.ts';
import { pause } from './attack.ts';
import type { HonestReport } from './honest.script.ts';
import type { AttackedOptions, ServerReport } from './server.script.ts';

interface Ports {
  readonly port: number;
  readonly controlPort: number;
}

/** How an attack went, and what of it must not be. */
export interface AttackOutcome {
  readonly attack: Attack;
  readonly server: ServerReport | undefined;
  readonly honest: HonestReport | undefined;
  readonly baseline: number;
  readonly result: AttackResult | undefined;
  readonly problems: readonly string[];
}

export interface HarnessOptions {
  /** The honest client's p99 may be so many ms, or so many times its baseline, whichever is more. */
  readonly patience: number;
  readonly times: number;
  /** Where others use the processors as well: a turn of at most so many ms of its own is not what the client waits for. */
  readonly turn?: number;
}

const fewDescriptors = fileURLToPath(new URL('few-descriptors.sh', import.meta.url));
const program = (name: string): Promise<string> => bundle(`test/attacks/${name}`);
/** A quarter of it is what the process may keep for its peers. */
const heap = '--max-old-space-size=1024';

/** The server, and the honest client beside it, each in a process of its own. */
export class Harness {
  readonly #options: HarnessOptions;
  #server: Child<Ports> | undefined;
  #honest: Child<unknown> | undefined;
  #attacker: Child<unknown> | undefined;
  #servedWith = '';
  #baseline = 0;

  constructor(options: HarnessOptions) {
    this.#options = options;
  }

  /** Try it, at this scale. What must not be stands in `problems`. */
  async run(attack: Attack, scale: number): Promise<AttackOutcome> {
    let result: AttackResult | undefined;
    let failed: string | undefined;
    const { server, honest } = await this.#start(attack.server ?? {});
    try {
      await Promise.all([server.ask('begin'), honest.ask('begin')]);
      this.#attacker ??= await startChild<unknown>(await program('attacker.script.ts'), server.ready);
      const attacker = this.#attacker;
      const late = pause(120_000).then(() => Promise.reject(new Error('the attack did not end within 120 s')));
      result = await Promise.race([attacker.ask<AttackResult>('run', { name: attack.name, scale }), late]);
    } catch (error) {
      failed = `the attack broke: ${(error as Error).message}`;
    }
    const honestSaw = await honest.ask<HonestReport>('end').catch(() => undefined);
    const serverSaw = await server.ask<ServerReport>('end').catch(() => undefined);
    const problems = this.#judge(attack, serverSaw, honestSaw, result);
    if (failed) problems.push(failed);
    const outcome = { attack, server: serverSaw, honest: honestSaw, baseline: this.#baseline, result, problems };
    if (failed || !serverSaw || serverSaw.kept > 50) await this.stop();
    else await this.#settle(server);
    return outcome;
  }

  async stop(): Promise<void> {
    await Promise.all([this.#honest?.stop(), this.#server?.stop(), this.#attacker?.stop()]);
    this.#server = this.#honest = this.#attacker = undefined;
  }

  /** The same server as long as nothing went wrong and the options are the same. */
  async #start(options: AttackedOptions): Promise<{ server: Child<Ports>; honest: Child<unknown> }> {
    const servedWith = JSON.stringify(options);
    if (this.#server && this.#honest && servedWith === this.#servedWith) {
      return { server: this.#server, honest: this.#honest };
    }
    await this.stop();
    const { descriptors } = options;
    if (descriptors !== undefined) process.env['SUBWIRE_DESCRIPTORS'] = String(descriptors);
    const server = await startChild<Ports>(
      await program('server.script.ts'),
      options,
      ['--expose-gc', heap],
      descriptors === undefined ? process.execPath : fewDescriptors,
    );
    const honest = await startChild<unknown>(await program('honest.script.ts'), server.ready);
    this.#server = server;
    this.#honest = honest;
    this.#servedWith = servedWith;
    // The first answers are of cold code.
    await pause(500);
    await honest.ask('begin');
    await pause(1_000);
    this.#baseline = (await honest.ask<HonestReport>('end')).p99;
    return { server, honest };
  }

  /** The next attack begins when the last one is gone. */
  async #settle(server: Child<Ports>): Promise<void> {
    for (let round = 0; round < 20; round++) {
      const { open } = await server.ask<ServerReport>('end');
      if (open <= 2) return;
      await pause(100);
    }
    await this.stop();
  }

  #judge(
    attack: Attack,
    server: ServerReport | undefined,
    honest: HonestReport | undefined,
    result: AttackResult | undefined,
  ): string[] {
    const { memory = 300, reports = 20, codes = [], isCut = false } = attack;
    const problems: string[] = [];
    const must = (holds: boolean, what: string): void => void (holds || problems.push(what));
    if (!server) return ['the process has ended'];
    must(server.escaped.length === 0, `this escaped: ${server.escaped.join('; ').slice(0, 300)}`);
    must(server.peak <= memory, `memory grew by ${server.peak} MiB, at most ${memory}`);
    must(
      server.reports <= reports,
      `onError was called ${server.reports} times, at most ${reports}: ${server.firstReport}`,
    );
    if (honest) {
      const bound = Math.max(this.#options.patience, this.#options.times * this.#baseline);
      must(honest.cut.length === 0, `the honest client was cut: ${honest.cut.join(', ')}`);
      const isInnocent = this.#options.turn !== undefined && server.turn <= this.#options.turn;
      must(honest.p99 <= bound || isInnocent, `the honest client waited ${honest.p99} ms, at most ${bound}`);
    }
    if (!result) return problems;
    problems.push(...result.problems);
    for (const [ending, count] of Object.entries(result.codes)) {
      const code = Number.parseInt(ending, 10);
      // Those who hang up by themselves see no code.
      must(code === 1006 || codes.includes(code), `${count} connections ended with ${ending}`);
    }
    if (isCut) {
      must(result.cutAfter !== undefined, 'nobody was cut');
      must((result.cutAfter ?? 0) <= 1_000, `cut only ${result.cutAfter} ms after the limit`);
    }
    return problems;
  }
}

/** One row of the table. */
export function rowOf({ attack, server, honest, baseline, result, problems }: AttackOutcome): string {
  const codes = Object.entries(result?.codes ?? {}).map(([code, count]) => `${count}× ${code}`);
  const cells = [
    attack.name,
    `${((result?.sent ?? 0) / 1e6).toFixed(1)} MB`,
    codes.join(', ').slice(0, 60) || 'none',
    result?.cutAfter === undefined ? '' : `${result.cutAfter} ms`,
    server ? `${server.delay} (${server.turn}) ms` : 'ended',
    server ? `+${server.peak} (${server.kept} kept)` : '',
    server ? `${server.rss}` : '',
    `${baseline} → ${honest?.p99 ?? '?'} ms`,
    [...problems.map((problem) => `**${problem}**`), ...(result?.notes ?? [])].join('; '),
  ];
  return `| ${cells.join(' | ')} |`;
}

export const tableHead = [
  '| attack | sent | ended with | cut after | loop delay (of its own), max | memory, MiB | RSS, MiB | honest p99, before → during | |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
].join('\n');
