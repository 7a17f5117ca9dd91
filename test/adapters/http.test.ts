import { httpEndpoint } from '../support/http-endpoint.ts';
import { adapterSuite } from './suite.ts';
import { ownWebSocketClient, rawWebSocketClient } from './suite-clients.ts';

adapterSuite('http', {
  framed: true,
  async serve(options) {
    const { port, endpoint, stop } = await httpEndpoint(options);
    return { port, stop, stats: endpoint.stats };
  },
  clients: { 'our client': ownWebSocketClient('ws'), 'a raw client': rawWebSocketClient(false) },
});
