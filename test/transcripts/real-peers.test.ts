import { afterAll, beforeAll, describe, test } from 'vitest';
import { type ActiveMq, startActiveMq } from '../support/programs/activemq.ts';
import { requireProgram } from '../support/programs/program.ts';
import { type RabbitMq, startRabbitMq } from '../support/programs/rabbitmq.ts';
import { filesBelow, readText } from '../support/project-files.ts';
import { parseTranscripts, type Transcript } from '../support/transcripts/parse.ts';
import { runTranscript } from '../support/transcripts/run.ts';
import { type Opener, overTcp, overWebSocket, startGraphqlWs, testedPeer } from '../support/transcripts/tested-peer.ts';

/** The transcripts that hold for servers of others, too, over real sockets. */
const transcripts = filesBelow('test/transcripts', '.wire').flatMap((file) => parseTranscripts(file, readText(file)));

/** One test for each transcript that is marked for a peer. */
function playedBy(peer: string, testHere: typeof test, opener: () => Opener): void {
  for (const transcript of transcripts.filter(({ options }: Transcript) => options.real.includes(peer))) {
    testHere(`${transcript.title} (${transcript.place})`, async () => {
      await runTranscript(transcript, testedPeer(transcript.options, opener()));
    });
  }
}

describe('RabbitMQ', () => {
  const testHere = requireProgram('rabbitmq', test);
  let rabbit: RabbitMq | undefined;
  beforeAll(async () => {
    if (testHere === test) rabbit = await startRabbitMq();
  });
  afterAll(() => rabbit?.stop());

  describe('over WebSocket', () => playedBy('rabbitmq', testHere, () => overWebSocket((rabbit as RabbitMq).url)));
  describe('over TCP', () => playedBy('rabbitmq', testHere, () => overTcp((rabbit as RabbitMq).port)));
});

describe('ActiveMQ', () => {
  const testHere = requireProgram('activemq', test);
  let active: ActiveMq | undefined;
  beforeAll(async () => {
    if (testHere === test) active = await startActiveMq();
  });
  afterAll(() => active?.stop());

  playedBy('activemq', testHere, () => overTcp((active as ActiveMq).port));
});

describe('graphql-ws', () => {
  let server: Awaited<ReturnType<typeof startGraphqlWs>>;
  beforeAll(async () => {
    server = await startGraphqlWs();
  });
  afterAll(() => server.stop());

  playedBy('graphql-ws', test, () => overWebSocket(server.url));
});
