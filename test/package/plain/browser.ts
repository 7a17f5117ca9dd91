import { CloseCode, createBus, topic } from 'subwire';
import { workerTimers } from 'subwire/adapters/worker-timers';
import { createClient } from 'subwire/graphql/client';
import { observe } from 'subwire/rxjs';
import { Decoder, encodeFrame } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';

const client = createClient({ url: 'ws://localhost/ws' });
const stomp = createStompClient({ brokerURL: 'ws://localhost/ws', clock: workerTimers() });
const prices = topic<{ readonly price: number }>('prices');

export const all = [CloseCode.normal, createBus, client, stomp, prices, observe, Decoder, encodeFrame];
