import { contest, type ServerContender } from '../arena.ts';
import type { Goal } from '../contest.ts';
import type { FanOutPlan } from '../load/fan-out.ts';
import { type EventKind, type FanOutOptions, marker, queries } from '../servers/events.ts';
import type { ServerReady } from '../servers/harness.ts';
import type { Workload } from '../workload.ts';

interface Shape {
  readonly kind: EventKind;
  readonly sockets: number;
  readonly subscriptionsPerSocket: number;
  readonly burst?: number;
}

/** How graphql-transport-ws begins. */
export const graphqlGreeting = {
  path: '/ws',
  protocol: 'graphql-transport-ws',
  greeting: '{"type":"connection_init"}',
};

export const subscribeMessage = (query: string): string =>
  JSON.stringify({ id: '$id', type: 'subscribe', payload: { query } });

function fanOut({ kind, sockets, subscriptionsPerSocket, burst = 1 }: Shape, isRaw: boolean) {
  return ({ port, controlPort }: ServerReady): { name: string; plan: FanOutPlan } => ({
    name: 'fanOut',
    plan: {
      dialect: isRaw
        ? { port, path: '/ws', subscribe: 'subscribe' }
        : { port, ...graphqlGreeting, subscribe: subscribeMessage(queries[kind]), subscriptionsPerSocket },
      sockets,
      // The raw server knows no subscriptions: it sends to a socket as often as it has some.
      messagesPerEvent: sockets * subscriptionsPerSocket * burst,
      contains: marker,
      trigger: { controlPort },
    },
  });
}

const peers = [
  { label: 'graphql-ws', server: 'graphql-ws', needs: ['graphql-ws', 'ws', 'graphql'] },
  { label: 'mercurius', server: 'mercurius', needs: ['mercurius', 'fastify', 'graphql'] },
  { label: 'mercurius-jit', server: 'mercurius', needs: ['mercurius', 'fastify', 'graphql-jit'], jit: true },
  { label: 'yoga', server: 'yoga', needs: ['graphql-yoga', 'graphql-ws', 'ws'] },
] as const;

function contenders(shape: Shape, subjects: readonly ServerContender[]): ServerContender[] {
  const { kind, burst = 1, subscriptionsPerSocket } = shape;
  const options: FanOutOptions = { kind, burst };
  return [
    ...subjects,
    ...[
      { label: 'one bare write', server: 'bare-write' },
      { label: 'raw ws', server: 'raw-ws' },
    ].map((raw) => ({
      ...raw,
      needs: ['ws'],
      options: { ...options, burst: burst * subscriptionsPerSocket },
      load: fanOut(shape, true),
    })),
    ...peers.map((peer) => ({
      ...peer,
      options: { ...options, jit: 'jit' in peer },
      load: fanOut(shape, false),
    })),
  ];
}

function subwire(shape: Shape, options: object): ServerContender {
  const { kind, burst = 1 } = shape;
  return {
    label: 'subwire',
    server: 'subwire-graphql',
    needs: ['graphql'],
    options: { kind, burst, ...options },
    load: fanOut(shape, false),
  };
}

/** The same with graphql-jit handed in. */
const subwireJit = (shape: Shape): ServerContender => ({
  ...subwire(shape, { jit: true }),
  label: 'subwire-jit',
  needs: ['graphql', 'graphql-jit'],
});

const goal = (peer: string, atLeast: number, subject = 'subwire'): Goal => ({ subject, peer, atLeast });

function shared(name: string, title: string, shape: Shape, goals: Goal[]): Workload {
  return {
    name,
    run(scale) {
      const size = scale.quick ? { ...shape, sockets: 20 } : shape;
      return contest(title, contenders(size, [subwire(size, { share: true })]), scale, { goals });
    },
  };
}

function unshared(name: string, title: string, shape: Shape, goals: Goal[]): Workload {
  return {
    name,
    run(scale) {
      const size = scale.quick ? { ...shape, sockets: 20 } : shape;
      const subjects = ['subwire', 'subwire-jit'];
      return contest(title, contenders(size, [subwire(size, {}), subwireJit(size)]), scale, { subjects, goals });
    },
  };
}

const wide = { sockets: 1_000, subscriptionsPerSocket: 1 };
const deep = { sockets: 100, subscriptionsPerSocket: 10 };

export const graphqlFanOut: readonly Workload[] = [
  shared('graphql-100b', 'GraphQL fan-out, 100 B, 1,000 sockets x 1, shared', { kind: 'tick', ...wide }, [
    goal('graphql-ws', 3.5),
    goal('raw ws', 1 / 0.9),
  ]),
  shared('graphql-100b-deep', 'GraphQL fan-out, 100 B, 100 sockets x 10, shared', { kind: 'tick', ...deep }, [
    goal('graphql-ws', 22),
  ]),
  shared('graphql-2kb', 'GraphQL fan-out, 2 KB, 1,000 sockets x 1, shared', { kind: 'book', ...wide }, [
    goal('graphql-ws', 12),
  ]),
  shared('graphql-2kb-deep', 'GraphQL fan-out, 2 KB, 100 sockets x 10, shared', { kind: 'book', ...deep }, [
    goal('graphql-ws', 55),
  ]),
  unshared(
    'graphql-100b-unshared',
    'GraphQL fan-out, 100 B, 1,000 sockets x 1, not shared',
    { kind: 'tick', ...wide },
    [goal('graphql-ws', 1.8), goal('graphql-ws', 2.8, 'subwire-jit')],
  ),
  unshared('graphql-2kb-unshared', 'GraphQL fan-out, 2 KB, 1,000 sockets x 1, not shared', { kind: 'book', ...wide }, [
    goal('graphql-ws', 1.7),
    goal('graphql-ws', 3.5, 'subwire-jit'),
  ]),
  shared(
    'graphql-burst',
    'GraphQL fan-out, 10 events in one turn, 100 B, 1,000 sockets x 1',
    { kind: 'tick', ...wide, burst: 10 },
    [goal('graphql-ws', 25), goal('raw ws', 1 / 0.13)],
  ),
];
