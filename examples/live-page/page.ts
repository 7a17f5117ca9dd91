import { createClient } from 'subwire/graphql/client';
import { createStompClient } from 'subwire/stomp/client';

interface Note {
  readonly text: string;
  readonly from: string;
}

const url = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`;
const destination = '/topic/notes';
const maxText = 280;
const keptNotes = 100;
const keptFrames = 5;
/** Of a frame so many characters are shown. */
const shownText = 64;
/** A note that is not taken within so many ms is shown as one that waits. */
const patience = 300;
/** How often the round trip is measured, in ms. */
const measureEvery = 3_000;

function find<Kind extends Element>(root: ParentNode, selector: string): Kind {
  const found = root.querySelector<Kind>(selector);
  if (!found) throw new Error(`The page has no ${selector}`);
  return found;
}

/** What both clients tell of their connection. */
interface State {
  readonly status: string;
  readonly subprotocol: string | undefined;
  readonly latency: number | undefined;
  readonly error: Error | undefined;
  readonly retryAt: number | undefined;
}

/** One side of the page: what it shows, and what its form and button do. */
function side(id: string, actions: { send(text: string): Promise<unknown>; drop(): void }) {
  const root = find<HTMLElement>(document, `#${id}`);
  const badge = find<HTMLOutputElement>(root, '.state');
  const list = find<HTMLOListElement>(root, '.notes');
  const form = find<HTMLFormElement>(root, 'form');
  const input = find<HTMLInputElement>(form, 'input');
  let connections = 0;

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const text = input.value;
    // Once it is sent it is on its way: a second click must not send it twice.
    input.value = '';
    let waiting: HTMLElement | undefined;
    const timer = setTimeout(() => {
      waiting = showNote({ from: 'waits for the connection', text });
    }, patience);
    try {
      await actions.send(text);
    } catch (error) {
      showNote({ from: 'error', text: error instanceof Error ? error.message : String(error) });
      input.value ||= text;
    }
    clearTimeout(timer);
    waiting?.remove();
  });
  find(root, '.drop').addEventListener('click', actions.drop);

  function showNote({ from, text }: Note): HTMLElement {
    const item = document.createElement('li');
    const who = document.createElement('small');
    item.dataset['from'] = who.textContent = from;
    item.append(who, text);
    list.append(item);
    if (list.childElementCount > keptNotes) list.firstElementChild?.remove();
    list.scrollTop = list.scrollHeight;
    return item;
  }

  let state: State | undefined;
  /** Why there is no connection, and when the next attempt comes. */
  function showWhy(): void {
    const { status, error, retryAt } = state ?? {};
    const seconds = Math.max(0, Math.ceil(((retryAt ?? 0) - Date.now()) / 1_000));
    const when = status === 'waiting' ? `Next attempt in ${seconds} s. ` : '';
    find(root, '.why').textContent = error && status !== 'connected' ? `${when}${error.message}` : '';
  }
  setInterval(showWhy, 500);

  return {
    showNote,
    showState(shown: State, latency = shown.latency): void {
      const { status, subprotocol } = shown;
      state = shown;
      showWhy();
      if (status === 'connected' && badge.dataset['state'] !== 'connected') connections++;
      badge.dataset['state'] = status;
      badge.textContent = status;
      find(root, '.subprotocol').textContent = subprotocol || '–';
      find(root, '.latency').textContent =
        latency === undefined ? '–' : `${latency < 10 ? latency.toFixed(1) : Math.round(latency)} ms`;
      find(root, '.reconnects').textContent = String(Math.max(0, connections - 1));
    },
  };
}

const bus = find<HTMLElement>(document, '.bus');
const frames = find<HTMLOListElement>(bus, '.frames');
let calm: ReturnType<typeof setTimeout> | undefined;

/** What is on the wire: heart-beats and pings apart, each frame as it is. */
function showFrame(protocol: string, direction: 'to' | 'from', data: unknown): void {
  const text = String(data);
  if (text === '\n' || /^\{"type":"p[io]ng"/.test(text)) return;
  const item = document.createElement('li');
  item.dataset['from'] = protocol.includes('stomp') ? 'STOMP' : 'GraphQL';
  const about = document.createElement('small');
  about.textContent = `${direction === 'to' ? 'to' : 'from'} the server, ${new Blob([text]).size} B`;
  const visible = text.replaceAll('\n', '\u23ce').replaceAll('\0', '^@');
  const code = document.createElement('code');
  code.textContent = visible.length > shownText ? `${visible.slice(0, shownText)}\u2026` : visible;
  item.append(about, code);
  frames.append(item);
  if (frames.childElementCount > keptFrames) frames.firstElementChild?.remove();
  bus.classList.add('busy');
  clearTimeout(calm);
  calm = setTimeout(() => bus.classList.remove('busy'), 600);
}

/** The browser's own WebSocket, whose frames are shown: what a client sends and receives, as it is. */
class WatchedWebSocket extends WebSocket {
  constructor(address: string, protocols?: string[]) {
    super(address, protocols);
    this.addEventListener('message', ({ data }) => showFrame(this.protocol, 'from', data));
  }
  override send(data: string | Blob | BufferSource): void {
    showFrame(this.protocol, 'to', data);
    super.send(data);
  }
}

/** STOMP carries any body, also of clients that know nothing of notes. */
function parseNote(body: string): Note {
  try {
    const { text, from } = JSON.parse(body) as Partial<Note>;
    if (typeof text === 'string' && typeof from === 'string') return { text, from };
  } catch {}
  return { text: body, from: 'not a note' };
}

// The STOMP side: subscribes to the destination and sends to it.
const stomp = createStompClient({ url, webSocketImpl: WatchedWebSocket, backoff: { base: 500, cap: 4_000 } });
const stompSide = side('stomp', {
  async send(text) {
    // Nobody else would say it: the server passes on what is no note, and GraphQL does not get to see it.
    if (text.length > maxText) throw new RangeError(`a note is a text of 1 to ${maxText} characters`);
    await stomp.publish({ destination, body: JSON.stringify({ text, from: 'STOMP' }), receipt: true });
  },
  drop: () => stomp.terminate(),
});
stomp.subscribe(destination, (message) => {
  stompSide.showNote(parseNote(message.body));
});
const showStomp = (): void => stompSide.showState(stomp.state.getSnapshot());
stomp.state.subscribe(showStomp);
stomp.connect().catch((error: Error) => stompSide.showNote({ from: 'error', text: error.message }));

// STOMP has no ping with an answer; the receipt of a message that nobody gets is one. Its round trip is in the state.
function measureStomp(): void {
  if (stomp.state.getSnapshot().status !== 'connected') return;
  stomp.publish({ destination: '/topic/ping', receipt: true }).catch(() => {});
}
stomp.on('connected', measureStomp);
setInterval(measureStomp, measureEvery);

// The GraphQL side: a subscription shows the same topic, a mutation publishes to it.
const graphql = createClient({
  url,
  webSocketImpl: WatchedWebSocket,
  lazy: false,
  keepAlive: measureEvery,
  backoff: { base: 500, cap: 4_000 },
});
const graphqlSide = side('graphql', {
  async send(text) {
    const query = 'mutation ($text: String!) { send(text: $text, from: "GraphQL") { text } }';
    for await (const { errors } of graphql.iterate({ query, variables: { text } })) {
      if (errors?.[0]) throw new Error(errors[0].message);
    }
  },
  drop: () => graphql.terminate(),
});
graphql.subscribe<{ notes: Note }>(
  { query: 'subscription { notes { text from } }' },
  {
    next({ data }) {
      if (data) graphqlSide.showNote(data.notes);
    },
    error: (error) => graphqlSide.showNote({ from: 'error', text: String(error) }),
    complete() {},
  },
);

/** Its pings tell the round trip from the first `keepAlive` on; until then that of the first query stands in. */
let firstLatency: number | undefined;
function showGraphql(): void {
  const state = graphql.state.getSnapshot();
  if (state.status !== 'connected') firstLatency = undefined;
  graphqlSide.showState(state, state.latency ?? firstLatency);
}
graphql.state.subscribe(showGraphql);
showGraphql();

interface Clients {
  readonly clients: readonly { readonly protocol: string; readonly count: number }[];
}
function showClients({ clients }: Clients): void {
  const counts = clients.map(({ protocol, count }) => `${count} ${protocol}`).join(', ');
  find(bus, '.clients').textContent = `Connected: ${counts}`;
}
graphql.on('connected', async () => {
  const from = performance.now();
  for await (const { data } of graphql.iterate<Clients>({ query: '{ clients { protocol count } }' })) {
    firstLatency = performance.now() - from;
    if (data) showClients(data);
  }
  showGraphql();
});
graphql.subscribe<Clients>(
  { query: 'subscription { clients { protocol count } }' },
  { next: ({ data }) => data && showClients(data), error: () => {}, complete() {} },
);
find(document, '.address').textContent = url;
