import { isPromise } from '../../core/promise-or.ts';
import { decodeUtf8Lossy, type Wire } from '../../core/wire.ts';
import { Decoder } from '../protocol/decoder.ts';
import type { Frame } from '../protocol/frame.ts';
import { isSecret } from '../protocol/headers.ts';
import { type Version, versions } from '../protocol/versions.ts';
import type { ApplicationClient } from './application.ts';
import type { FrameEvent } from './hooks.ts';

/** What we have written ourselves needs no limits. */
const unlimited = { maxHeaders: Infinity, maxHeaderLine: Infinity, maxHeaderBytes: Infinity, maxBody: Infinity };

/**
 * Shows the hook `onFrame` what comes and goes ([STOMP-126]). What is sent is read back from what was written, whoever
 * wrote it, so that a server without the hook pays nothing, and a log cannot tell of a frame that did not leave.
 */
export class FrameLog {
  readonly #onFrame: (event: FrameEvent) => unknown;

  constructor(onFrame: (event: FrameEvent) => unknown) {
    this.#onFrame = onFrame;
  }

  /** A frame of this client. */
  received(client: ApplicationClient, frame: Frame): void {
    this.#tell(client, 'received', frame);
  }

  /** From now on, see what this client is sent. */
  watch(client: ApplicationClient): void {
    const { connection } = client;
    const decoder = new Decoder(unlimited);
    const send = connection.send.bind(connection);
    connection.send = (wire: Wire): void => {
      send(wire);
      decoder.push(wire.head);
      if (wire.tail) decoder.push(wire.tail);
      for (let frame = decoder.next(); frame; frame = decoder.next()) {
        this.#tell(client, 'sent', frame);
        if (frame.command === 'CONNECTED') decoder.version = versionOf(frame);
      }
    };
  }

  #tell({ connection, session }: ApplicationClient, direction: FrameEvent['direction'], frame: Frame): void {
    const { principal, handshake } = connection;
    const headers = new Map(Array.from(frame.headers, ([name, value]) => [name, isSecret(name) ? '…' : value]));
    const body = decodeUtf8Lossy(frame.body);
    const report = (error: unknown): void => connection.report(error);
    try {
      const told = this.#onFrame({ principal, handshake, session, direction, command: frame.command, headers, body });
      if (isPromise(told)) Promise.resolve(told).catch(report);
    } catch (error) {
      report(error);
    }
  }
}

const versionOf = ({ headers }: Frame): Version => versions.find((each) => each === headers.get('version')) ?? '1.0';
