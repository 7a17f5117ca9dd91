/** A client under a firehose, in a process of its own. */
import { setTimeout as wait } from 'node:timers/promises';
import { Client as StompJsClient } from '@stomp/stompjs';
import { createClient as createGraphqlWsClient } from 'graphql-ws';
import { createClient } from 'subwire/graphql/client';
import { createStompClient } from 'subwire/stomp/client';
import { WebSocket } from 'ws';
import { answer, startedWith } from '../ipc.ts';
import { type EventKind, queries } from '../servers/events.ts';
import { profiling } from '../servers/profile.ts';

export type ClientName = 'subwire-graphql' | 'graphql-ws' | 'subwire-stomp' | 'stompjs';

const { client, kind, port } = startedWith<{ client: ClientName; kind: EventKind; port: number }>();
const url = `ws://127.0.0.1:${port}/ws`;
const query = queries[kind];
let received = 0;
let characters = 0;

const sink = {
  next: () => {
    received++;
  },
  error: console.error,
  complete: () => {},
};
/** Both STOMP clients decode a body when it is asked for, and it is. */
const onMessage = ({ body }: { readonly body: string }): void => {
  characters += body.length;
  received++;
};

const start: Readonly<Record<ClientName, () => void>> = {
  'subwire-graphql': () => createClient({ url }).subscribe({ query }, sink),
  'graphql-ws': () => createGraphqlWsClient({ url, webSocketImpl: WebSocket }).subscribe({ query }, sink),
  'subwire-stomp': () => {
    const stomp = createStompClient({ brokerURL: url });
    stomp.subscribe('/topic/prices', onMessage);
    void stomp.connect();
  },
  stompjs: () => {
    Object.assign(globalThis, { WebSocket });
    const stomp = new StompJsClient({ brokerURL: url, onConnect: () => stomp.subscribe('/topic/prices', onMessage) });
    stomp.activate();
  },
};

start[client]();

answer({
  ...profiling(),
  usage() {
    const { user, system } = process.cpuUsage();
    return { user, system, rss: process.memoryUsage.rss() };
  },
  /** Resolves when so many messages have come in all. */
  async received(count: number) {
    while (received < count) await wait(1);
    return characters;
  },
});
