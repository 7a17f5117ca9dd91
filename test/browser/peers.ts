/** What the page of these tests has at hand, as an application would import it: `window.peers`. */
export { ApolloClient, gql, InMemoryCache } from '@apollo/client';
export { GraphQLWsLink } from '@apollo/client/link/subscriptions';
export { Client as StompJs } from '@stomp/stompjs';
export { createClient as createGraphqlWsClient } from 'graphql-ws';
export { createClient } from 'subwire/graphql/client';
export { createStompClient } from 'subwire/stomp/client';
export { Mailbox } from '../support/mailbox.ts';
export { closeLine, openLine, sendOnLine } from './suite-page.ts';
