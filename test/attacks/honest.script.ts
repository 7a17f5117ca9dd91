import { performance } from 'node:perf_hooks';
import { answer, startedWith } from '../bench/ipc.ts';
import { frame, openGraphql, openStomp, type Peer, stomp, subscribeMessage } from './peer.ts';

/** What somebody who does nothing wrong saw since it was asked to begin. */
export interface HonestReport {
  /** Of all answers, in ms; what was not answered counts as long as it has waited. */
  readonly p99: number;
  readonly answers: number;
  /** Its connections that ended, and how. */
  readonly cut: readonly string[];
}

const every = 50;
const { port } = startedWith<{ readonly port: number }>();
const times: number[] = [];
const waiting = new Map<string, number>();
const cut: string[] = [];
const sides: (readonly [name: string, peer: Peer, ask: (id: string) => Uint8Array])[] = [
  ['GraphQL', await openGraphql(port, { honest: true }), (id) => frame(subscribeMessage(id, '{ hello }'))],
  ['STOMP', await openStomp(port), (id) => frame(stomp('SEND', { destination: '/topic/honest', receipt: id }, 'a'))],
];

for (const [name, peer] of sides) {
  peer.onMessage = (text) => {
    const id = name === 'STOMP' ? /receipt-id:(.+)/.exec(text)?.[1] : (JSON.parse(text) as { id?: string }).id;
    const began = waiting.get(`${name} ${id}`);
    if (began === undefined || !waiting.delete(`${name} ${id}`)) return;
    times.push(performance.now() - began);
  };
  void peer.ended.then(({ code, reason }) => cut.push(`${name}: ${code} ${reason}`));
}

let asked = 0;
setInterval(() => {
  const id = String(++asked);
  for (const [name, peer, ask] of sides) {
    if (peer.ending) continue;
    waiting.set(`${name} ${id}`, performance.now());
    void peer.send(ask(id));
  }
}, every);

answer({
  begin() {
    times.length = 0;
    waiting.clear();
  },
  end(): HonestReport {
    const now = performance.now();
    const all = [...times, ...[...waiting.values()].map((began) => now - began)].sort((one, other) => one - other);
    return { p99: Math.round(all[Math.floor(all.length * 0.99)] ?? 0), answers: times.length, cut };
  },
});
