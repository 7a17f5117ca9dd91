/**
 * What is used of Node's servers and requests, in types of our own: the declarations of this package need neither
 * `@types/node` nor `@types/ws`, and a server of `node:http`, `node:https` or `node:http2` fits, whichever framework
 * made it.
 *
 * @module
 */

import type { PromiseOr } from '../core/promise-or.ts';

/**
 * A server that tells of HTTP upgrades: of `node:http` and `node:https`, or of extended CONNECTs, of `node:http2`.
 * Fastify's `app.server`, what Express's `app.listen()` returns and Hono's `serve()` are such servers.
 */
export interface HttpServer {
  /** Adds a listener of an event. */
  on(event: string, listener: (...details: never[]) => void): unknown;
  /** How many listeners an event has. */
  listenerCount(event: string): number;
  /** True while the server takes new connections. */
  readonly listening: boolean;
}

/** The request of an upgrade. In Node it is the `IncomingMessage` itself, with all that middleware put on it. */
export interface UpgradeRequest {
  /** `GET`, unless the peer is wrong. */
  readonly method?: string | undefined;
  /** Path and query, as in the request line. */
  readonly url?: string | undefined;
  /** Header names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The connection that the request came over. */
  readonly socket: {
    /** The address of the peer, or of the proxy before it. */
    readonly remoteAddress?: string | undefined;
  };
}

/** A request as Node's servers and their frameworks hand it on: `IncomingMessage`, or `Http2ServerRequest`. */
export interface HttpRequest extends UpgradeRequest {
  /** Adds a listener of an event. */
  on(event: string, listener: (...details: never[]) => void): unknown;
}

/** What a request is answered with: `ServerResponse`, or `Http2ServerResponse`. */
export interface HttpResponse {
  /** Adds a listener of an event. */
  on(event: string, listener: (...details: never[]) => void): unknown;
  /** Sets a header of the answer. */
  setHeader(name: string, value: string): unknown;
}

/** Takes a request if it is for it. False: it is not, and was not touched. */
export type RequestHandler = (request: HttpRequest, response: HttpResponse) => boolean;

/** What the hook `upgrade` may answer; see the option. */
// biome-ignore lint/suspicious/noConfusingVoidType: a hook that returns nothing lets the upgrade go on.
export type UpgradeAnswer = boolean | object | undefined | void;

/** The hook `upgrade`. It may ask for more of the request than is declared: in Node it gets an `IncomingMessage`. */
export type UpgradeHook = { ask(request: UpgradeRequest): PromiseOr<UpgradeAnswer> }['ask'];

/**
 * Which proxies stand before this server, so that what they say of a client is believed and nothing else is: how many
 * there are, or the networks that they are in, such as `['10.0.0.0/8', 'fd00::/8', '127.0.0.1']`.
 */
export type TrustProxy = number | readonly string[] | TrustedProxies;

/** {@link TrustProxy} with the header that the proxies set. */
export interface TrustedProxies {
  /** How many proxies a request passes on its way here. One of `hops` and `networks` is needed. */
  readonly hops?: number | undefined;
  /** The addresses and networks (CIDR) of the proxies. */
  readonly networks?: readonly string[] | undefined;
  /**
   * The family of headers that they set: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239). The other one is
   * not looked at, because a client could have sent it.
   *
   * @defaultValue `x-forwarded-for`
   */
  readonly header?: 'x-forwarded-for' | 'forwarded' | undefined;
}

/**
 * Options of permessage-deflate (RFC 7692), as `ws` names them.
 *
 * @see https://github.com/websockets/ws/blob/master/doc/ws.md#new-websocketserveroptions-callback
 */
export interface DeflateOptions {
  /** Forget the window of the server after each message: less memory, larger messages. */
  readonly serverNoContextTakeover?: boolean | undefined;
  /** Ask clients to forget theirs after each message. */
  readonly clientNoContextTakeover?: boolean | undefined;
  /** The window of the server: 2 to the power of 8 to 15 bytes. */
  readonly serverMaxWindowBits?: number | undefined;
  /** The window of the client: 2 to the power of 8 to 15 bytes. */
  readonly clientMaxWindowBits?: number | undefined;
  /** Messages below so many bytes are sent as they are. */
  readonly threshold?: number | undefined;
  /** How many messages are deflated or inflated at the same time, in the whole process. */
  readonly concurrencyLimit?: number | undefined;
  /** Options of `zlib.createDeflateRaw`. */
  readonly zlibDeflateOptions?: ZlibOptions | undefined;
  /** Options of `zlib.createInflateRaw`. */
  readonly zlibInflateOptions?: ZlibOptions | undefined;
}

/** The options of zlib that matter for messages. */
export interface ZlibOptions {
  /** Bytes of the buffer that zlib writes into. */
  readonly chunkSize?: number | undefined;
  /** The size of the window: 2 to the power of 8 to 15 bytes. */
  readonly windowBits?: number | undefined;
  /** From 0, none, to 9, best. */
  readonly level?: number | undefined;
  /** Memory for the state: from 1, little, to 9, much. */
  readonly memLevel?: number | undefined;
}

/** A certificate, a key or a list of them: PEM text, its bytes, or an object of Node's around it. */
export type TlsMaterial = string | Uint8Array | readonly (string | Uint8Array | object)[];

/** Options of TLS that servers and clients share; each has the meaning that it has in `node:tls`. */
export interface TlsOptions {
  /** Certificates of the authorities that are trusted, in place of the system's. */
  readonly ca?: TlsMaterial | undefined;
  /** The certificate chain that is shown. */
  readonly cert?: TlsMaterial | undefined;
  /** The private key of `cert`. */
  readonly key?: TlsMaterial | undefined;
  /** Certificate and key in PKCS #12. */
  readonly pfx?: TlsMaterial | undefined;
  /** The pass phrase of `key` or `pfx`. */
  readonly passphrase?: string | undefined;
  /** Revocation lists. */
  readonly crl?: TlsMaterial | undefined;
  /** Cipher suites, as OpenSSL writes them. */
  readonly ciphers?: string | undefined;
  /** Curves of the key exchange. */
  readonly ecdhCurve?: string | undefined;
  /** Signature algorithms. */
  readonly sigalgs?: string | undefined;
  /** The lowest version, such as `TLSv1.2`. */
  readonly minVersion?: string | undefined;
  /** The highest version. */
  readonly maxVersion?: string | undefined;
  /** Protocols of ALPN, the preferred first. */
  readonly ALPNProtocols?: readonly string[] | ArrayBufferView | undefined;
  /** A context of `tls.createSecureContext`, in place of certificate and key. */
  readonly secureContext?: object | undefined;
  /** False: a peer whose certificate nobody trusts is let in. */
  readonly rejectUnauthorized?: boolean | undefined;
}

/** Options of `tls.connect` beside those that both sides share. */
export interface TlsConnectOptions extends TlsOptions {
  /** The name that is asked for and that the certificate must have, in place of the host's. */
  readonly servername?: string | undefined;
  /** Checks the certificate against the name; an `Error` refuses it. */
  readonly checkServerIdentity?: ((hostname: string, certificate: never) => Error | undefined) | undefined;
}

/** Options of `tls.createServer` beside those that both sides share. */
export interface TlsServerOptions extends TlsOptions {
  /** Ask clients for a certificate. */
  readonly requestCert?: boolean | undefined;
  /** How long a TLS handshake may take, in ms. */
  readonly handshakeTimeout?: number | undefined;
  /** Chooses a certificate by the name that the client asks for. */
  readonly SNICallback?:
    | ((servername: string, answer: (error: Error | null, context?: object) => void) => void)
    | undefined;
}

/** As much of a server of `node:net` as its users need. */
export interface TcpServer {
  /** True while the server takes new connections. */
  readonly listening: boolean;
  /** Where it listens: an address and a port, a path, or null while it does not. */
  address(): { readonly address: string; readonly family: string; readonly port: number } | string | null;
  /** Keeps the process alive while the server listens, as it does from the start. */
  ref(): unknown;
  /** Lets the process end although the server listens. */
  unref(): unknown;
}
