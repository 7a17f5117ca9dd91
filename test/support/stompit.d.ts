/** The part of stompit that tests use; it brings no types. */
declare module 'stompit' {
  import type { Readable, Writable } from 'node:stream';

  interface Message extends Readable {
    readonly headers: Readonly<Record<string, string>>;
    readString(encoding: 'utf8', callback: (error: Error | null, text?: string) => void): void;
  }

  interface Client {
    send(headers: Readonly<Record<string, string>>): Writable;
    subscribe(
      headers: Readonly<Record<string, string>>,
      callback: (error: Error | null, message: Message) => void,
    ): unknown;
    ack(message: Message): void;
    disconnect(callback: (error: Error | null) => void): void;
  }

  interface ConnectOptions {
    readonly host: string;
    readonly port: number;
    /** TLS; then the options of `tls.connect` go here as well. */
    readonly ssl?: boolean;
    readonly rejectUnauthorized?: boolean;
    readonly connectHeaders: Readonly<Record<string, string>>;
  }

  const stompit: {
    connect(options: ConnectOptions, callback: (error: Error | null, client: Client) => void): void;
  };
  export default stompit;
  export type { Client, Message };
}
