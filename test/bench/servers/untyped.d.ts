// Peers that are installed beside the bench only: what of them is used here.
declare module 'mercurius' {
  import type { FastifyPluginAsync } from 'fastify';

  const plugin: FastifyPluginAsync<Record<string, unknown>>;

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
