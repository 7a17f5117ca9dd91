// Limits of what the clients add to a browser bundle. `npm run build`, then:
// npx size-limit --config test/support/size-limit.config.js
const graphql = { '../../dist/graphql/client/client.js': '{ createClient }' };
const stomp = { '../../dist/stomp/client/client.js': '{ createStompClient }' };

const check = (name, entries, limit) => ({
  name,
  import: entries,
  limit,
  gzip: true,
  // The paths of tsconfig.json are for the tests: a user's bundler resolves `#socket` by package.json.
  modifyEsbuildConfig: (config) => ({ ...config, format: 'esm', target: 'es2022', tsconfigRaw: '{}' }),
});

// What there is, and nothing more: nobody adds to it unseen. The aim is 4.5, 6 and 8 kB. With all that the clients can do, one
// file that shares nothing with the other client would be 4.85 kB for GraphQL, and 8.3 kB for STOMP with a codec that checks less.
export default [
  check('core and GraphQL client', graphql, '5.97 kB'),
  check('core and STOMP client', stomp, '9.55 kB'),
  check('core and both clients', { ...graphql, ...stomp }, '11.8 kB'),
];
