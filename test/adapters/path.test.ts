import { expect, test } from 'vitest';
import { pathOf, readPath } from '../../src/adapters/path.ts';

test.each([
  ['/ws', '/ws', {}],
  ['/ws', '/ws/', {}],
  ['/ws/', '/ws', {}],
  ['/', '/', {}],
  ['/ws', '/WS', undefined],
  ['/ws', '//ws', undefined],
  ['/ws', '/wsx', undefined],
  ['/ws', '/', undefined],
  ['/tenants/:id/graphql', '/tenants/7/graphql', { id: '7' }],
  ['/tenants/:id/graphql', '/tenants/a%2Fb%20c/graphql/', { id: 'a/b c' }],
  ['/tenants/:id/graphql', '/tenants//graphql', undefined],
  ['/tenants/:id/graphql', '/tenants/%zz/graphql', undefined],
  ['/tenants/:id/graphql', '/tenants/7', undefined],
  ['/tenants/:id/graphql', '/tenants/7/graphql/more', undefined],
  ['/:a/:b', '/1/2', { a: '1', b: '2' }],
])('[CONN-71] the path %s and a request of %s: %j', (path, asked, params) => {
  expect(readPath(path).match(asked)).toEqual(params);
});

test('[CONN-71] the query is no part of a path', () => {
  expect([pathOf('/ws?a=/b'), pathOf('/ws'), pathOf('')]).toEqual(['/ws', '/ws', '']);
});

test.each([
  ['ws', /^path must begin with "\/"/],
  ['/ws?x', /^path must begin with "\/"/],
  ['/ws#x', /^path must begin with "\/"/],
  ['/w s', /^path must begin with "\/"/],
  [/^\/tenants\/\w+$/, /^path must begin with "\/".*"\/tenants\/:id\/graphql"/],
  ['/tenants/*', /^path knows ":name" for one whole segment/],
  ['/tenants/{id}', /^path knows ":name"/],
  ['/tenants/:id(\\d+)', /^path knows ":name"/],
  ['/tenants/id-:id', /^path knows ":name"/],
  ['/tenants/:', /^path knows ":name"/],
  ['/:id/:id', /^path names a parameter twice/],
])('[CONN-10] a path of %s is a TypeError that says what can be written', (path, message) => {
  expect(() => readPath(path)).toThrow(TypeError);
  expect(() => readPath(path)).toThrow(message);
});
