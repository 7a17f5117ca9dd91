import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createClient } from '../../src/graphql/client/client.ts';
import { createStompClient } from '../../src/stomp/client/client.ts';
import { freePort } from '../support/programs/program.ts';
import { root } from '../support/project-files.ts';

test('the server of the README runs as it is, joins the two protocols, and leaves when it is told to', async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const [, code = ''] = /```ts\n(import \{ createServer \}.*?)```/s.exec(readme) ?? [];
  expect(code.trim().split('\n').length).toBeLessThanOrEqual(24);
  const port = await freePort();
  const directory = join(root, '.cache/readme');
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'server.ts'), code.replace('listen(4000)', `listen(${port})`));
  const server = spawn(process.execPath, ['--import', 'tsx', join(directory, 'server.ts')], { cwd: root });
  try {
    const url = `ws://127.0.0.1:${port}/ws`;
    // Until the server listens, the clients come back by themselves.
    const client = createClient({ url, backoff: { base: 200, cap: 200 } });
    const stomp = createStompClient({ brokerURL: url, backoff: { base: 200, cap: 200 } });
    await stomp.connect();
    const prices = client.iterate({ query: 'subscription { price(symbol: "ACME") { price } }' });
    // A query on the same socket is read after the subscription.
    for await (const { data } of client.iterate({ query: '{ hello }' })) expect(data).toEqual({ hello: null });
    await stomp.publish({ destination: '/topic/prices', body: '{"symbol":"ACME","price":1}', receipt: true });
    expect(await prices.next()).toEqual({ done: false, value: { data: { price: { price: 1 } } } });
    await stomp.disconnect();
    client.dispose();
    const exit = once(server, 'exit');
    server.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
  } finally {
    server.kill('SIGKILL');
  }
});
