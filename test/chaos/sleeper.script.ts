import { answer, startedWith } from '../bench/ipc.ts';
import { Ledger, type Seen } from './ledger.ts';
import { readersOf } from './scenarios.ts';

/** Readers in a process of their own, so that it can be stopped for a while. */
const { url, readers } = startedWith<{ readonly url: string; readonly readers: number }>();
const ledger = new Ledger();
await readersOf(url, ledger, readers);
answer({ seen: (): readonly (readonly Seen[])[] => ledger.seen });
