/** graphql-yoga over graphql-ws, as its documentation puts them together. */
import type { ExecutionArgs } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';
import { startedWith } from '../ipc.ts';
import { Channel } from './channel.ts';
import { bursts, createEvent, type FanOutOptions } from './events.ts';
import { serve } from './harness.ts';
import { createSchema } from './schema.ts';

type Enveloped = ReturnType<ReturnType<typeof createYoga>['getEnveloped']>;
type EnvelopedArgs = ExecutionArgs & { readonly rootValue: Pick<Enveloped, 'execute' | 'subscribe'> };

const options = startedWith<FanOutOptions>();
const channel = new Channel();
const yoga = createYoga({ schema: createSchema(() => channel.subscribe()), logging: false });
const http = await serve(bursts(options, () => channel.publish(createEvent(options.kind))));
useServer(
  {
    execute: (args) => (args as EnvelopedArgs).rootValue.execute(args),
    subscribe: (args) => (args as EnvelopedArgs).rootValue.subscribe(args),
    async onSubscribe({ extra }, _id, params) {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        req: extra.request,
        socket: extra.socket,
        params,
      });
      const document = parse(params.query);
      const errors = validate(schema, document);
      if (errors.length > 0) return errors;
      return {
        schema,
        document,
        operationName: params.operationName,
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      };
    },
  },
  new WebSocketServer({ server: http, path: '/ws', perMessageDeflate: false }),
);
