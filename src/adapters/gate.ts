import type { IncomingMessage } from 'node:http';
import type { Socket as RawSocket } from 'node:net';
import type { Writable } from 'node:stream';
import type { Clock, Timed } from '../core/clock.ts';
import type { AcceptingEndpoint } from '../core/endpoint.ts';
import { mustBeFunctions } from '../core/options.ts';
import { kindOf } from '../core/principal.ts';
import type { PromiseOr } from '../core/promise-or.ts';
import { Refusal } from '../core/refuse.ts';
import type { Handshake } from '../core/subprotocol.ts';
import { turnsOf } from '../core/turns.ts';
import { ignore } from './answer.ts';
import { type Complaints, quoted } from './complaints.ts';
import type { GateOptions } from './gate-options.ts';
import { KeptHandshake } from './handshake.ts';
import { hostCheck, isOrigin, type OriginRule, originCheck, type RequestOrigin } from './origin.ts';
import type { PathParams } from './path.ts';
import { proxyView, type Seen } from './proxies.ts';
import type { UpgradeHook } from './server-types.ts';

/**
 * The rules that the options say.
 *
 * Throws a `TypeError` that names the option when one is wrong.
 *
 * @example
 * const gate = createGate(endpoint, gateRules(options), door, complaints, clock);
 */
export function gateRules({ origin = 'same', hosts, trustProxy, upgrade }: GateOptions): GateRules {
  mustBeFunctions({ upgrade });
  return {
    serves: hostCheck(hosts),
    allows: originCheck(origin),
    origin,
    look: proxyView(trustProxy),
    hook: upgrade,
  };
}

/** What upgrades of an endpoint have to pass, in this order: host, origin, hook. */
export interface GateRules {
  /** May this host be asked for? */
  readonly serves: (host: string | undefined) => boolean;
  /** May a page of this origin connect? */
  readonly allows: (request: RequestOrigin, handshake: Handshake) => PromiseOr<boolean>;
  /** The rule behind `allows`, for the words of a refusal. */
  readonly origin: OriginRule;
  /** Where does a request come from? */
  readonly look: (request: IncomingMessage) => Seen;
  /** The hook of the application. */
  readonly hook: UpgradeHook | undefined;
}

/** What is behind the gate, for requests that are answered by way of a `Carrier`: a socket, or a response. */
export interface Door<Carrier> {
  /** Let it in. */
  accept(request: IncomingMessage, carrier: Carrier, handshake: Handshake): void;
  /** Answer with an HTTP status and a line of text, and end it; 429 and 503 with Retry-After, in seconds. */
  answer(carrier: Carrier, status: number, text: string, retryAfter?: number): void;
}

/** What comes of an upgrade: a refusal, or that it goes on. */
type Decision = { readonly status: number; readonly text: string } | { readonly extra: object | undefined };

/** So many upgrades of an endpoint wait for hooks at the same time; more get 503. */
const maxWaiting = 1_000;

const goOn: Decision = { extra: undefined };

type Settle = (decision: Decision) => void;

/**
 * The gate before the handshake, or before a request that is served like a connection. Nothing is awaited, and nothing is made for it, where host and origin can be judged at
 * once and there is no hook.
 *
 * @example
 * const gate = createGate(endpoint, rules, { accept, answer }, complaints, clock);
 */
export function createGate<Carrier extends Writable>(
  endpoint: AcceptingEndpoint,
  rules: GateRules,
  door: Door<Carrier>,
  complaints: Complaints,
  clock: Clock,
): (request: IncomingMessage, carrier: Carrier, params: PathParams) => void {
  let waiting = 0;
  const turns = turnsOf(clock);

  function refuse(carrier: Carrier, status: number, text: string, retryAfter?: number): void {
    endpoint.refused();
    door.answer(carrier, status, text, retryAfter);
  }

  /** Why this origin is refused: told to the client in general words, and to the application with what to do. */
  function foreign({ origin = 'missing', host }: RequestOrigin): Decision {
    complaints.tell('origin', () => {
      const same = rules.origin === 'same';
      const here = same ? ` for the host ${quoted(host ?? 'missing')}` : '';
      const proxy = same ? ', or let the proxy before this server pass Host on' : '';
      const way = isOrigin(origin) ? `. To let it in: origin: ['${origin}']${proxy}` : '';
      return `Origin ${quoted(origin)} is not allowed${here}${way}`;
    });
    return { status: 403, text: `Origin ${origin} is not allowed here. If it is yours, add it to the option origin` };
  }

  function failed(error: unknown): Decision {
    endpoint.report(error);
    return { status: 500, text: 'The upgrade could not be checked' };
  }

  async function decide(request: IncomingMessage, from: RequestOrigin, allowed: PromiseOr<boolean>): Promise<Decision> {
    try {
      if (!(await allowed)) return foreign(from);
      return rules.hook ? readAnswer(await rules.hook(request)) : goOn;
    } catch (error) {
      return error instanceof Refusal ? readAnswer(error) : failed(error);
    }
  }

  /** Nothing is read meanwhile: what the client sends already waits in its socket, and then in the network. */
  function wait(carrier: Carrier, begin: (finish: (decision: Decision) => void) => void, settle: Settle): void {
    let open = true;
    const timer: Timed = {
      deadline: clock.now() + endpoint.limits.hookTimeout,
      tick() {
        complaints.tell('hookTimeout', () => 'An upgrade was refused: a hook took longer than hookTimeout');
        finish({ status: 503, text: 'The server took too long to answer' });
      },
    };
    function leave(): void {
      open = false;
      clock.forget(timer);
      carrier.off('error', ignore);
      carrier.off('close', leave);
    }
    function finish(late: Decision): void {
      // The time is over, or the peer has gone.
      if (!open) return;
      leave();
      settle(late);
    }
    carrier.on('error', ignore);
    carrier.on('close', leave);
    (carrier as Partial<Pick<RawSocket, 'setTimeout'>>).setTimeout?.(0);
    clock.watch(timer);
    begin(finish);
  }

  /** The hooks of the application are asked: of so many at a time. */
  function ask(carrier: Carrier, decision: () => Promise<Decision>, settle: Settle): void {
    if (waiting >= maxWaiting) return refuse(carrier, 503, 'Too many upgrades are waiting');
    waiting++;
    let counted = true;
    const done = (): void => {
      if (counted) waiting--;
      counted = false;
      carrier.off('close', done);
    };
    carrier.on('close', done);
    wait(
      carrier,
      (finish) => void decision().then(finish),
      (late) => {
        done();
        settle(late);
      },
    );
  }

  return (request, carrier, params) => {
    const busy = endpoint.unavailable();
    if (busy !== undefined) return refuse(carrier, 503, busy);
    // RFC 6455 4.2.1: `ws` does not look at it.
    if (request.httpVersion === '1.0') return refuse(carrier, 400, 'HTTP/1.1 is needed here');
    const seen = rules.look(request);
    if (!rules.serves(seen.host)) {
      complaints.tell('host', () => `The host ${quoted(seen.host ?? 'missing')} was asked for and is not one of hosts`);
      return refuse(carrier, 403, 'This host is not served here');
    }
    const { headers } = request;
    const fetchSite = headers['sec-fetch-site'];
    const from: RequestOrigin = { origin: headers.origin, fetchSite: fetchSite?.toString(), host: seen.host };
    const handshake = new KeptHandshake(request, seen, params);
    const admission = endpoint.admits(handshake.remoteAddress, handshake.trusted);
    if (!admission.admitted) return refuse(carrier, 429, 'Too many connections of this address', admission.retryAfter);
    const settle = (decision: Decision): void => {
      if ('status' in decision) return refuse(carrier, decision.status, decision.text);
      handshake.extra = decision.extra as Readonly<Record<string, unknown>> | undefined;
      door.accept(request, carrier, handshake);
    };
    let allowed: PromiseOr<boolean>;
    try {
      allowed = rules.allows(from, handshake);
    } catch (error) {
      return settle(failed(error));
    }
    if (allowed === false) return settle(foreign(from));
    const settleLate = (decision: Decision): void => {
      const full = endpoint.unavailable();
      if (full !== undefined && !('status' in decision)) return refuse(carrier, 503, full);
      settle(decision);
    };
    if (allowed !== true || rules.hook) return ask(carrier, () => decide(request, from, allowed), settleLate);
    // Many that come at once are let in in shares: others have their turns between ([CONN-98]).
    if (turns.open(clock.now())) return settle(goOn);
    wait(carrier, (finish) => turns.wait({ work: () => finish(goOn) }), settleLate);
  };
}

/** Throws a `TypeError` for what is no answer of the hook: nobody is let in because something is truthy. */
function readAnswer(given: unknown): Decision {
  if (given === true || given === undefined) return goOn;
  if (given === false) return { status: 401, text: 'Unauthorized' };
  if (given instanceof Refusal) return { status: statusOf(given.code), text: given.reason };
  const kind = given === null ? 'null' : kindOf(given);
  if (kind === undefined) return { extra: given as object };
  throw new TypeError(
    `upgrade must answer true, false, refuse({ code, reason }) or an object for handshake.extra; got ${kind}`,
    given instanceof Error ? { cause: given } : undefined,
  );
}

/** Close codes from 4400 to 4599 were made after the statuses of HTTP. */
function statusOf(code = 401): number {
  const status = code >= 4_400 && code <= 4_599 ? code - 4_000 : code;
  if (status >= 400 && status <= 599) return status;
  throw new TypeError(`upgrade: refuse() needs an HTTP status from 400 to 599 before the upgrade; got ${code}`);
}
