/**
 * What a transcript looks like:
 *
 * ```
 * # [STOMP-39] [STOMP-42] What is sent to a topic reaches its subscriber
 * @ subprotocol v12.stomp
 * C: CONNECT accept-version:1.2 host:here
 * S: CONNECTED version:1.2
 * C: SUBSCRIBE id:0 destination:/topic/a
 * C: SEND destination:/topic/a | hello
 * S: MESSAGE subscription:0 destination:/topic/a message-id:<id> | hello
 * + 20000 ms
 * S: close 4000 Heartbeat timeout
 * ```
 *
 * How to write one stands in test/transcripts/README.md.
 */
export interface Transcript {
  readonly title: string;
  readonly file: string;
  /** file:line of the title */
  readonly place: string;
  readonly options: Options;
  readonly steps: readonly Step[];
}

export interface Options {
  readonly subprotocol: string;
  /** Who plays: the transcript plays the client, and the server is tested, or the other way round. */
  readonly peer: 'server' | 'client';
  /** Foreign peers for which it holds as well. */
  readonly real: readonly string[];
  /** Options of the tested side. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The server lets in only who shows this passcode. */
  readonly passcode: string | undefined;
}

export type Step =
  | {
      readonly kind: 'line';
      readonly place: string;
      readonly text: string;
      readonly side: 'C' | 'S';
      readonly peer: number;
      readonly what: What;
    }
  | { readonly kind: 'wait'; readonly place: string; readonly ms: number }
  /** Something that the user of the tested side does, or sees. */
  | { readonly kind: 'act' | 'see'; readonly place: string; readonly words: string };

export type What =
  | { readonly kind: 'frame'; readonly command: string; readonly headers: readonly Header[]; readonly body: string }
  | { readonly kind: 'json'; readonly value: unknown }
  /** Octets as they are; in text `<LF>`, `<NUL>`, `<xFF>` and the like stand for what cannot be seen. */
  | { readonly kind: 'raw'; readonly text: string }
  | { readonly kind: 'close'; readonly code: number | undefined; readonly reason: string }
  | { readonly kind: 'open'; readonly protocol: string | undefined }
  /** `gone`: the connection breaks without a close frame. */
  | { readonly kind: 'refuse' | 'gone' | 'ping' | 'pong' };

export interface Header {
  readonly name: string;
  readonly value: string;
  /** `!name`: must not be there. */
  readonly absent: boolean;
}

const realPeers = ['rabbitmq', 'activemq', 'graphql-ws'];

/** The transcripts of a file. Throws with file:line at the first line that does not parse. */
export function parseTranscripts(file: string, text: string): Transcript[] {
  const transcripts: Transcript[] = [];
  let steps: Step[] = [];
  let options: { -readonly [Name in keyof Options]: Options[Name] } | undefined;
  text.split('\n').forEach((line, index) => {
    const place = `${file}:${index + 1}`;
    const fail = (why: string): never => {
      throw new Error(`${place}: ${why}\n${line}`);
    };
    if (line.trim() === '' || line.startsWith('//')) return;
    if (line.startsWith('# ')) {
      if (!/^# (\[[A-Z]+-\d+\] )+\S/.test(line)) fail('a title begins with rule ids: # [STOMP-24] What happens');
      steps = [];
      options = defaults(file);
      transcripts.push({ title: line.slice(2), file, place, options, steps });
    } else if (options === undefined) fail('the first line of a transcript is its title: # [STOMP-24] What happens');
    else if (line.startsWith('@ ')) {
      if (steps.length > 0) fail('options stand before the first line of the dialogue');
      setOption(options, line.slice(2), fail);
    } else steps.push(parseStep(line, place, options, fail));
  });
  for (const { steps: own, place } of transcripts)
    if (own.length === 0) throw new Error(`${place}: nothing happens here`);
  return transcripts;
}

type Fail = (why: string) => never;

const defaults = (file: string): Options => ({
  subprotocol: file.includes('/graphql/') ? 'graphql-transport-ws' : 'v12.stomp',
  peer: 'server',
  real: [],
  options: {},
  passcode: undefined,
});

function setOption(options: { -readonly [Name in keyof Options]: Options[Name] }, text: string, fail: Fail): void {
  const [, name = '', value = ''] = /^(\S+) (.+)$/.exec(text) ?? [];
  if (name === 'subprotocol') options.subprotocol = value;
  else if (name === 'passcode') options.passcode = value;
  else if (name === 'options') options.options = parseJson(value, fail) as Options['options'];
  else if (name === 'peer' && (value === 'server' || value === 'client')) options.peer = value;
  else if (name === 'real' && value.split(',').every((each) => realPeers.includes(each)))
    options.real = value.split(',');
  else
    fail(`no option. There are: subprotocol, peer server|client, real ${realPeers.join(',')}, options {…}, passcode`);
}

function parseStep(line: string, place: string, options: Options, fail: Fail): Step {
  const time = /^\+ (\d+) ms$/.exec(line);
  if (time) {
    if (options.real.length > 0) fail('a transcript for real peers cannot let time pass');
    return { kind: 'wait', place, ms: Number(time[1]) };
  }
  const user = /^U([:=]) (.+)$/.exec(line);
  if (user) return { kind: user[1] === ':' ? 'act' : 'see', place, words: user[2] as string };
  const said = /^([CS])(\d?)([:>]) ?(.*)$/.exec(line);
  if (!said) return fail('no line of a dialogue. There are: C: S: C> S> U: U= and + 1000 ms');
  const [, side, peer, mark, rest = ''] = said;
  const what: What =
    mark === '>'
      ? { kind: 'raw', text: rest }
      : (parseEvent(rest) ??
        (rest.startsWith('{') ? { kind: 'json', value: parseJson(rest, fail) } : parseFrame(rest, fail)));
  return { kind: 'line', place, text: line, side: side as 'C' | 'S', peer: Number(peer || 1), what };
}

function parseEvent(text: string): What | undefined {
  const close = /^close (\d{4}|<any>)(?: (.*))?$/.exec(text);
  if (close)
    return {
      kind: 'close',
      code: close[1] === '<any>' ? undefined : Number(close[1]),
      reason: close[2] ?? (close[1] === '<any>' ? '<any>' : ''),
    };
  const open = /^open(?: (\S+))?$/.exec(text);
  if (open) return { kind: 'open', protocol: open[1] };
  return text === 'refuse' || text === 'gone' || text === 'ping' || text === 'pong' ? { kind: text } : undefined;
}

function parseFrame(text: string, fail: Fail): What {
  const bar = text.indexOf(' | ');
  const [command = '', ...words] = (bar < 0 ? text : text.slice(0, bar)).trim().split(/ +/);
  if (!/^[A-Za-z]+$/.test(command)) return fail('a frame begins with its command; for other octets write C> or S>');
  const headers = words.map((word): Header => {
    if (word.startsWith('!')) return { name: word.slice(1), value: '', absent: true };
    const colon = word.indexOf(':');
    if (colon < 0) return fail(`"${word}" is no header; a space in a value is <SP>, a body follows " | "`);
    return { name: word.slice(0, colon), value: word.slice(colon + 1), absent: false };
  });
  return { kind: 'frame', command, headers, body: bar < 0 ? '' : text.slice(bar + 3) };
}

function parseJson(text: string, fail: Fail): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail(`no JSON: ${(error as Error).message}`);
  }
}
