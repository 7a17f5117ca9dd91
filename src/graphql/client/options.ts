import { checkScheme, inOurWords } from '../../connect/connect.ts';
import { never } from '../../core/clock.ts';
import {
  assertOption,
  checkNames,
  inWords,
  isRecord,
  mustBeFunctions,
  mustBeRecord,
  numberOptions,
} from '../../core/options.ts';
import type { ClientEvents, ClientOptions } from './client-types.ts';

const names: Readonly<Record<keyof ClientOptions, true>> = {
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

/** What other clients call it (STOMP's, subscriptions-transport-ws, Socket.IO), and what it is here. */
const foreign: Readonly<Record<string, string>> = {
  uri: 'url',
  brokerURL: 'url',
  connect: 'transport',
  reconnect: 'retry; it reconnects by itself',
  reconnection: 'retry; it reconnects by itself',
  reconnectionAttempts: 'retryAttempts',
  reconnectionDelay: 'backoff { base, cap }',
  auth: 'connectionParams',
  timeout: 'openTimeout or connectionAckWaitTimeout',
};

const numbers = { connectionAckWaitTimeout: 0, keepAlive: 25_000, lazyCloseTimeout: 0, retryAttempts: never };

/** Numbers with their defaults. */
export type ResolvedNumbers = Readonly<Record<keyof typeof numbers | 'openTimeout', number>>;

const events: Readonly<Record<keyof ClientEvents, true>> = {
  connecting: true,
  opened: true,
  connected: true,
  ping: true,
  pong: true,
  message: true,
  closed: true,
  error: true,
  gap: true,
  state: true,
};

/** Throws a `TypeError` that names an event which there is not, or says that nobody listens. */
export function checkListener(event: unknown, listener: unknown): void {
  checkNames({ [String(event)]: listener }, events, 'on()');
  mustBeFunctions({ [String(event)]: listener ?? null }, 'on(): the listener of ');
}

/** Fill in the numbers. Throws a `TypeError` that names the option which is wrong, or is none. */
export function resolveNumbers(options: ClientOptions): ResolvedNumbers {
  if (Object(options) === options) checkNames(options, names, 'createClient()', inOurWords(foreign));
  if (!options?.url || typeof options !== 'object') {
    throw new TypeError(`createClient() needs { url: 'wss://host/graphql' }; got ${inWords(options)}`);
  }
  const { url, transport, retry, retryWait, shouldRetry, connectionParams: params, onError } = options;
  if (!transport) checkScheme(url, 'createClient()');
  const { generateID, jsonMessageReviver, jsonMessageReplacer, onNonLazyError } = options;
  mustBeFunctions({ transport, retry, retryWait, shouldRetry, onError, generateID, onNonLazyError });
  mustBeFunctions({ jsonMessageReviver, jsonMessageReplacer });
  mustBeRecord(options.on, 'on', 'an object such as { connected() {} }');
  for (const [event, listener] of Object.entries(options.on ?? {})) if (listener) checkListener(event, listener);
  const isParams = params == null || typeof params === 'function' || isRecord(params);
  assertOption(isParams, 'connectionParams', "an object such as { token: '…' }, or a function", params);
  return { ...numberOptions(options, numbers, 0), ...numberOptions(options, { openTimeout: 10_000 }, 1) };
}

/** Those of the options that there are. */
export const knownOptions = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(names, name)));
