import type { ClientConnectionOptions } from '../../core/client-connection.ts';
import type { Clock } from '../../core/clock.ts';
import type { ConnectorOptions, ProtocolHandler } from '../../core/dial.ts';
import type { ConnectionLimits } from '../../core/limits.ts';
import { ServerConnection } from '../../core/server-connection.ts';
import type { Socket } from '../../core/socket.ts';
import { stompFaults } from '../server/faults.ts';

const noHandshake = { url: '', headers: {}, remoteAddress: '', secure: false };

/**
 * Connections of the relay to its broker: a client's, but with what a server's can do, since what the relay's own
 * client does not read is not read from the broker either.
 */
export const brokerConnections =
  (clock: Clock, limits: ConnectionLimits) =>
  (socket: Socket, { report, ended }: ClientConnectionOptions): ServerConnection =>
    new ServerConnection(socket, noHandshake, {
      report,
      ended: (_, end) => ended(end),
      clock,
      limits,
      faultTable: stompFaults,
      cutsSlowReader: false,
    });

/** Brokers are spoken to over byte streams, which have no names of protocols. Their faults have no codes. */
export const overStreams = (open: ProtocolHandler['open']): Pick<ConnectorOptions, 'offered' | 'choose'> => ({
  offered: [],
  choose: (name) => (name === '' ? { faults: {}, open } : undefined),
});
