import { describe, expect, test } from 'vitest';
import { filesBelow, readText } from '../support/project-files.ts';
import { parseTranscripts, type Transcript } from '../support/transcripts/parse.ts';
import { cutAt, octetByOctet, runTranscript, whole } from '../support/transcripts/run.ts';
import { testedClient } from '../support/transcripts/tested-client.ts';
import { testedServer } from '../support/transcripts/tested-server.ts';

/** Every transcript against our own server or client: without sockets, in a time of its own. */
const transcripts = filesBelow('test/transcripts', '.wire').flatMap((file) => parseTranscripts(file, readText(file)));

for (const transcript of transcripts) {
  describe(`${transcript.title} (${transcript.place})`, () => played(transcript));
}

function played(transcript: Transcript): void {
  const tested = transcript.options.peer === 'server' ? testedServer : testedClient;

  test('whole', async () => {
    await runTranscript(transcript, tested(transcript.options, whole));
  });

  // A message of a WebSocket arrives whole: only a stream of STOMP frames can be cut.
  if (transcript.options.subprotocol === 'graphql-transport-ws') return;

  test('octet by octet', async () => {
    await runTranscript(transcript, tested(transcript.options, octetByOctet));
  });

  test('cut at every octet', { timeout: 60_000 }, async () => {
    let cuts = 0;
    for (let reached = true; reached; cuts++) {
      const cut = cutAt(cuts + 1);
      await runTranscript(transcript, tested(transcript.options, cut));
      ({ reached } = cut);
    }
    expect(cuts).toBeGreaterThan(0);
  });
}
