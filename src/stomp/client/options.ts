import { inOurWords } from '../../connect/connect.ts';
import { never } from '../../core/clock.ts';
import { assertOption, checkNames, inWords, mustBeFunctions, mustBeRecord, numberOptions } from '../../core/options.ts';
import { versions as allVersions, type Version } from '../protocol/versions.ts';
import type { PerConnection, StompClientOptions } from './client-types.ts';

const optionNames: Readonly<Record<keyof StompClientOptions, true>> = {
  url: true,
  brokerURL: true,
  transport: true,
  webSocketImpl: true,
  connectHeaders: true,
  host: true,
  versions: true,
  heartbeatOutgoing: true,
  heartbeatIncoming: true,
  openTimeout: true,
  connectionTimeout: true,
  receiptTimeout: true,
  backoff: true,
  retry: true,
  maxQueued: true,
  contentLength: true,
  maxFrameBytes: true,
  forceBinary: true,
  appendMissingNul: true,
  onFrame: true,
  on: true,
  signal: true,
  limits: true,
  onError: true,
  warn: true,
  clock: true,
};

/** What stompjs and others call it, and what it is here. */
const foreign: Readonly<Record<string, string>> = {
  uri: 'url',
  connect: 'transport',
  webSocketFactory: 'transport or webSocketImpl',
  stompVersions: 'versions',
  reconnectDelay: 'backoff { base, cap } or retry; it reconnects by itself',
  maxReconnectDelay: 'backoff { cap }',
  splitLargeFrames: 'maxFrameBytes',
  maxWebSocketChunkSize: 'maxFrameBytes',
  forceBinaryWSFrames: 'forceBinary',
  appendMissingNULLonIncoming: 'appendMissingNul',
  debug: 'onFrame',
  beforeConnect: 'connectHeaders, a function',
  onConnect: "client.on('connected', …)",
  onDisconnect: "client.on('closed', …)",
  onWebSocketClose: "client.on('closed', …)",
  onWebSocketError: "client.on('closed', …)",
  onStompError: "client.on('error', …)",
  onUnhandledMessage: "client.on('unhandled', …)",
  onChangeState: "client.on('state', …)",
};

/** Ask for a value. A function that throws at once is like one that rejects. */
export const ask = async <T>(value: PerConnection<T>): Promise<T> =>
  typeof value === 'function' ? (value as () => T | Promise<T>)() : value;

type Numbers = 'openTimeout' | 'connectionTimeout' | 'receiptTimeout' | 'maxQueued' | 'maxFrameBytes';
type Intervals = 'heartbeatOutgoing' | 'heartbeatIncoming';

/** Options with their defaults. */
export type ResolvedOptions = Omit<StompClientOptions, Numbers | Intervals | 'versions'> &
  Readonly<Record<Numbers | Intervals, number>> & { readonly versions: readonly Version[] };

/** Fill in the defaults. Throws a `TypeError` that names the option which is wrong, or is none. */
export function resolveOptions(options: StompClientOptions): ResolvedOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`createStompClient() needs { url: 'wss://host/ws' }; got ${inWords(options)}`);
  }
  checkNames(options, optionNames, 'createStompClient()', inOurWords(foreign));
  const { url = options.brokerURL, versions = allVersions, transport } = options;
  const { retry, onFrame, onError } = options;
  mustBeFunctions({ transport, retry, onFrame, onError });
  mustBeRecord(options.on, 'on', 'an object such as { connected() {} }');
  const spoken =
    Array.isArray(versions) && versions.length > 0 && versions.every((version) => allVersions.includes(version));
  assertOption(spoken, 'versions', `some of ${allVersions}`, versions);
  for (const each of [url].flat()) {
    const reachable =
      each === undefined
        ? transport
        : typeof each === 'function' || (typeof each === 'string' && /^[a-z+]+:\/\/./.test(each));
    assertOption(reachable, 'url', 'an address such as "wss://host/ws", or absent with `transport`', url);
  }
  const defaults = {
    openTimeout: 10_000,
    connectionTimeout: 10_000,
    receiptTimeout: 30_000,
    maxQueued: 1_000,
    maxFrameBytes: never,
  };
  const intervals = { heartbeatOutgoing: 10_000, heartbeatIncoming: 10_000 };
  return { ...options, url, versions, ...numberOptions(options, defaults, 1), ...numberOptions(options, intervals, 0) };
}
