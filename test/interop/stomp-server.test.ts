import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { RxStomp, RxStompRPC } from '@stomp/rx-stomp';
import { Client, type IMessage, type StompConfig, Versions } from '@stomp/stompjs';
import { firstValueFrom, take, toArray } from 'rxjs';
import stompit, { type Client as StompitClient } from 'stompit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { attach } from '../../src/adapters/attach.ts';
import { listenTcp, type TcpEndpoint } from '../../src/adapters/tcp.ts';
import type { Bus } from '../../src/bus/bus.ts';
import type { Endpoint } from '../../src/core/endpoint.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';
import { type StompBroker, stompBroker } from '../../src/stomp/index.ts';
import { certificate } from '../support/certificate.ts';
import { openBus } from '../support/open-bus.ts';
import { requireProgram } from '../support/programs/program.ts';

let http: Server;
let endpoint: Endpoint;
let tcp: TcpEndpoint;
let broker: StompBroker;
let bus: Bus;
let url: string;
const clients: { deactivate(): Promise<void> }[] = [];

beforeEach(async () => {
  bus = openBus();
  broker = stompBroker({
    bus,
    open: true,
    onSend: ({ json }) => ({ body: JSON.stringify((json() as number) * 2) }),
  });
  http = createServer();
  endpoint = attach(http, {
    path: '/ws',
    protocols: [broker],
    authenticate: ({ passcode }) => passcode !== 'wrong' && {},
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`;
  tcp = await listenTcp({ port: 0, protocols: [broker] });
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.deactivate()));
  await Promise.all([endpoint.drain({ deadline: 0 }), tcp.drain({ deadline: 0 })]);
  http.close();
});

const pythonScript = `
import sys, threading, time, stomp
port, version, tls = int(sys.argv[1]), sys.argv[2], sys.argv[3] == 'TLS'
kinds = {'1.0': stomp.StompConnection10, '1.1': stomp.StompConnection11, '1.2': stomp.StompConnection12}
done, left = threading.Semaphore(0), threading.Event()
connection = kinds[version]([('127.0.0.1', port)])
if tls: connection.set_ssl([('127.0.0.1', port)])
class Listener(stomp.ConnectionListener):
    def on_message(self, frame):
        print('got', frame.body, flush=True)
        headers = frame.headers
        if version == '1.0': connection.ack(headers['message-id'])
        elif version == '1.1': connection.ack(headers['message-id'], headers['subscription'])
        else: connection.ack(headers['ack'])
        done.release()
    def on_error(self, frame):
        print('error', frame.headers, frame.body, flush=True)
    def on_receipt(self, frame):
        print('receipt', frame.headers['receipt-id'], flush=True)
        left.set()
connection.set_listener('', Listener())
if tls:
    # It reads and writes one TLS object from two threads, which OpenSSL does not bear: the tickets that follow the
    # handshake are read before CONNECT is written.
    connection.transport.start()
    time.sleep(0.2)
    stomp.protocol.Protocol12.connect(connection, wait=True)
else: connection.connect(wait=True)
connection.subscribe('/queue/python', id='1', ack='client')
connection.send('/queue/python', 'one é')
transaction = connection.begin()
connection.send('/queue/python', 'two', transaction=transaction)
connection.commit(transaction)
for _ in range(2): done.acquire(timeout=5)
connection.disconnect(receipt='bye')
left.wait(5)
`;

const webSocketFactory = (protocols: string[]) => () => new WebSocket(url, protocols) as never;

describe('stompjs', () => {
  function createStompJs(config: StompConfig = {}): Client {
    const client = new Client({
      webSocketFactory: webSocketFactory(Versions.default.protocolVersions()),
      reconnectDelay: 0,
      ...config,
    });
    clients.push(client);
    return client;
  }

  async function connect(config: StompConfig = {}): Promise<Client> {
    const client = createStompJs(config);
    await new Promise<void>((resolve) => {
      client.onConnect = () => resolve();
      client.activate();
    });
    return client;
  }

  const receiptOf = (client: Client, id: string): Promise<void> =>
    new Promise((resolve) => client.watchForReceipt(id, () => resolve()));

  test.each([
    ['1.2', new Versions(['1.2'])],
    ['1.1', new Versions(['1.1'])],
    ['1.0', new Versions(['1.0'])],
  ])('[STOMP-32] speaks %s and gets what it sent, text and bytes', async (version, stompVersions) => {
    const client = await connect({
      stompVersions,
      webSocketFactory: webSocketFactory(stompVersions.protocolVersions()),
    });
    expect(client.connectedVersion).toBe(version);
    const got: IMessage[] = [];
    const done = new Promise<void>((resolve) => {
      client.subscribe('/topic/a', (message) => {
        got.push(message);
        if (got.length === 3) resolve();
      });
    });
    client.publish({ destination: '/topic/a', body: 'héllo 漢字', headers: { own: 'x' } });
    client.publish({ destination: '/topic/a', binaryBody: Uint8Array.of(0, 255, 10, 0) });
    client.publish({ destination: '/topic/a', body: 'y'.repeat(200_000) });
    await done;
    expect(got[0]?.body).toBe('héllo 漢字');
    expect(got[0]?.headers['own']).toBe('x');
    expect([...(got[1]?.binaryBody ?? [])]).toEqual([0, 255, 10, 0]);
    expect(got[2]?.body.length).toBe(200_000);
  });

  test('queues, acks, nacks, transactions and receipts', async () => {
    const client = await connect();
    const got: string[] = [];
    let nacked = false;
    const done = new Promise<void>((resolve) => {
      client.subscribe(
        '/queue/jobs',
        (message) => {
          if (message.body === 'two' && !nacked) {
            nacked = true;
            message.nack();
            return;
          }
          got.push(`${message.body}${message.headers['redelivered'] ? '!' : ''}`);
          message.ack();
          if (got.length === 3) resolve();
        },
        { ack: 'client-individual' },
      );
    });
    const transaction = client.begin();
    for (const body of ['one', 'two', 'three']) {
      client.publish({ destination: '/queue/jobs', body, headers: { transaction: transaction.id } });
    }
    transaction.commit();
    await done;
    expect(got.sort()).toEqual(['one', 'three', 'two!']);
    const receipt = receiptOf(client, 'r');
    client.publish({ destination: '/queue/jobs', body: 'four', headers: { receipt: 'r' } });
    await receipt;
  });

  test('large frames in pieces arrive whole', async () => {
    const client = await connect({ splitLargeFrames: true, maxWebSocketChunkSize: 1_000 });
    const got = new Promise<string>((resolve) => client.subscribe('/topic/a', (message) => resolve(message.body)));
    client.publish({ destination: '/topic/a', body: 'z'.repeat(50_000) });
    expect((await got).length).toBe(50_000);
  });

  test('a refused login is an ERROR and 1008', async () => {
    const client = createStompJs({ connectHeaders: { login: 'a', passcode: 'wrong' } });
    const error = new Promise<string>((resolve) => {
      client.onStompError = ({ headers }) => resolve(headers['message'] ?? '');
    });
    const code = new Promise<number>((resolve) => {
      client.onWebSocketClose = (event: { code: number }) => resolve(event.code);
    });
    client.activate();
    expect(await error).toContain('login or passcode was not accepted');
    expect(await code).toBe(1008);
  });

  test('deactivate ends with the RECEIPT and 1000', async () => {
    const client = await connect();
    const code = new Promise<number>((resolve) => {
      client.onWebSocketClose = (event: { code: number }) => resolve(event.code);
    });
    await client.deactivate();
    expect(await code).toBe(1000);
  });
});

describe('rx-stomp', () => {
  async function connect(): Promise<RxStomp> {
    const client = new RxStomp();
    clients.push(client);
    client.configure({ webSocketFactory: webSocketFactory(Versions.default.protocolVersions()), reconnectDelay: 0 });
    client.activate();
    await firstValueFrom(client.connected$);
    return client;
  }

  test('watch, publish with a receipt', async () => {
    const client = await connect();
    const bodies = firstValueFrom(client.watch('/topic/a').pipe(take(2), toArray()));
    for (const body of ['1', '2']) {
      const receipt = client.asyncReceipt(body);
      client.publish({ destination: '/topic/a', body, headers: { receipt: body } });
      await receipt;
    }
    expect((await bodies).map(({ body }) => body)).toEqual(['1', '2']);
  });

  test('rpc over a temporary queue, answered by another client and by the application', async () => {
    const service = await connect();
    service.watch('/queue/double').subscribe((request) => {
      service.publish({
        destination: request.headers['reply-to']!,
        body: String(Number(request.body) * 2),
        headers: { 'correlation-id': request.headers['correlation-id']! },
      });
    });
    const rpc = new RxStompRPC(await connect());
    expect((await firstValueFrom(rpc.rpc({ destination: '/queue/double', body: '21' }))).body).toBe('42');
    expect((await firstValueFrom(rpc.rpc({ destination: '/app/double', body: '4' }))).body).toBe('8');
  });
});

describe('over streams', () => {
  const portOf = { TCP: () => tcp.port, TLS: () => secure.port };
  let secure: TcpEndpoint;
  beforeEach(async () => {
    secure = await listenTcp({ port: 0, protocols: [broker], tls: await certificate() });
  });
  afterEach(() => secure.drain({ deadline: 0 }));

  test.each(['TCP', 'TLS'] as const)('stompit over %s sends, subscribes, acknowledges and leaves', async (stream) => {
    const client = await new Promise<StompitClient>((resolve, reject) => {
      const connectHeaders = { host: 'localhost', 'heart-beat': '1000,1000' };
      const ssl = stream === 'TLS';
      const options = { host: '127.0.0.1', port: portOf[stream](), connectHeaders, ssl, rejectUnauthorized: false };
      stompit.connect(options, (error, made) => (error ? reject(error) : resolve(made)));
    });
    const body = new Promise<string>((resolve, reject) => {
      client.subscribe({ destination: '/queue/a', ack: 'client-individual' }, (error, message) => {
        if (error) return reject(error);
        message.readString('utf8', (failed, text) => {
          if (failed) return reject(failed);
          client.ack(message);
          resolve(text ?? '');
        });
      });
    });
    const frame = client.send({ destination: '/queue/a', 'content-type': 'text/plain' });
    frame.write('hello ');
    frame.end('stompit');
    expect(await body).toBe('hello stompit');
    await new Promise<void>((resolve, reject) => client.disconnect((error) => (error ? reject(error) : resolve())));
    expect(broker.stats().queued).toBe(0);
  });

  const pythonTest = requireProgram('python3-stomp', test);

  pythonTest.each([
    ['1.0', 'TCP'],
    ['1.1', 'TCP'],
    ['1.2', 'TCP'],
    ['1.2', 'TLS'],
  ] as const)(
    'stomp.py speaks %s over %s: subscribe, acknowledge, transaction, receipt, disconnect',
    async (version, stream) => {
      const child = spawn('/usr/bin/python3', ['-c', pythonScript, String(portOf[stream]()), version, stream]);
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (data) => {
          output += data.toString();
        });
      }
      const [code] = await once(child, 'close');
      expect(output).toBe('got one é\ngot two\nreceipt bye\n');
      expect(code).toBe(0);
      expect(broker.stats().queued).toBe(0);
    },
  );

  /** Everything that comes until the server closes. */
  async function talk(socket: Socket, octets: Iterable<Uint8Array>): Promise<string> {
    socket.setNoDelay(true);
    let received = '';
    socket.on('data', (data) => {
      received += data.toString();
    });
    const closed = once(socket, 'close');
    for (const piece of octets) {
      socket.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    return received;
  }

  const script =
    'CONNECT\naccept-version:1.2\nhost:h\n\n\0SUBSCRIBE\nid:0\ndestination:/topic/a\n\n\0\n\n' +
    'SEND\r\ndestination:/topic/a\r\ncontent-length:3\r\n\r\na\0é\0DISCONNECT\nreceipt:bye\n\n\0';

  test('[STOMP-14] octet by octet', async () => {
    const script2 = script.replace('content-length:3', 'content-length:4');
    const received = await talk(
      connectTcp(tcp.port, '127.0.0.1'),
      [...encodeUtf8(script2)].map((octet) => Uint8Array.of(octet)),
    );
    expect(received).toMatch(/^CONNECTED\nversion:1\.2\n/);
    expect(received).toContain('content-length:4\n\na\0é\0RECEIPT\nreceipt-id:bye\n\n\0');
  });

  test('an ERROR is flushed before the end', async () => {
    const received = await talk(connectTcp(tcp.port, '127.0.0.1'), [encodeUtf8(script)]);
    expect(received).toContain('ERROR\nmessage:Malformed frame\\c');
  });

  test('over TLS', async () => {
    const socket = connectTls({ port: secure.port, host: '127.0.0.1', rejectUnauthorized: false });
    expect(await talk(socket, [encodeUtf8('CONNECT\n\n\0DISCONNECT\nreceipt:1\n\n\0')])).toContain('receipt-id:1');
  });
});

test('[STOMP-14] over WebSocket, text and binary messages are one stream, however frames are spread over them', async () => {
  const socket = new WebSocket(url, 'v12.stomp');
  const messages = on(socket, 'message');
  await once(socket, 'open');
  socket.send('CONNECT\naccept-ver');
  socket.send(encodeUtf8('sion:1.2\nhost:h\n\n\0\nSUBSCRIBE\nid:0\ndestina'));
  socket.send('tion:/topic/a\n\n\0\r\n\nSEND\ndestination:/topic/a\n\n');
  const [first, second] = [Uint8Array.of(0xc3), Uint8Array.of(0xa9, 0)];
  socket.send(first);
  socket.send(second);
  socket.send(encodeUtf8('SEND\ndestination:/topic/a\ncontent-length:2\n\n'));
  socket.send(Uint8Array.of(0, 0xff, 0));
  const got: [string, boolean][] = [];
  for await (const [data, isBinary] of messages) {
    got.push([(data as Buffer).toString('latin1').split('\n\n')[1] ?? '', isBinary]);
    if (got.length === 3) break;
  }
  expect(got).toEqual([
    ['\0', false],
    ['\u00c3\u00a9\0', false],
    ['\0\u00ff\0', true],
  ]);
  socket.close();
  await once(socket, 'close');
});

describe('one bus', () => {
  test('a WebSocket client and a TCP client share topics and queues, and an offer of no token is STOMP', async () => {
    const socket = new WebSocket(url);
    const messages = on(socket, 'message');
    const next = async (): Promise<[string, boolean]> => {
      const { value } = await messages.next();
      return [String(value[0]), value[1]];
    };
    await once(socket, 'open');
    expect(socket.protocol).toBe('');
    socket.send('CONNECT\naccept-version:1.1\nhost:h\n\n\0SUBSCRIBE\nid:0\ndestination:/queue/shared\nreceipt:s\n\n\0');
    expect((await next())[0]).toContain('CONNECTED');
    expect((await next())[0]).toContain('receipt-id:s');
    const sender = connectTcp(tcp.port, '127.0.0.1');
    sender.end('CONNECT\n\n\0SEND\ndestination:/queue/shared\n\nover\0');
    const [text, isBinary] = await next();
    expect(text).toContain('\n\nover\0');
    expect(isBinary).toBe(false);
    socket.close();
    await once(socket, 'close');
  });
});
