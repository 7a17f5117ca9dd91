import { buildSchema } from 'graphql';
import { attach, createBus, type Endpoint, type HttpServer } from 'subwire';
import { listenTcp, type TcpEndpoint, tcp } from 'subwire/adapters/tcp';
import { graphqlServer } from 'subwire/graphql';
import { stompBroker } from 'subwire/stomp';

declare const server: HttpServer;
const bus = createBus();
const protocols = [graphqlServer({ schema: buildSchema('type Query { hello: String }') }), stompBroker({ bus })];

export const endpoint: Endpoint = attach(server, { protocols, deflate: { threshold: 1_024 } });
export const streams: Promise<TcpEndpoint> = listenTcp({ port: 61_613, protocols, tls: { key: 'k', cert: 'c' } });
export const transport = tcp({ port: 61_613, tls: { servername: 'rabbit' } });
