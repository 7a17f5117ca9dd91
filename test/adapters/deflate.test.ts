import { httpEndpoint } from '../support/http-endpoint.ts';
import { adapterSuite } from './suite.ts';
import { ownWebSocketClient } from './suite-clients.ts';

// Our client over `ws` offers permessage-deflate, so that every message takes the way through it.
adapterSuite('http with deflate', {
  framed: true,
  async serve(options) {
    const { port, endpoint, stop } = await httpEndpoint({ ...options, deflate: true });
    return { port, stop, stats: endpoint.stats };
  },
  clients: { 'our client': ownWebSocketClient('ws') },
});
