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

// What there is, and nothing more: nobody adds to it unseen. Of it some 1.5 kB say what is wrong with an option or a call, and 0.5 kB why
// a connection cannot be had.
export default [
  check('core and GraphQL client', graphql, '10.1 kB'),
  check('core and STOMP client', stomp, '14.7 kB'),
  check('core and both clients', { ...graphql, ...stomp }, '18.9 kB'),
];
