import { ApolloClient, gql, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client as Stompjs } from '@stomp/stompjs';
import { createClient as createGraphqlWs } from 'graphql-ws';
import WebSocket from 'ws';
import { createClient } from '../../src/graphql/client/client.ts';
import { createStompClient } from '../../src/stomp/client/client.ts';
import { createGate } from '../support/gate.ts';
import type { Reader } from './clients.ts';
import type { Ledger, Seen } from './ledger.ts';

/** Short, so that a chaos test is. */
const backoff = { base: 100, cap: 300 };
const destination = '/topic/numbers';
const query = 'subscription { entry { number } }';

interface Entry {
  readonly entry: { readonly number: number };
}

/** The servers in turn, as a load balancer hands them out. */
export function inTurn(urls: readonly string[], first: number): () => string {
  let next = first;
  return () => urls[next++ % urls.length] as string;
}

/** Being away is being told: who was cut off knows that something may be missing, when it is back or at the end. */
function absence(note: (seen: Seen) => void) {
  let isAway = false;
  return {
    left() {
      isAway = true;
    },
    back() {
      if (isAway) note('told');
      isAway = false;
    },
    end() {
      if (isAway) note('told');
    },
  };
}

/** Our own STOMP client. */
function ownStomp(url: () => string, ledger: Ledger): Reader {
  const note = ledger.receiver();
  const away = absence(note);
  const live = createGate();
  const client = createStompClient({
    url,
    ...{ backoff, heartbeatIncoming: 1_000, heartbeatOutgoing: 1_000, warn: false, onError() {} },
  });
  client.on('closed', away.left);
  client.on('connected', away.back);
  const subscription = client.subscribe(destination, (message) => {
    if (message.headers.get('messages-lost') === 'true') note('told');
    note(message.json<{ number: number }>().number);
  });
  subscription.active.then(live.open, () => {});
  return {
    live: live.opened,
    async end() {
      away.end();
      await client.dispose();
    },
  };
}

/** Our own GraphQL client: a gap of the bus ends the subscription with an error, and it is made anew. */
function ownGraphql(url: () => string, ledger: Ledger): Reader {
  const note = ledger.receiver();
  const away = absence(note);
  const live = createGate();
  const client = createClient({ url, backoff, keepAlive: 1_000, limits: { pongTimeout: 1_000 }, onError() {} });
  client.on('closed', away.left);
  client.on('gap', away.back);
  let isOver = false;
  function open(): void {
    client.subscribe<Entry>(
      { query },
      {
        next: ({ data }) => data && note(data.entry.number),
        onLive: () => live.open(),
        error: again,
        complete: again,
      },
    );
  }
  function again(): void {
    if (isOver) return;
    note('told');
    setTimeout(open, 50);
  }
  open();
  return {
    live: live.opened,
    async end() {
      isOver = true;
      away.end();
      await client.dispose();
    },
  };
}

/** stompjs, as its users write it. */
function stompjs(url: () => string, ledger: Ledger): Reader {
  const note = ledger.receiver();
  const away = absence(note);
  const live = createGate();
  const client = new Stompjs({
    webSocketFactory: () => new WebSocket(url(), ['v12.stomp']) as never,
    reconnectDelay: 100,
    ...{ heartbeatIncoming: 1_000, heartbeatOutgoing: 1_000 },
    onConnect() {
      away.back();
      client.subscribe(
        destination,
        ({ headers, body }) => {
          if (headers['messages-lost'] === 'true') note('told');
          note((JSON.parse(body) as { number: number }).number);
        },
        { receipt: 'live' },
      );
      client.watchForReceipt('live', () => live.open());
    },
    onWebSocketClose: away.left,
  });
  client.activate();
  return {
    live: live.opened,
    async end() {
      away.end();
      await client.deactivate();
    },
  };
}

/** Apollo over graphql-ws, which subscribes again by itself. */
function apollo(url: () => string, ledger: Ledger): Reader {
  const note = ledger.receiver();
  const away = absence(note);
  const live = createGate();
  globalThis.WebSocket ??= WebSocket as never;
  const socket = createGraphqlWs({
    ...{ url, webSocketImpl: WebSocket, retryAttempts: Number.POSITIVE_INFINITY, shouldRetry: () => true },
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
    keepAlive: 1_000,
    on: { closed: away.left, connected: away.back },
  });
  const client = new ApolloClient({ link: new GraphQLWsLink(socket), cache: new InMemoryCache() });
  let isOver = false;
  let subscription: { unsubscribe(): void } | undefined;
  function open(): void {
    subscription = client.subscribe<Entry>({ query: gql(query) }).subscribe({
      next({ data, error }) {
        if (data) note(data.entry.number);
        if (error) again();
      },
      error: again,
      complete: again,
    });
  }
  function again(): void {
    if (isOver) return;
    note('told');
    subscription?.unsubscribe();
    setTimeout(open, 50);
  }
  open();
  // It cannot say when it is live: it is when the server has answered something that was sent behind it.
  setTimeout(live.open, 1_000);
  return {
    live: live.opened,
    async end() {
      isOver = true;
      away.end();
      subscription?.unsubscribe();
      await socket.dispose();
    },
  };
}

/** Readers of four kinds, spread over the servers. */
export const readersOfCluster = (urls: readonly string[], ledger: Ledger, count: number): Reader[] =>
  Array.from({ length: count }, (_, index) =>
    ([ownStomp, ownGraphql, stompjs, apollo][index % 4] as typeof ownStomp)(inTurn(urls, index), ledger),
  );

/** Sends numbers by our own STOMP client, one every so many ms, to whichever server takes it, and notes what was confirmed. */
export function publisherOf(url: () => string, ledger: Ledger, every: number, to = destination) {
  const client = createStompClient({
    url,
    ...{
      backoff,
      heartbeatIncoming: 1_000,
      heartbeatOutgoing: 1_000,
      receiptTimeout: 12_000,
      warn: false,
      onError() {},
    },
  });
  const waiting = new Set<Promise<void>>();
  const timer = setInterval(() => {
    if (client.state.getSnapshot().status !== 'connected') return;
    const number = ledger.next();
    const sent = client.publish({ destination: to, body: JSON.stringify({ number }), receipt: true }).then(
      () => ledger.confirm(number),
      () => ledger.refuse(number),
    );
    waiting.add(sent);
    void sent.finally(() => waiting.delete(sent));
  }, every);
  void client.connect().catch(() => {});
  return {
    async end(): Promise<void> {
      clearInterval(timer);
      await Promise.all(waiting);
      await client.dispose();
    },
  };
}

/** Takes from a queue and acknowledges. What comes again after a failure says so, and is noted once. */
export function consumerOf(url: () => string, ledger: Ledger, queue: string, known: Set<number>): Reader {
  const note = ledger.receiver();
  const live = createGate();
  const client = createStompClient({
    url,
    ...{ backoff, heartbeatIncoming: 1_000, heartbeatOutgoing: 1_000, warn: false, onError() {} },
  });
  const subscription = client.subscribe(
    queue,
    (message) => {
      const { number } = message.json<{ number: number }>();
      if (!known.has(number) || message.headers.get('redelivered') !== 'true') note(number);
      known.add(number);
      message.ack();
    },
    { ack: 'client-individual', 'prefetch-count': 20 },
  );
  subscription.active.then(live.open, () => {});
  return { live: live.opened, end: () => client.dispose() };
}
