/** The part of autobahn that tests use; it brings no types. */
declare module 'autobahn' {
  interface Event {
    readonly publication: number;
    readonly topic: string;
  }

  interface Session {
    subscribe(
      topic: string,
      listener: (positional: readonly unknown[], named: Readonly<Record<string, unknown>>, event: Event) => void,
    ): Promise<unknown>;
    publish(
      topic: string,
      positional?: readonly unknown[],
      named?: Readonly<Record<string, unknown>>,
      options?: { readonly acknowledge?: boolean; readonly exclude_me?: boolean },
    ): Promise<unknown>;
    register(procedure: string, run: (positional: readonly number[]) => unknown): Promise<unknown>;
    call(procedure: string, positional?: readonly unknown[]): Promise<unknown>;
  }

  class Connection {
    constructor(options: { readonly url: string; readonly realm: string; readonly max_retries?: number });
    onopen?: (session: Session) => void;
    onclose?: (reason: string, details: { readonly reason: string | null }) => boolean;
    open(): void;
    close(): void;
  }

  const autobahn: { readonly Connection: typeof Connection };
  export default autobahn;
  export type { Session };
}
