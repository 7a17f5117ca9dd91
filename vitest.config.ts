import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      // Vite would take index.mjs and Node index.js: two instances of graphql in one process refuse each other.
      { find: /^graphql$/, replacement: fileURLToPath(import.meta.resolve('graphql')) },
      { find: /^#socket$/, replacement: source('adapters/node-client.ts') },
      { find: /^subwire$/, replacement: source('index.ts') },
      { find: /^subwire\/(graphql|stomp)$/, replacement: source('$1/index.ts') },
      { find: /^subwire\/graphql-ws$/, replacement: source('graphql/graphql-ws.ts') },
      { find: /^subwire\/(rxjs|(?:graphql|stomp|adapters)\/.+)$/, replacement: source('$1.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 15_000,
    hookTimeout: 60_000,
    // Real programs and sockets share the machine with the tests.
    maxWorkers: 2,
    // Brokers and a browser on a machine that others use as well: one more chance, which the report shows as a retry.
    retry: process.env['CI'] ? 1 : 0,
    reporters: process.env['CI'] ? ['default', 'json'] : ['default'],
    outputFile: { json: 'coverage/results.json' },
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text'],
    },
  },
});
