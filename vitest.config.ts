import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { entryPoints } from './test/support/entry-points.ts';
import { root } from './test/support/project-files.ts';

export default defineConfig({
  resolve: {
    alias: [
      // Vite would take index.mjs and Node index.js: two instances of graphql in one process refuse each other.
      { find: /^graphql$/, replacement: fileURLToPath(import.meta.resolve('graphql')) },
      ...[...entryPoints].map(([name, source]) => ({
        find: new RegExp(`^${name}$`),
        replacement: `${root}/${source}`,
      })),
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
