import { Observable, type Subscribable } from 'rxjs';
import { createSubscription, push, type Subscription } from './bus/subscription.ts';
import type { Client, Operation } from './graphql/client/client-types.ts';
import type { FormattedExecutionResult } from './graphql/protocol/messages.ts';

/** As much of a STOMP client as is needed. */
export interface Watchable<Message, Headers> {
  /** Hands every value to the sink from now on; the function that comes back ends it. */
  subscribe(destination: string, callback: undefined, headers?: Headers): AsyncIterable<Message>;
}

/**
 * Values of any async iterable, such as a subscription of the bus, as an observable. `open` is called once for each
 * subscriber; unsubscribing returns the iterator.
 *
 * @example
 * observe(() => bus.subscribe(prices)).pipe(throttleTime(100)).subscribe(show);
 */
export function observe<T>(open: () => AsyncIterable<T>): Observable<T> {
  return new Observable((subscriber) => {
    const source = open() as AsyncIterable<T> & Partial<Subscription<T>>;
    if (source[push]) return source[push](subscriber);
    const iterator = source[Symbol.asyncIterator]();
    async function pump(): Promise<void> {
      try {
        for (let result = await iterator.next(); !subscriber.closed; result = await iterator.next()) {
          if (result.done) return subscriber.complete();
          subscriber.next(result.value);
        }
      } catch (error) {
        subscriber.error(error);
      }
    }
    void pump();
    return () => {
      // Nobody is left who would want to hear that leaving went wrong.
      iterator.return?.().catch(() => {});
    };
  });
}

/**
 * Results of a GraphQL operation as an observable; each subscriber runs it anew, and unsubscribing ends it.
 *
 * @example
 * observeOperation(client, { query: 'subscription { price }' }).subscribe(({ data }) => show(data));
 */
export const observeOperation = <Data = Record<string, unknown>, Extensions = unknown>(
  client: Pick<Client, 'subscribe'>,
  payload: Operation<Data>,
): Observable<FormattedExecutionResult<Data, Extensions>> =>
  new Observable((subscriber) => client.subscribe<Data, Extensions>(payload, subscriber));

/**
 * Messages of a STOMP destination as an observable; each subscriber subscribes, and unsubscribing unsubscribes.
 *
 * @example
 * watch(stomp, '/topic/prices').pipe(map((message) => message.json())).subscribe(show);
 */
export const watch = <Message, Headers>(
  client: Watchable<Message, Headers>,
  destination: string,
  headers?: Headers,
): Observable<Message> => observe(() => client.subscribe(destination, undefined, headers));

/**
 * An observable as an async iterable, for GraphQL resolvers and `for await`. It subscribes at once; up to `buffer`
 * values (1,000) wait for the reader, one more ends it with an error.
 *
 * @example
 * const resolvers = { Subscription: { clock: { subscribe: () => toAsyncIterable(interval(1_000)), resolve: String } } };
 */
export const toAsyncIterable = <T>(
  observable: Observable<T> | Subscribable<T>,
  options: { readonly buffer?: number | undefined } = {},
): Subscription<T> =>
  createSubscription<T>((sink) => {
    const subscription = observable.subscribe(sink);
    return () => subscription.unsubscribe();
  }, options.buffer);
