import { answer, startedWith } from '../bench/ipc.ts';
import { allAttacks } from './all.ts';
import type { AttackResult } from './attack.ts';
import type { Ending, Peer } from './peer.ts';

const { port, controlPort } = startedWith<{ readonly port: number; readonly controlPort: number }>();

/** Let the application of the server do something. */
async function ask<T>(question: string, argument: unknown = {}): Promise<T> {
  const answered = await fetch(`http://127.0.0.1:${controlPort}/${question}`, {
    method: 'POST',
    body: JSON.stringify(argument),
  });
  return (await answered.json()) as T;
}

answer({
  /** Run an attack by its name; resolves with what it saw. */
  async run({ name, scale }: { readonly name: string; readonly scale: number }): Promise<AttackResult> {
    const attack = allAttacks.find((each) => each.name === name);
    if (!attack) throw new Error(`There is no attack "${name}"`);
    const peers: Peer[] = [];
    const problems: string[] = [];
    const notes: string[] = [];
    let passed = 0;
    await attack.run({
      port,
      scale,
      own: (peer) => {
        peers.push(peer);
        return peer;
      },
      passedLimit: () => {
        passed ||= performance.now();
      },
      problem: (what) => problems.push(what),
      note: (what) => notes.push(what),
      ask,
    });
    const ends = peers.flatMap(({ ending }): Ending[] => (ending ? [ending] : []));
    const codes: Record<string, number> = {};
    for (const { code, reason } of ends) {
      const key = `${code} ${reason}`.trim();
      codes[key] = (codes[key] ?? 0) + 1;
    }
    const open = peers.filter(({ ending }) => !ending).length;
    for (const peer of peers) peer.destroy();
    return {
      sent: peers.reduce((sum, peer) => sum + peer.sent, 0),
      codes,
      cutAfter: passed > 0 && ends.length > 0 ? Math.round(Math.min(...ends.map(({ at }) => at)) - passed) : undefined,
      open,
      problems,
      notes,
    };
  },
});
