import type { Endpoint } from '../core/endpoint.ts';
import type { OriginRule } from './origin.ts';
import type { TrustProxy, UpgradeHook } from './server-types.ts';

/** What the application says of strangers, before anything is opened for them. */
export interface GateOptions {
  /**
   * Which web pages may connect (RFC 6455 10.2); others get 403, and the first of them is told to `onError`. Programs
   * send no Origin and are let in.
   *
   * @defaultValue `same`: the pages of this host
   */
  readonly origin?: OriginRule | undefined;
  /**
   * Which hosts may be asked for, such as `['app.example', '*.app.example', 'localhost:4000']`; others get 403. With the
   * origin rule `same` this closes DNS rebinding.
   *
   * @defaultValue all
   */
  readonly hosts?: readonly string[] | undefined;
  /**
   * The proxies before this server, whose X-Forwarded-For, -Proto and -Host are believed: how many there are, their
   * networks, or both questions answered by {@link TrustedProxies}. It decides what `handshake.remoteAddress`,
   * `handshake.secure` and the origin rule `same` see.
   *
   * @defaultValue none: these headers are not looked at
   */
  readonly trustProxy?: TrustProxy | undefined;
  /**
   * Called before each upgrade with the request itself, so that sessions, passport and rate limiters work. It may take
   * `hookTimeout` (503 after that). `true` and nothing go on, `false` is 401, `refuse({ code, reason })` is that status
   * with these words, and an object is kept as `handshake.extra`. Anything else, and an error, is reported and is 500.
   *
   * @example
   * upgrade: (request) => limiter.take(request.socket.remoteAddress) || refuse({ code: 429, reason: 'Slow down' })
   */
  readonly upgrade?: UpgradeHook | undefined;
}

/** The names of {@link GateOptions}. */
export const gateOptionNames: Readonly<Record<keyof GateOptions, true>> = {
  origin: true,
  hosts: true,
  trustProxy: true,
  upgrade: true,
};

/** What a door for HTTP requests needs beside the rules of its gate. */
export interface HttpDoorOptions extends GateOptions {
  /** The endpoint that the requests belong to: its limits, its `authenticate`, its drain. */
  readonly endpoint: Endpoint;
  /** The path, as `attach` takes it. */
  readonly path: string;
}
