import { createClient } from '../../src/graphql/client/client.ts';
import { createStompClient } from '../../src/stomp/client/client.ts';
import { createGate } from '../support/gate.ts';
import type { Ledger, Seen } from './ledger.ts';

/** Short, so that a chaos test is. */
const backoff = { base: 100, cap: 300 };
const destination = '/topic/numbers';

/** Somebody who reads the ledger's topic, and how to end it. */
export interface Reader {
  /** Resolves when it is certain that messages come. */
  readonly live: Promise<void>;
  end(): Promise<void> | void;
}

/** A client says where something may be missing: when it is back, or, until then, by being away. */
function noteGaps(
  client: { on(event: 'closed' | 'gap', listener: () => void): () => void },
  note: (seen: Seen) => void,
): { end(leave: () => Promise<void> | void): Promise<void> | void } {
  let isAway = false;
  client.on('closed', () => {
    isAway = true;
  });
  client.on('gap', () => {
    isAway = false;
    note('told');
  });
  return {
    end(leave) {
      if (isAway) note('told');
      return leave();
    },
  };
}

/** Reads by STOMP; every loss of the connection is noted as told. */
export function stompReader(url: string, ledger: Ledger, beat: number): Reader {
  const note = ledger.receiver();
  const client = createStompClient({
    brokerURL: url,
    backoff,
    heartbeatIncoming: beat,
    heartbeatOutgoing: beat,
    onError() {},
  });
  const away = noteGaps(client, note);
  const live = createGate();
  client.subscribe(destination, (message) => note((message.json() as { number: number }).number));
  client.on('connected', () => {
    // What was subscribed to before is certain to be live when a later receipt comes.
    client.publish({ destination: '/topic/nobody', receipt: true }).then(
      () => live.open(),
      () => {},
    );
  });
  void client.connect().catch(() => {});
  return { live: live.opened, end: () => away.end(() => client.dispose()) };
}

/** Reads by GraphQL; every loss of the connection is noted as told. */
export function graphqlReader(url: string, ledger: Ledger, beat: number): Reader {
  const note = ledger.receiver();
  const client = createClient({ url, backoff, keepAlive: beat, limits: { pongTimeout: beat }, onError() {} });
  const away = noteGaps(client, note);
  const live = createGate();
  client.subscribe<{ entry: { number: number } }>(
    { query: 'subscription { entry { number } }' },
    {
      next: ({ data }) => data && note(data.entry.number),
      onLive: () => live.open(),
      error: () => note('told'),
      complete: () => note('told'),
    },
  );
  return { live: live.opened, end: () => away.end(() => client.dispose()) };
}

/** Sends the ledger's numbers until it is ended, one every so many ms, and writes down which were confirmed. */
export function publisher(url: string, ledger: Ledger, every: number, beat = 500): { end(): Promise<void> } {
  const client = createStompClient({
    brokerURL: url,
    backoff,
    heartbeatIncoming: beat,
    heartbeatOutgoing: beat,
    receiptTimeout: 5_000,
    onError() {},
  });
  const waiting = new Set<Promise<void>>();
  const timer = setInterval(() => {
    // While it is away a publish would wait for the next server: that is another question.
    if (client.state.getSnapshot().status !== 'connected') return;
    const number = ledger.next();
    const sent = client.publish({ destination, body: JSON.stringify({ number }), receipt: true }).then(
      () => ledger.confirm(number),
      () => ledger.refuse(number),
    );
    waiting.add(sent);
    void sent.finally(() => waiting.delete(sent));
  }, every);
  void client.connect().catch(() => {});
  return {
    async end() {
      clearInterval(timer);
      await Promise.all(waiting);
      await client.dispose();
    },
  };
}
