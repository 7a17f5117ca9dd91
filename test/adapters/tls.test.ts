import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { listenTcp } from '../../src/adapters/tcp.ts';
import { certificate } from '../support/certificate.ts';
import { echo } from '../support/scripted-session.ts';
import { adapterSuite } from './suite.ts';
import { ownStreamClient, rawStreamClient } from './suite-clients.ts';

adapterSuite('tls', {
  framed: false,
  async serve(options) {
    const endpoint = await listenTcp({ ...options, port: 0, tls: await certificate() });
    return { port: endpoint.port, stats: endpoint.stats, stop: () => endpoint.drain({ deadline: 0 }) };
  },
  clients: {
    'our client': ownStreamClient(true),
    'a raw client': rawStreamClient(async (port) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      return socket;
    }),
  },
});

test('[CONN-39] bytes that are no TLS end their own connection and nothing else', async () => {
  const endpoint = await listenTcp({
    port: 0,
    tls: await certificate(),
    protocols: [echo([], { acceptsUnnamed: true })],
  });
  const plain = connectPlain({ port: endpoint.port, host: '127.0.0.1' });
  plain.on('error', () => {});
  plain.write('GET / HTTP/1.1\r\n\r\n');
  await once(plain.resume(), 'close');
  const honest = connect({ port: endpoint.port, host: '127.0.0.1', rejectUnauthorized: false });
  honest.write('hello');
  expect(String((await once(honest, 'data'))[0])).toBe('hello');
  honest.destroy();
  await endpoint.drain({ deadline: 0 });
  expect(endpoint.stats()).toMatchObject({ open: 0, accepted: 1 });
});
