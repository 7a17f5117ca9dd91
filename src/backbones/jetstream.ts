import type { NatsConnection } from './nats-client.ts';

/** An answer is awaited for so long, in ms: then it is asked again. */
export const patience = 2_000;

/** JetStream says so where there is no such stream. */
export const noStream = 10_059;
/** And so where there is one, made in another way. */
export const otherStream = 10_058;

/** What JetStream answers where it has not done something. */
export interface JetStreamFailure {
  /** Why. */
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

/**
 * A question to JetStream. Undefined: it failed in the way that was expected. Throws an `Error` where it failed otherwise.
 *
 * @example
 * const info = await askJetStream(connection, 'STREAM.INFO.orders', undefined, noStream);
 */
export async function askJetStream<T>(
  connection: NatsConnection,
  subject: string,
  question: object | undefined,
  expected?: number,
): Promise<T | undefined> {
  const payload = question && Buffer.from(JSON.stringify(question));
  const { data } = await connection.request(`$JS.API.${subject}`, payload, { timeout: patience });
  const answer = JSON.parse(Buffer.from(data).toString()) as T & JetStreamFailure;
  if (!answer.error) return answer;
  if (answer.error.err_code === expected) return undefined;
  throw new Error(`nats: ${answer.error.description ?? 'JetStream refused'}`);
}
