import { ProtocolError } from '../../core/fault.ts';
import type { Version } from './versions.ts';

/** Headers to send: entries in order, such as a `Map`, or a plain object. */
export type HeaderInput = Iterable<readonly [string, string]> | Readonly<Record<string, string>>;

const entriesOf = (headers: HeaderInput): Iterable<readonly [string, string]> =>
  Symbol.iterator in headers ? (headers as Iterable<readonly [string, string]>) : Object.entries(headers);

/** A way of headers from one frame to another: of SEND to its MESSAGE here, or of frames that the relay passes on. */
export type HeaderWay = 'send' | 'connect' | 'connected' | 'message' | 'acknowledge';

/**
 * The headers that belong to the protocol, one row for each: on which ways a value of the peer goes no further, since the
 * server says its own or nothing in its place ([STOMP-44]). All other headers belong to the application and pass.
 *
 * - `send`: from a client's SEND to the MESSAGEs that this server makes of it
 * - `connect`: from a client's CONNECT to the broker behind a relay
 * - `connected`: from that broker's CONNECTED to the client
 * - `message`: from that broker's MESSAGE to the client; RabbitMQ repeats `receipt` and `transaction` of the SEND
 * - `acknowledge`: from a client's ACK or NACK to that broker
 */
const protocolHeaders: Readonly<Record<string, readonly HeaderWay[]>> = {
  destination: ['send'],
  'content-type': ['send'],
  'content-length': ['send', 'connect', 'connected'],
  'message-id': ['send', 'acknowledge'],
  id: ['acknowledge'],
  subscription: ['send', 'message', 'acknowledge'],
  ack: ['send', 'message', 'acknowledge'],
  redelivered: ['send'],
  receipt: ['send', 'connect', 'message', 'acknowledge'],
  transaction: ['send', 'message'],
  'accept-version': ['connect'],
  version: ['connected'],
  host: ['connect'],
  login: ['connect'],
  passcode: ['connect'],
  'heart-beat': ['connect', 'connected'],
};

function namesOn(way: HeaderWay): ReadonlySet<string> {
  return new Set(Object.keys(protocolHeaders).filter((name) => protocolHeaders[name]?.includes(way)));
}

/** The headers of {@link protocolHeaders} by way: what stands here is not passed on. */
export const ownHeaders: Readonly<Record<HeaderWay, ReadonlySet<string>>> = /* @__PURE__ */ (() => ({
  send: namesOn('send'),
  connect: namesOn('connect'),
  connected: namesOn('connected'),
  message: namesOn('message'),
  acknowledge: namesOn('acknowledge'),
}))();

/** Headers of our own, which no specification has. The broker sets them in what it sends by itself. */
export const brokerHeader = {
  /** Where a dead letter, or a SEND that was refused, was meant to go. */
  originalDestination: 'original-destination',
  /** How often a dead letter was handed out. */
  deliveryCount: 'delivery-count',
  /** `true`: messages of this topic may have been lost shortly before this one ([STOMP-122]). */
  messagesLost: 'messages-lost',
  /** The only connection of a user that gets this message, by its session ([STOMP-128]). */
  forSession: 'for-session',
} as const;

/** What a client says in place of {@link brokerHeader} is left out: nobody may forge them ([STOMP-44]). */
export const deadLetterHeaders: ReadonlySet<string> = /* @__PURE__ */ new Set(Object.values(brokerHeader));

/** In the header `since` of a SUBSCRIBE: from now on, so that it is told where that is ([STOMP-130]). */
export const fromNow = 'now';

/** What a RECEIPT says of a subscription that asked where it is ([STOMP-130]). */
export const resumeHeaders: ReadonlySet<string> = /* @__PURE__ */ new Set(['recovered', 'position']);

/** Headers of several kinds, one after the other. */
export const joined = (...parts: readonly HeaderInput[]): (readonly [string, string])[] =>
  parts.flatMap((part) => [...entriesOf(part)]);

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', ':': '\\c', '\r': '\\r' };

/** How header lines are written: those of the handshake are as raw as in 1.0, but for what ends a line. */
export const dialectOf = (version: Version, command: string): Version | 'raw' =>
  command === 'CONNECT' || command === 'CONNECTED' || command === 'STOMP' ? 'raw' : version;

/** 1.0 has no escapes, nor have the frames of the handshake ([STOMP-16] [STOMP-18]). */
export const hasEscapes = (version: Version | 'raw'): boolean => version === '1.2' || version === '1.1';

/**
 * A header name or value as it stands in a frame of this version: 1.2 escapes `\`, LF, `:` and CR, 1.1 has no escape
 * for CR ([STOMP-16] [STOMP-20]).
 *
 * @example
 * escapeHeader('1.2', 'a:b\n'); // 'a\\cb\\n'
 */
export function escapeHeader(version: Version | 'raw', value: string): string {
  if (!hasEscapes(version) || !/[\\\n:\r]/.test(value)) return value;
  return value.replace(version === '1.2' ? /[\\\n:\r]/g : /[\\\n:]/g, (character) => escapes[character] as string);
}

/** The opposite, in one pass from left to right ([STOMP-19]). Throws `malformed` on an escape that the version does not know ([STOMP-17]). */
export function unescapeHeader(version: Version, value: string): string {
  return value.replace(/\\.?/gs, (escape) => {
    const meaning = Object.keys(escapes).find((character) => escapes[character] === escape);
    if (meaning === undefined || (version === '1.1' && meaning === '\r')) {
      throw new ProtocolError('malformed', `the escape ${JSON.stringify(escape)} is not one of STOMP ${version}`);
    }
    return meaning;
  });
}

/**
 * Can a frame of this version carry that header? No version has an escape for NUL, which ends a frame ([STOMP-79]);
 * 1.0 and the handshake have none at all ([STOMP-20]).
 */
export const carries = (version: Version | 'raw', name: string, value: string): boolean =>
  name !== '' &&
  (version === '1.0' || version === 'raw'
    ? !/[\n\r\0:]/.test(name) && !/[\n\r\0]/.test(value)
    : !name.includes('\0') && !value.includes('\0'));

/**
 * Header lines, each with its LF. `content-length` is left out: it is the encoder's. Throws a `TypeError` that names
 * the header if this version has no way to express it.
 */
export function headerLines(version: Version | 'raw', headers: HeaderInput): string {
  let lines = '';
  for (const [name, value] of entriesOf(headers)) {
    if (name === 'content-length') continue;
    if (!carries(version, name, value)) {
      throw new TypeError(
        `header ${JSON.stringify(name)} cannot be sent: it needs a name, NUL has no escape, and STOMP 1.0 and CONNECT know none`,
      );
    }
    lines += `${escapeHeader(version, name)}:${escapeHeader(version, value)}\n`;
  }
  return lines;
}

/** Does a header of this name hold what no log shall have, such as a passcode or a token? */
export const isSecret = (name: string): boolean =>
  /pass(code|word|wd)|auth|token|secret|cookie|api-?key|jwt/i.test(name);
