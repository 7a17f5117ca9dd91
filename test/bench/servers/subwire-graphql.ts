import { attach, createBus, topic } from 'subwire';
import { graphql } from 'subwire/graphql';
import { startedWith } from '../ipc.ts';
import { bursts, createEvent, type FanOutOptions } from './events.ts';
import { serve } from './harness.ts';
import { createSchema } from './schema.ts';

const options = startedWith<FanOutOptions & { readonly share?: boolean }>();
const bus = createBus();
const events = topic<Record<string, unknown>>('events');
const schema = createSchema(() => bus.subscribe(events));
const http = await serve(bursts(options, () => void bus.publish(events, createEvent(options.kind))));
attach(http, {
  path: '/ws',
  protocols: [graphql({ schema, share: options.share ? () => 'everybody' : undefined })],
});
