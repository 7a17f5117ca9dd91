import { setTimeout as wait } from 'node:timers/promises';
import { contestTable, type Goal, type Sample } from '../contest.ts';
import { startChild } from '../ipc.ts';
import { program } from '../peers.ts';
import type { ClientName } from '../programs/client.ts';
import type { EventKind } from '../servers/events.ts';
import type { Usage } from '../servers/harness.ts';
import { type ProfileRow, printed } from '../servers/profile.ts';
import { present, type Scale, type Workload } from '../workload.ts';

type Protocol = 'graphql' | 'stomp';

async function enter(client: ClientName, kind: EventKind, protocol: Protocol) {
  const firehose = await startChild<{ port: number }>(program('programs/firehose'), { kind, protocol });
  const receiver = await startChild(program('programs/client'), { client, kind, port: firehose.ready.port });
  while (!(await firehose.ask<boolean>('subscribed'))) await wait(20);
  let total = 0;
  return {
    async round(stretch: number): Promise<Sample> {
      const before = await receiver.ask<Usage>('usage');
      const began = performance.now();
      const sent = await firehose.ask<number>('run', stretch);
      total += sent;
      await receiver.ask('received', total);
      const elapsed = performance.now() - began;
      const after = await receiver.ask<Usage>('usage');
      const user = (after.user - before.user) / sent;
      const cpu = user + (after.system - before.system) / sent;
      return { cpu, user, rate: (sent / elapsed) * 1_000, p50: Number.NaN, p99: Number.NaN, rss: after.rss };
    },
    async profile(): Promise<string> {
      await receiver.ask('startProfile');
      await firehose.ask<number>('run', 2_000);
      return printed(client, await receiver.ask<ProfileRow[]>('stopProfile'));
    },
    stop: () => Promise.all([firehose.stop(), receiver.stop()]),
  };
}

function firehose(
  name: string,
  title: string,
  protocol: Protocol,
  kind: EventKind,
  clients: readonly ClientName[],
  goals: Goal[],
): Workload {
  return {
    name,
    async run(scale: Scale) {
      // The program imports all clients, so that all are needed.
      const needs = ['@stomp/stompjs', 'graphql-ws', 'ws'];
      const taking = present(
        clients.map((label) => ({ label, needs })),
        { ...scale, only: undefined },
      );
      const running = [];
      for (const { label } of taking.present) running.push({ label, ...(await enter(label, kind, protocol)) });
      const samples = new Map<string, Sample[]>();
      for (let round = -1; round < scale.rounds; round++) {
        for (const { label, round: play } of running) {
          const sample = await play(scale.stretch);
          if (round >= 0) samples.set(label, [...(samples.get(label) ?? []), sample]);
        }
      }
      const profiles = scale.profile && running[0] ? [await running[0].profile()] : [];
      await Promise.all(running.map(({ stop }) => stop()));
      return contestTable(title, samples, [clients[0] as string], goals, [
        'CPU of the client, on `ws`.',
        ...profiles,
        ...taking.notes,
      ]);
    },
  };
}

const graphql: readonly ClientName[] = ['subwire-graphql', 'graphql-ws'];
const stomp: readonly ClientName[] = ['subwire-stomp', 'stompjs'];
const faster = (subject: ClientName, peer: ClientName, atLeast: number): Goal[] => [{ subject, peer, atLeast }];

export const clients: readonly Workload[] = [
  firehose(
    'client-graphql-100b',
    'GraphQL client, firehose of 100 B',
    'graphql',
    'tick',
    graphql,
    faster('subwire-graphql', 'graphql-ws', 1.15),
  ),
  firehose(
    'client-graphql-2kb',
    'GraphQL client, firehose of 2 KB',
    'graphql',
    'book',
    graphql,
    faster('subwire-graphql', 'graphql-ws', 1),
  ),
  firehose(
    'client-stomp-100b',
    'STOMP client, firehose of 100 B',
    'stomp',
    'tick',
    stomp,
    faster('subwire-stomp', 'stompjs', 4.5),
  ),
  firehose(
    'client-stomp-2kb',
    'STOMP client, firehose of 2 KB',
    'stomp',
    'book',
    stomp,
    faster('subwire-stomp', 'stompjs', 8),
  ),
];
