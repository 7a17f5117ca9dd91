import { CloseCode, connect, createBus, negotiate, topic } from 'subwire';
import { createClient } from 'subwire/graphql/client';
import { Decoder, encodeFrame, stompRelay } from 'subwire/stomp';
import { createStompClient } from 'subwire/stomp/client';
import { createRpc } from 'subwire/stomp/rpc';

console.log(CloseCode, connect, createBus, negotiate, topic, createClient, createStompClient, createRpc);
// The codec of STOMP is wanted in browsers as well.
console.log(Decoder, encodeFrame, stompRelay);
