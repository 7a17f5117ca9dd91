import { ProtocolError } from './fault.ts';
import { isPromise } from './promise-or.ts';
import type { Session } from './subprotocol.ts';

/** What a {@link SessionGuard} needs of its connection. */
export interface GuardHost {
  /** Nothing that comes is processed any more. */
  readonly closing: boolean;
  /** Milliseconds of the clock. */
  readonly now: number;
  /** End the connection by this fault. */
  fail(error: ProtocolError): void;
  /** Tell the application of an error. Never throws. */
  report(error: unknown): void;
  /** A deadline may have moved. */
  touch(): void;
}

/** The session of a connection. Every call into it from outside passes here, so that nothing it throws goes further. */
export class SessionGuard {
  /** undefined until it was opened. */
  session: Session | undefined;
  readonly #host: GuardHost;

  constructor(host: GuardHost) {
    this.#host = host;
  }

  /** Call something that calls the session. What it throws ends the connection. */
  enter(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#caught(error);
    }
    this.#host.touch();
  }

  /** Hand over a message; without a function for each of them. */
  deliver(data: string | Uint8Array, now: number): void {
    try {
      this.session?.receive(data, now);
    } catch (error) {
      this.#caught(error);
    }
    this.#host.touch();
  }

  /** Input is no longer held back. */
  tellReleased(now: number): void {
    this.enter(() => this.session?.released(now));
  }

  /** The time has come that the session asked for. */
  tick(now: number): void {
    this.enter(() => this.session?.tick(now));
  }

  /** The connection ends by this fault. */
  sayLastWords(error: ProtocolError): void {
    this.enter(() => this.session?.fail?.(error));
  }

  #caught(error: unknown): void {
    if (error instanceof ProtocolError) return this.#host.fail(error);
    this.#host.report(error);
    this.#host.fail(new ProtocolError('internal', undefined, { cause: error }));
  }

  /** Go on with an outcome, unless the connection has ended; then what it rejects with is reported. */
  resume<T>(
    outcome: Promise<T> | T,
    then: (value: T, now: number) => void,
    otherwise: (error: unknown, now: number) => void = rethrow,
  ): void {
    if (!isPromise(outcome)) return this.#settle(then, outcome);
    Promise.resolve(outcome).then(
      (value) => this.#settle(then, value),
      // [CONN-25] Nobody waits for it any more, and still it is the application's to know.
      (error: unknown) => (this.#host.closing ? this.#host.report(error) : this.#settle(otherwise, error)),
    );
  }

  #settle<T>(then: (value: T, now: number) => void, value: T): void {
    if (!this.#host.closing) this.enter(() => then(value, this.#host.now));
  }
}

const rethrow = (error: unknown): never => {
  throw error;
};
