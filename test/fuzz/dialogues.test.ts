import { expect, test } from 'vitest';
import { firstSeed, runFuzz } from './fuzz.ts';
import { graphqlDialogues } from './graphql-dialogues.ts';
import { stompDialogues } from './stomp-dialogues.ts';

const seed = firstSeed();

test.each([stompDialogues, graphqlDialogues])('$name', { timeout: 60_000 }, async (fuzz) => {
  const { count } = await runFuzz(fuzz, fuzz.short, seed);
  expect(count).toBeGreaterThanOrEqual(fuzz.short);
});
