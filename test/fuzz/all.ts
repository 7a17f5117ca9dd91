import { codecFuzz } from './codecs.ts';
import type { Fuzz } from './fuzz.ts';
import { graphqlDialogues } from './graphql-dialogues.ts';
import { createLiveFuzz } from './live.ts';
import { stompDialogues } from './stomp-dialogues.ts';

/** Every kind of input that is made up. */
export const allFuzz: readonly Fuzz[] = [...codecFuzz, stompDialogues, graphqlDialogues, createLiveFuzz()];
