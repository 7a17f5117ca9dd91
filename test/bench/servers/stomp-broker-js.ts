import StompServer from 'stomp-broker-js';
import { serve } from './harness.ts';

new StompServer({ server: await serve(), path: '/ws', heartbeat: [0, 0] });
