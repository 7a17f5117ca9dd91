import { assertOption, checkNames, inWords, isRecord, mustBeFunctions, mustBeRecord } from '../../core/options.ts';
import { slowSubscriberOf } from '../../core/slow-subscriber.ts';
import type { GraphqlOptions } from './options.ts';

const functions = {
  parse: true,
  validate: true,
  execute: true,
  subscribe: true,
  compile: true,
  share: true,
  onConnect: true,
  onDisconnect: true,
  onClose: true,
  onPing: true,
  onPong: true,
  onSubscribe: true,
  onOperation: true,
  onEvent: true,
  onNext: true,
  onError: true,
  onComplete: true,
  jsonMessageReviver: true,
  jsonMessageReplacer: true,
} as const;

/** Every option of `graphqlServer()`. */
const optionNames = {
  schema: true,
  context: true,
  contextPerEvent: true,
  roots: true,
  validationRules: true,
  trustedDocuments: true,
  limits: true,
  connectionInitWaitTimeout: true,
  slowSubscriber: true,
  bus: true,
  isProd: true,
  maskError: true,
  ...functions,
} as const satisfies Record<keyof GraphqlOptions, true>;

const elsewhere = (name: string): string => `that is an option of attach(): attach(http, { ${name}: … }).`;

/** Names that other servers of GraphQL use, each with what to write here. */
const foreignNames: Readonly<Record<string, string>> = {
  authenticate: elsewhere('authenticate'),
  path: elsewhere('path'),
  origin: elsewhere('origin'),
  protocols: elsewhere('protocols'),
  server: 'the http server is the first argument of attach().',
  keepAlive: 'the time between pings is limits.pingInterval of attach().',
  typeDefs: 'build a schema of it: schema: makeExecutableSchema({ typeDefs, resolvers }).',
  resolvers: 'build a schema with it: schema: makeExecutableSchema({ typeDefs, resolvers }).',
  rootValue: 'give it per kind of operation: roots: { query, mutation, subscription }.',
  contextValue: 'that is called context.',
  formatError: 'what clients are told of errors is said by maskError.',
  maskedErrors: 'what clients are told of errors is said by maskError.',
  introspection: 'use validationRules: [NoSchemaIntrospectionCustomRule] of the graphql package.',
  subscriptions: 'subscriptions are what this server is for; its hooks are options of their own.',
  onOperationComplete: 'that is called onComplete.',
};

/** Is it a schema, whichever copy of the graphql package made it? */
const isSchema = (value: object): boolean =>
  'getQueryType' in value && typeof value.getQueryType === 'function' && 'getTypeMap' in value;

/** Throws a `TypeError` that names an option that there is not, and says what was probably meant. */
export function checkOptionNames(options: object): void {
  if (isSchema(options)) throw new TypeError('graphqlServer({ schema }): you passed the schema itself');
  checkNames(options, optionNames, 'graphqlServer()', foreignNames);
}

/** Throws a `TypeError` that names the option when one is wrong. */
export function checkOptions(options: GraphqlOptions<never, never>): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('graphqlServer() needs options: { schema } or { onSubscribe }');
  }
  const { schema, validationRules, connectionInitWaitTimeout: timeout = 0 } = options;
  for (const name of Object.keys(functions) as (keyof typeof functions)[]) mustBeFunctions({ [name]: options[name] });
  if (
    schema === undefined ? !options.onSubscribe : schema === null || !['object', 'function'].includes(typeof schema)
  ) {
    throw new TypeError('schema must be a GraphQLSchema or a function that returns one, unless there is onSubscribe');
  }
  if (validationRules !== undefined && !Array.isArray(validationRules)) {
    throw new TypeError('validationRules must be an array of rules, such as [NoSchemaIntrospectionCustomRule]');
  }
  const { trustedDocuments: trusted, contextPerEvent, isProd } = options as GraphqlOptions;
  mustBeRecord(options.limits, 'limits', 'an object such as { maxOperations: 10 }');
  mustBeRecord(options.roots, 'roots', 'an object such as { query, mutation, subscription }');
  for (const [name, value] of Object.entries({ contextPerEvent, isProd }))
    assertOption(value === undefined || typeof value === 'boolean', name, 'true or false', value);
  const isTrusted = trusted === undefined || typeof trusted === 'function' || trusted instanceof Map;
  if (!isTrusted && !isRecord(trusted)) {
    throw new TypeError(
      'trustedDocuments must be a Map or an object of documents by hash, or a function that finds one',
    );
  }
  if (options.compile && (options.execute || options.subscribe)) {
    throw new TypeError('compile takes the place of execute and subscribe: leave them out, or leave out compile');
  }
  if (options.maskError !== undefined && options.maskError !== false) mustBeFunctions({ maskError: options.maskError });
  if (options.contextPerEvent && typeof options.context !== 'function') {
    throw new TypeError('contextPerEvent needs context to be a function: it is asked anew for each event');
  }
  if (options.subscribe && (options.contextPerEvent || options.onEvent)) {
    throw new TypeError('contextPerEvent and onEvent need events that are executed here: leave out subscribe');
  }
  slowSubscriberOf(options.slowSubscriber);
  const { bus } = options;
  assertOption(bus === undefined || typeof bus?.position === 'function', 'bus', 'a bus of createBus()', bus);
  if (timeout !== null && !(typeof timeout === 'number' && timeout >= 0)) {
    throw new TypeError(`connectionInitWaitTimeout must be a number of ms, 0 for none; got ${inWords(timeout)}`);
  }
}
