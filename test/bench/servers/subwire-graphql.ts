import { attach, createBus, topic } from 'subwire';
import { type Compile, graphqlServer } from 'subwire/graphql';
import { startedWith } from '../ipc.ts';
import { bursts, createEvent, type FanOutOptions } from './events.ts';
import { serve } from './harness.ts';
import { createSchema } from './schema.ts';

const options = startedWith<FanOutOptions & { readonly share?: boolean; readonly jit?: boolean }>();
const bus = createBus();
const events = topic<Record<string, unknown>>('events');
const schema = createSchema(() => bus.subscribe(events));
const http = await serve(bursts(options, () => void bus.publish(events, createEvent(options.kind))));
attach(http, {
  path: '/ws',
  protocols: [
    graphqlServer({
      schema,
      share: options.share ? () => 'everybody' : undefined,
      compile: options.jit ? await createCompile() : undefined,
    }),
  ],
});

/** Loaded where it is asked for: without it the server runs as well. */
async function createCompile(): Promise<Compile> {
  const { compileQuery } = await import('graphql-jit');
  return (schema, document, name) => compileQuery(schema, document, name, { customJSONSerializer: true });
}
