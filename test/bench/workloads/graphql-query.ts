import { contest } from '../arena.ts';
import type { ClosedLoopPlan } from '../load/closed-loop.ts';
import { echoQuery, marker } from '../servers/events.ts';
import type { ServerReady } from '../servers/harness.ts';
import type { Workload } from '../workload.ts';
import { graphqlGreeting } from './graphql-fan-out.ts';

const request = JSON.stringify({
  id: '$id',
  type: 'subscribe',
  payload: { query: echoQuery, variables: { text: marker } },
});

const loop =
  (isRaw: boolean, sockets: number) =>
  ({ port }: ServerReady): { name: string; plan: ClosedLoopPlan } => ({
    name: 'closedLoop',
    plan: {
      dialect: isRaw ? { port, path: '/ws' } : { port, ...graphqlGreeting },
      sockets,
      inFlight: 4,
      request,
      endsWith: isRaw ? marker : '"complete"',
    },
  });

const idle = { kind: 'tick', burst: 1 };

export const graphqlQuery: Workload = {
  name: 'graphql-query',
  run(scale) {
    const sockets = scale.quick ? 5 : 50;
    const load = loop(false, sockets);
    return contest(
      'GraphQL query over the socket, 50 sockets, 4 in flight',
      [
        { label: 'subwire', server: 'subwire-graphql', needs: ['graphql'], options: idle, load },
        {
          label: 'raw ws',
          server: 'raw-ws',
          needs: ['ws'],
          options: { ...idle, echo: true },
          load: loop(true, sockets),
        },
        { label: 'graphql-ws', server: 'graphql-ws', needs: ['graphql-ws', 'ws', 'graphql'], options: idle, load },
        {
          label: 'mercurius-jit',
          server: 'mercurius',
          needs: ['mercurius', 'graphql-jit'],
          options: { ...idle, jit: true },
          load,
        },
        { label: 'yoga', server: 'yoga', needs: ['graphql-yoga', 'graphql-ws', 'ws'], options: idle, load },
      ],
      scale,
      {
        goals: [
          { subject: 'subwire', peer: 'graphql-ws', atLeast: 12 },
          { subject: 'subwire', peer: 'mercurius-jit', atLeast: 2.3 },
        ],
        notes: ['One message is one query: its next and its complete. raw ws echoes the request.'],
      },
    );
  },
};
