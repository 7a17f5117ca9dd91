import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** What a child process can be asked for, by name. */
export type Answers = Readonly<Record<string, (argument: never) => unknown>>;

interface Question {
  readonly number: number;
  readonly name: string;
  readonly argument: unknown;
}
interface Answer {
  readonly number: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** In a child: what it was started with. */
export const startedWith = <T>(): T => JSON.parse(process.argv[2] ?? '{}') as T;

/** In a child: answer questions from now on. `ready` is what {@link startChild} resolves with. */
export function answer(answers: Answers, ready: unknown = {}): void {
  process.on('message', async ({ number, name, argument }: Question) => {
    let reply: Answer;
    try {
      reply = { number, value: await (answers[name] as (argument: unknown) => unknown)(argument) };
    } catch (error) {
      reply = { number, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.send?.(reply);
  });
  // Its end is our end, however it came.
  process.on('disconnect', () => process.exit());
  process.send?.({ number: 0, value: ready } satisfies Answer);
}

export interface Child<Ready> {
  readonly pid: number;
  readonly ready: Ready;
  ask<T>(name: string, argument?: unknown): Promise<T>;
  stop(): Promise<void>;
}

/** Start a program of our own in a process of its own, and wait until it is ready. `program` runs it; default: Node. */
export async function startChild<Ready>(
  file: string,
  argument: unknown,
  nodeOptions: readonly string[] = [],
  program: string = process.execPath,
): Promise<Child<Ready>> {
  const child = fork(file, [JSON.stringify(argument)], {
    execPath: program,
    execArgv: [...nodeOptions],
    // `ws` masks by bufferutil where some client of the tests brought it; those who install subwire have none.
    env: { ...process.env, NODE_ENV: 'production', WS_NO_BUFFER_UTIL: '1' },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let last = 0;
  const wait = (number: number): Promise<unknown> =>
    new Promise((resolve, reject) => waiting.set(number, { resolve, reject }));
  child.on('message', ({ number, value, error }: Answer) => {
    const asked = waiting.get(number);
    waiting.delete(number);
    if (error === undefined) asked?.resolve(value);
    else asked?.reject(new Error(error));
  });
  child.on('exit', (code, signal) => {
    for (const asked of waiting.values()) asked.reject(new Error(`${file} ended (${code ?? signal})`));
    waiting.clear();
  });
  const ready = (await wait(0)) as Ready;
  return {
    pid: child.pid as number,
    ready,
    ask<T>(name: string, question?: unknown) {
      const outcome = wait(++last) as Promise<T>;
      const number = last;
      child.send({ number, name, argument: question } satisfies Question, (error) => {
        if (!error) return;
        waiting.get(number)?.reject(error);
        waiting.delete(number);
      });
      return outcome;
    },
    stop: () => stop(child),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
