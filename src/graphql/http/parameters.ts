import { type BodyBudget, type Exchange, HttpProblem } from '../../adapters/exchange.ts';
import type { ConnectionLimits } from '../../core/limits.ts';
import { heavyBytes, type Turns } from '../../core/turns.ts';
import { jsonNodes } from '../protocol/json-nodes.ts';
import { isObject } from '../protocol/messages.ts';
import type { GraphqlLimits } from '../server/limits.ts';

/** What a request wants to be executed. */
export interface RequestedOperation {
  /** The payload of a `subscribe`, as JSON. */
  readonly payload: string;
  /** The name that a stream of many operations knows it by; undefined: none was given. */
  readonly operationId: string | undefined;
}

/** What bounds the body of a request. */
export type BodyLimits = Pick<GraphqlLimits, 'maxMessage' | 'maxNodes'> & Pick<ConnectionLimits, 'messageTimeout'>;

/**
 * The operation in a request: the query of a GET, or the JSON body of a POST (GraphQL over HTTP, 5 and 6).
 *
 * Rejects with an {@link HttpProblem} that says what is wrong: 400, 408, 413, 415 or 503.
 */
export async function readOperation(
  exchange: Exchange,
  { maxMessage, maxNodes, messageTimeout }: BodyLimits,
  budget: BodyBudget,
  turns: Turns,
): Promise<RequestedOperation> {
  if (exchange.method === 'GET') return requested(ofQuery(exchange.query));
  const type = exchange.header('content-type').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new HttpProblem(415, 'The body must be JSON: Content-Type: application/json');
  const text = await exchange.body(maxMessage, messageTimeout, budget);
  if (jsonNodes(text, maxNodes) > maxNodes) {
    throw new HttpProblem(413, `The body may have ${maxNodes} objects, lists and names`);
  }
  const read = (): RequestedOperation => requested(parsed(text, 'The body'), text);
  return text.length < heavyBytes ? read() : turns.heavy(read);
}

function requested(parameters: unknown, text?: string): RequestedOperation {
  if (!isObject(parameters)) throw new HttpProblem(400, 'The body must be one object: { "query": "…" }');
  const { query, extensions } = parameters;
  const isNamed = isObject(extensions);
  // A trusted document may be named by its hash alone.
  if (typeof query !== 'string' && !(query === undefined && isNamed)) {
    throw new HttpProblem(400, 'There is no query: { "query": "…" }');
  }
  const operationId = isNamed ? extensions['operationId'] : undefined;
  return {
    payload: text !== undefined && query !== undefined ? text : JSON.stringify({ query: '', ...parameters }),
    operationId: typeof operationId === 'string' && operationId !== '' ? operationId : undefined,
  };
}

function ofQuery(query: URLSearchParams): Record<string, unknown> {
  const parameters: Record<string, unknown> = {};
  for (const name of ['query', 'operationName']) {
    const value = query.get(name);
    if (value !== null) parameters[name] = value;
  }
  for (const name of ['variables', 'extensions']) {
    const value = query.get(name);
    if (value !== null) parameters[name] = parsed(value, name);
  }
  return parameters;
}

function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new HttpProblem(400, `${what} is not JSON: ${(error as Error).message}`);
  }
}
