import { never } from '../../core/clock.ts';
import { checkNames, numberOptions } from '../../core/options.ts';
import type { ClientOptions } from './client-types.ts';

/** The options that there are. */
export const clientOptionNames: Readonly<Record<keyof ClientOptions, true>> = {
  url: true,
  connectionParams: true,
  transport: true,
  webSocketImpl: true,
  openTimeout: true,
  connectionAckWaitTimeout: true,
  keepAlive: true,
  disablePong: true,
  lazy: true,
  lazyCloseTimeout: true,
  onNonLazyError: true,
  retry: true,
  retryAttempts: true,
  retryWait: true,
  shouldRetry: true,
  backoff: true,
  on: true,
  signal: true,
  generateID: true,
  jsonMessageReviver: true,
  jsonMessageReplacer: true,
  limits: true,
  onError: true,
  warn: true,
  clock: true,
};

/** What other clients call it: that of STOMP, subscriptions-transport-ws, Apollo, Socket.IO. */
const foreign: Readonly<Record<string, string>> = {
  uri: 'write "url"',
  brokerURL: 'write "url"',
  connect: 'write "transport"',
  reconnect: 'it reconnects by itself; "retry" decides',
  reconnection: 'it reconnects by itself; "retry" decides',
  reconnectionAttempts: 'write "retryAttempts"',
  reconnectionDelay: 'write "backoff": { base }',
  auth: 'write "connectionParams"',
  timeout: 'write "openTimeout" or "connectionAckWaitTimeout"',
  isFatalConnectionProblem: 'write "shouldRetry"',
};

const numbers = { connectionAckWaitTimeout: 0, keepAlive: 25_000, lazyCloseTimeout: 0, retryAttempts: never };

/** Numbers with their defaults. */
export type ResolvedNumbers = Readonly<Record<keyof typeof numbers | 'openTimeout', number>>;

/** Fill in the numbers. Throws a `TypeError` that names the option which is wrong, or is none. */
export function resolveNumbers(options: ClientOptions): ResolvedNumbers {
  if (typeof options !== 'object' || !options?.url) {
    const given = typeof options === 'string' ? `"${options}"` : options && `{ ${Object.keys(options)} }`;
    if (options && typeof options === 'object') checkNames(options, clientOptionNames, 'createClient()', foreign);
    throw new TypeError(`createClient() needs { url: 'wss://host/graphql' }; got ${String(given)}`);
  }
  checkNames(options, clientOptionNames, 'createClient()', foreign);
  return { ...numberOptions(options, numbers, 0), ...numberOptions(options, { openTimeout: 10_000 }, 1) };
}
