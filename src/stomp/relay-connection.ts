import type { Clock } from '../core/clock.ts';
import type { ConnectionOptions } from '../core/connection.ts';
import type { ConnectionLimits } from '../core/limits.ts';
import { ServerConnection } from '../core/server-connection.ts';
import type { Socket } from '../core/socket.ts';
import { stompFaults } from './faults.ts';

const nowhere = { url: '', headers: {}, remoteAddress: '', secure: false };

/**
 * Connections of the relay to its broker: a client's, but with what a server's can do, since what the relay's own
 * client does not read is not read from the broker either.
 */
export const brokerConnections =
  (clock: Clock, limits: ConnectionLimits) =>
  (socket: Socket, options: ConnectionOptions): ServerConnection =>
    new ServerConnection(socket, nowhere, {
      ...options,
      clock,
      limits,
      faultTable: stompFaults,
      cutsSlowReader: false,
    });
