import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { startedWith } from '../ipc.ts';
import { Channel } from './channel.ts';
import { bursts, createEvent, type FanOutOptions } from './events.ts';
import { serve } from './harness.ts';
import { createSchema } from './schema.ts';

const options = startedWith<FanOutOptions>();
const channel = new Channel();
const http = await serve(bursts(options, () => channel.publish(createEvent(options.kind))));
const schema = createSchema(() => channel.subscribe());
useServer({ schema }, new WebSocketServer({ server: http, path: '/ws', perMessageDeflate: false }));
