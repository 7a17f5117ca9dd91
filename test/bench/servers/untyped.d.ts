// Peers that are installed beside the bench only: what of them is used here.
declare module 'fastify' {
  export function fastify(): {
    register(plugin: unknown, options: object): PromiseLike<unknown>;
    ready(): PromiseLike<unknown>;
    readonly server: unknown;
  };
}
declare module 'mercurius' {
  const plugin: unknown;

  export { plugin as default };
}
declare module 'stomp-broker-js' {
  import type { Server } from 'node:http';

  const StompServer: new (options: {
    readonly server: Server;
    readonly path: string;
    readonly heartbeat: readonly [number, number];
  }) => unknown;

  export { StompServer as default };
}
