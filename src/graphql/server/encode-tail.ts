import type { ExecutionResult } from 'graphql';
import type { Connection } from '../../core/subprotocol.ts';
import type { Encode, Reporter } from '../execution/errors.ts';
import type { SharedResult, ShareGroup } from '../execution/shared-results.ts';
import { encodeNextTail, encodePlacedTail } from '../protocol/next-tail.ts';
import type { Places } from './resume.ts';

/** As much of an operation as its results need. */
interface Teller extends Reporter {
  readonly connection: Connection;
  readonly group: ShareGroup | undefined;
  readonly places: Places | undefined;
}

/**
 * What follows the id in the `next` message of a result; of a shared one the same bytes for all. Throws what `encode`
 * throws.
 */
export function encodeTail(
  operation: Teller,
  result: ExecutionResult,
  shared: SharedResult | undefined,
  encode: Encode,
): Uint8Array {
  const at = operation.places?.step();
  if (!shared) {
    const json = encode(result, operation);
    return at === undefined ? encodeNextTail(json) : encodePlacedTail(json, at);
  }
  const tail = shared.tail(encode, operation, at);
  if (at !== undefined) operation.group?.remember(shared, at, tail.length, operation.connection.now);
  return tail;
}
