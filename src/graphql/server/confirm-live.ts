import type { Subscription } from '../../bus/subscription.ts';
import type { Connection } from '../../core/subprotocol.ts';
import { encodeControl, isObject, type SubscribePayload } from '../protocol/messages.ts';

/** A subscription whose source is open. */
export interface Opened {
  /** The client's name for it. */
  readonly id: string;
  /** What the client asked for. */
  readonly payload: SubscribePayload;
  /** The connection that its results leave by. */
  readonly connection: Connection;
  /** Nobody waits for it any more. */
  readonly ended: boolean;
}

/** Tell the client that asked for it when nothing will be missed any more ([GQL-40]). Plain peers never see this. */
export function confirm(operation: Opened, source: AsyncIterable<unknown>): void {
  const { id, payload, connection } = operation;
  const extension = payload.extensions?.['subwire'];
  if (!isObject(extension) || extension['confirm'] !== true) return;
  const { active } = source as Partial<Subscription<unknown>>;
  connection.resume(
    active,
    () => {
      if (!operation.ended) connection.send({ head: encodeControl('ping', { subwire: { live: id } }), binary: false });
    },
    // The source itself tells that it is broken.
    () => {},
  );
}
