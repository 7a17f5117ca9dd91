import { buildSchema, type GraphQLSchema } from 'graphql';
import type { EventKind } from './events.ts';

/** The schema of every GraphQL server here. `subscribe` gives the events of a field. */
export function createSchema(subscribe: (kind: EventKind) => AsyncIterable<unknown>): GraphQLSchema {
  const schema = buildSchema(/* GraphQL */ `
    type Tick { seq: Int! symbol: String! price: Float! at: Float! }
    type Row { id: String! venue: String! bid: Float! ask: Float! size: Int! }
    type Book { seq: Int! rows: [Row!]! }
    type Query { echo(text: String!): String! }
    type Subscription { tick: Tick! book: Book! }
  `);
  for (const kind of ['tick', 'book'] as const) {
    const field = schema.getSubscriptionType()?.getFields()[kind];
    if (field) Object.assign(field, { subscribe: () => subscribe(kind), resolve: (event: unknown) => event });
  }
  const echo = schema.getQueryType()?.getFields()['echo'];
  if (echo) echo.resolve = (_root, { text }: { text: string }) => text;
  return schema;
}
