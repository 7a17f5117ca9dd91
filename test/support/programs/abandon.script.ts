import { test } from 'vitest';
import { freePort, startProgram } from './program.ts';

// Run by programs.test.ts, as a test file of its own: it starts a program, and does not live to stop it.
test('starts a program and comes to a bad end', async () => {
  const port = await freePort();
  await startProgram({
    name: 'Orphan',
    directory: process.env['ORPHAN'] ?? '',
    command: [process.execPath, '-e', `require('net').createServer().listen(${port}, '127.0.0.1')`],
    port,
    within: 10_000,
  });
  if (process.env['BAD_END'] === 'is killed') process.kill(process.pid, 'SIGKILL');
  throw new Error('nothing is stopped');
});
