import type { OperationKind } from '../execution/execute.ts';
import { payloadOfTail } from '../protocol/next-tail.ts';

/** Pieces of an answer, in their order. */
export type Pieces = readonly (string | Uint8Array)[];

/** How the messages of a session look in an HTTP answer. */
export interface Framing {
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** What comes first. */
  readonly opening: string;
  /** A sign of life, which means nothing. */
  readonly beat: string;
  /** The answer is of one operation, and ends with it. */
  readonly single: boolean;
  /** HTTP status of an operation that has no results, where it is known before the answer begins. */
  readonly failedStatus: number;
  /** The kinds of operations that it can show. */
  readonly kinds: readonly OperationKind[];
  /** The answer begins before there is anything to tell, so that the client knows that it is served. */
  readonly begins: boolean;
  /** A result: the head of its message, which has the id, and the tail that it shares with others. */
  next(head: string, tail: Uint8Array): Pieces;
  /** The operation with this id ended, with these errors as JSON if it did not come so far as to have results. */
  ended(id: string, errors: string | undefined): Pieces;
}

const allKinds: readonly OperationKind[] = ['query', 'mutation', 'subscription'];
const eventStream = { 'Content-Type': 'text/event-stream; charset=utf-8' };

/** Server-sent events of one operation: the distinct connections mode of graphql-sse. */
export const distinctEvents: Framing = {
  headers: eventStream,
  opening: ':\n\n',
  beat: ':\n\n',
  single: true,
  failedStatus: 200,
  kinds: allKinds,
  begins: true,
  next: (_, tail) => ['event: next\ndata: ', payloadOfTail(tail), '\n\n'],
  ended: (_, errors) => [
    errors === undefined ? '' : `event: next\ndata: {"errors":${errors}}\n\n`,
    'event: complete\ndata: \n\n',
  ],
};

/** Server-sent events of many operations, told apart by their ids: the single connection mode of graphql-sse. */
export const sharedEvents: Framing = {
  headers: eventStream,
  opening: ':\n\n',
  beat: ':\n\n',
  single: false,
  failedStatus: 200,
  kinds: allKinds,
  begins: true,
  // The head of a message ends where its payload could begin: `{"id":"7",`.
  next: (head, tail) => [`event: next\ndata: ${head}"payload":`, payloadOfTail(tail), '}\n\n'],
  ended: (id, errors) => {
    const name = JSON.stringify(id);
    return [
      errors === undefined ? '' : `event: next\ndata: {"id":${name},"payload":{"errors":${errors}}}\n\n`,
      `event: complete\ndata: {"id":${name}}\n\n`,
    ];
  },
};

const boundary = 'graphql';
const partHead = '\r\nContent-Type: application/json\r\n\r\n';
const partEnd = `\r\n--${boundary}`;

/** Parts of one operation: the multipart subscriptions that Apollo's HttpLink asks for. */
export const multipart: Framing = {
  headers: { 'Content-Type': `multipart/mixed;boundary="${boundary}";subscriptionSpec=1.0` },
  opening: partEnd,
  beat: `${partHead}{}${partEnd}`,
  single: true,
  failedStatus: 200,
  kinds: allKinds,
  begins: true,
  next: (_, tail) => [`${partHead}{"payload":`, payloadOfTail(tail), `}${partEnd}`],
  ended: (_, errors) => [errors === undefined ? '' : `${partHead}{"payload":{"errors":${errors}}}${partEnd}`, '--\r\n'],
};

/** One result as JSON, for queries and mutations (GraphQL over HTTP); `responseJson`: under its own media type. */
export const oneResult = (responseJson: boolean): Framing => ({
  headers: {
    'Content-Type': `${responseJson ? 'application/graphql-response+json' : 'application/json'}; charset=utf-8`,
  },
  opening: '',
  beat: '',
  single: true,
  // Clients that know no media type of GraphQL take anything but 200 for a failure of the network.
  failedStatus: responseJson ? 400 : 200,
  kinds: ['query', 'mutation'],
  begins: false,
  next: (_, tail) => [payloadOfTail(tail)],
  ended: (_, errors) => [errors === undefined ? '' : `{"errors":${errors}}`],
});
