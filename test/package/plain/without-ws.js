import { attach, createBus, topic } from 'subwire';
import { listenTcp } from 'subwire/adapters/tcp';
import { stompBroker } from 'subwire/stomp';

const bus = createBus();
let heard = 0;
bus.listen('prices', () => heard++);
await bus.publish(topic('prices'), 1);
const protocols = [stompBroker({ bus })];
const endpoint = await listenTcp({ port: 0, protocols });
let refused = '';
try {
  attach({ on() {}, listenerCount: () => 0, listening: false }, { protocols });
} catch (error) {
  refused = String(error);
}
console.log(JSON.stringify({ heard, port: endpoint.port > 0, refused }));
process.exit();
