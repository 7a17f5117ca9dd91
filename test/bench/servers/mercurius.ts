import type { Server } from 'node:http';
import { fastify } from 'fastify';
import mercurius from 'mercurius';
import { startedWith } from '../ipc.ts';
import { Channel } from './channel.ts';
import { bursts, createEvent, type FanOutOptions } from './events.ts';
import { serve } from './harness.ts';
import { createSchema } from './schema.ts';

const options = startedWith<FanOutOptions & { readonly jit?: boolean }>();
const channel = new Channel();
const app = fastify();
await app.register(mercurius, {
  schema: createSchema(() => channel.subscribe()),
  subscription: { fullWsTransport: true },
  jit: options.jit ? 1 : 0,
  path: '/ws',
});
await app.ready();
await serve(
  bursts(options, () => channel.publish(createEvent(options.kind))),
  app.server as Server,
);
