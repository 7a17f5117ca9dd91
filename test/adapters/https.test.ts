import { httpEndpoint } from '../support/http-endpoint.ts';
import { adapterSuite } from './suite.ts';
import { ownWebSocketClient, rawWebSocketClient } from './suite-clients.ts';

adapterSuite('https', {
  framed: true,
  async serve(options) {
    const { port, endpoint, stop } = await httpEndpoint(options, true);
    return { port, stop, stats: endpoint.stats };
  },
  clients: { 'our client': ownWebSocketClient('wss'), 'a raw client': rawWebSocketClient(true) },
});
