import { type Fault, type FaultTable, ProtocolError } from '../../src/core/fault.ts';
import type { ClientProtocol, Connection, Session, Subprotocol } from '../../src/core/subprotocol.ts';

/** Each fault has a code and words of its own, so that a test sees which one it was. */
const codes: Record<Fault, number> = {
  malformed: 4400,
  unacceptable: 4406,
  unauthorized: 4401,
  forbidden: 4403,
  expired: 4413,
  initTimeout: 4408,
  heartbeat: 4000,
  duplicate: 4409,
  tooLarge: 1009,
  tooMany: 4429,
  tooSlow: 1013,
  unavailable: 4503,
  goingAway: 1001,
  internal: 1011,
};

/** A fault table in which the reason is the detail, or else the name of the fault. */
export const plainFaults = Object.fromEntries(
  Object.entries(codes).map(([fault, code]) => [fault, { code, reason: (detail = fault) => detail }]),
) as FaultTable;

type Call = keyof Session & string;

/** A session that writes down what it is told and does what a test puts into `on`. */
export class ScriptedSession implements Session {
  deadline: number = Number.POSITIVE_INFINITY;
  sendBy: number | undefined;
  awaiting: boolean | undefined;
  idle = true;
  readonly connection: Connection;
  /** Every call, such as `receive hello`, `fail malformed`, `end 1000 bye`. */
  readonly log: string[] = [];
  readonly on: { [Name in Call]?: (argument: never, now: number) => void } = {};

  constructor(connection: Connection) {
    this.connection = connection;
  }

  #called(name: Call, words: string, argument: unknown, now = 0): void {
    this.log.push(words === '' ? name : `${name} ${words}`);
    this.on[name]?.(argument as never, now);
  }

  receive(data: string | Uint8Array, now: number): void {
    this.#called('receive', typeof data === 'string' ? data : Buffer.from(data).toString('latin1'), data, now);
  }
  released(now: number): void {
    this.#called('released', '', now, now);
  }
  tick(now: number): void {
    this.#called('tick', '', now, now);
  }
  drained(now: number): void {
    this.#called('drained', '', now, now);
  }
  drain(now: number): void {
    this.#called('drain', '', now, now);
  }
  fail(error: ProtocolError): void {
    this.#called('fail', error.fault, error);
  }
  end(code: number, reason: string): void {
    this.#called('end', `${code} ${reason}`.trim(), code);
  }
  probe(now: number): void {
    this.#called('probe', '', now, now);
  }
}

export interface ScriptedSubprotocol extends Subprotocol {
  readonly sessions: ScriptedSession[];
}

/** A subprotocol whose sessions are scripted by `script` as soon as they are there. */
export function scripted(
  names: readonly string[] = ['plain'],
  script: (session: ScriptedSession) => void = () => {},
  extra: Partial<Subprotocol> = {},
): ScriptedSubprotocol {
  const sessions: ScriptedSession[] = [];
  return {
    names,
    faults: plainFaults,
    sessions,
    open(connection) {
      const session = new ScriptedSession(connection);
      sessions.push(session);
      script(session);
      return session;
    },
    ...extra,
  };
}

/** A subprotocol that sends everything back, as what it was; its last words are `fault <name>`. */
export const echo = (names: readonly string[] = ['echo'], extra: Partial<Subprotocol> = {}): ScriptedSubprotocol =>
  scripted(
    names,
    (session) => {
      session.on.receive = (data: string | Uint8Array) => {
        if (data === 'fail!') throw new ProtocolError('malformed');
        if (data === 'bug!') throw new Error('a bug in a session');
        const head = typeof data === 'string' ? data : new Uint8Array(data);
        session.connection.send({ head, binary: typeof data !== 'string' });
      };
      session.on.fail = (error: ProtocolError) => {
        session.connection.send({ head: `fault ${error.fault}`, binary: false });
      };
    },
    extra,
  );

/** The same for a client, which has codes only. */
export function scriptedClient(
  ...given: Parameters<typeof scripted>
): ClientProtocol & Pick<ScriptedSubprotocol, 'sessions'> {
  const made = scripted(...given);
  // Its sessions use nothing of a connection that a client's has not.
  return { ...made, faults: codes, open: (connection, name) => made.open(connection as Connection, name) };
}
