import { type Clock, never } from './clock.ts';
import { ProtocolError } from './fault.ts';
import type { ConnectionLimits } from './limits.ts';
import { checkPrincipal, expiryOf, readAnswer } from './principal.ts';
import { Refusal } from './refuse.ts';
import type { Authenticate, Connection, Principal, ShownCredentials } from './subprotocol.ts';

/** What an {@link Authentication} needs of its connection. */
export interface AuthenticationHost
  extends Pick<Connection, 'handshake' | 'name' | 'now' | 'closing' | 'touch' | 'resume' | 'report'> {
  /** The limits of the connection. */
  readonly limits: ConnectionLimits;
  /** The client is about to be let in, for the first time. Throws a {@link ProtocolError} to refuse it. */
  welcome(): void;
}

/** Who a connection belongs to, and since when and until when that counts. */
export class Authentication {
  /** Whom the hook named; undefined for nobody. */
  principal: Principal | undefined;
  /** The client was let in. */
  admitted = false;
  readonly #host: AuthenticationHost;
  readonly #clock: Clock;
  #answerBy: number | undefined;

  constructor(host: AuthenticationHost, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
  }

  /** When the hook has to have answered, or when the credentials expire, in ms of the clock; Infinity: never. */
  get deadline(): number {
    return Math.min(this.#answerBy ?? never, expiryOf(this.principal, this.#clock));
  }

  /** Why the connection has to end now; undefined: it has not. */
  tick(now: number): ProtocolError | undefined {
    if (now < this.deadline) return undefined;
    if (expiryOf(this.principal, this.#clock) <= now) return new ProtocolError('expired');
    const words = `authenticate has not answered within ${this.#host.limits.hookTimeout} ms`;
    return new ProtocolError('unavailable', words);
  }

  /** Ask the hook, and call `then` with whether it lets in. Without a hook everybody is let in, as nobody. */
  ask(
    authenticate: Authenticate | undefined,
    shown: ShownCredentials,
    then: (admitted: boolean, now: number) => void,
  ): void {
    const host = this.#host;
    if (!authenticate) return this.#admit(() => then(true, host.now));
    this.#answerBy = host.now + host.limits.hookTimeout;
    host.touch();
    const { handshake, name } = host;
    host.resume(askForPrincipal(authenticate, { ...shown, handshake, subprotocol: name }, host), (answer, now) => {
      this.#answerBy = undefined;
      if (typeof answer === 'object') this.principal = answer;
      if (expiryOf(this.principal, this.#clock) <= now) throw new ProtocolError('expired');
      if (answer === false) then(false, now);
      else this.#admit(() => then(true, now));
    });
  }

  #admit(then: () => void): void {
    if (!this.admitted) {
      this.admitted = true;
      try {
        this.#host.welcome();
      } catch (error) {
        this.admitted = false;
        throw error;
      }
    }
    // The application may have ended it at once.
    if (!this.#host.closing) then();
  }
}

/**
 * A principal, `true` for nobody in particular, `false` for somebody who is refused. An answer that is none of these is a
 * bug of the hook: it is reported, and refused. Rejects with what the hook throws, and with the words of a {@link Refusal}.
 */
async function askForPrincipal(
  authenticate: Authenticate,
  credentials: Parameters<Authenticate>[0],
  host: AuthenticationHost,
): Promise<Principal | boolean> {
  const answer: unknown = await authenticate(credentials);
  let read: Principal | boolean | Refusal = false;
  try {
    read = readAnswer(answer);
  } catch (bug) {
    host.report(bug);
  }
  if (read instanceof Refusal) throw new ProtocolError('unauthorized', read.reason, { words: read });
  if (typeof read === 'object') checkPrincipal(read);
  return read;
}
