/** An MQTT broker on TCP for `test/bench/mqtt.script.ts`: ours, or aedes. Says its port, and its heap when asked. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { listenTcp } from '../../../src/adapters/tcp.ts';
import { createBus } from '../../../src/bus/bus.ts';
import { mqttBroker } from '../../../src/mqtt/index.ts';

async function start(which: string | undefined): Promise<number> {
  if (which === 'subwire') {
    const bus = createBus({ open: true });
    const endpoint = await listenTcp({ port: 0, protocols: [mqttBroker({ bus })] });
    return endpoint.port;
  }
  const { Aedes } = await import('aedes');
  const broker = await Aedes.createBroker();
  const server = createServer(broker.handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const port = await start(process.argv[2]);
process.on('message', () => {
  for (let round = 0; round < 4; round++) globalThis.gc?.();
  process.send?.({ heap: process.memoryUsage().heapUsed });
});
process.on('disconnect', () => process.exit());
process.send?.({ port });
