import { attach, createBus } from 'subwire';
import { stompBroker } from 'subwire/stomp';
import { serve } from './harness.ts';

attach(await serve(), { path: '/ws', protocols: [stompBroker({ bus: createBus({ open: { prices: 'readwrite' } }) })] });
