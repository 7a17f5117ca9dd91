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
/** How often the round trip is measured, in ms. */
const measureEvery = 3_000;

function find<Kind extends Element>(root: ParentNode, selector: string): Kind {
  const found = root.querySelector<Kind>(selector);
  if (!found) throw new Error(`The page has no ${selector}`);
  return found;
}

/** One side of the page: what it shows, and what its form and button do. */
function side(id: string, actions: { send(text: string): Promise<unknown>; drop(): void }) {
  const root = find<HTMLElement>(document, `#${id}`);
  const state = find<HTMLOutputElement>(root, '.state');
  const list = find<HTMLOListElement>(root, '.notes');
  const form = find<HTMLFormElement>(root, 'form');
  const input = find<HTMLInputElement>(form, 'input');
  let connections = 0;

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const text = input.value;
    try {
      await actions.send(text);
      // Whoever has typed on meanwhile keeps what they typed, and everybody keeps the focus where it is.
      if (input.value === text) input.value = '';
    } catch (error) {
      showNote({ from: 'error', text: error instanceof Error ? error.message : String(error) });
    }
  });
  find(root, '.drop').addEventListener('click', actions.drop);

  function showNote({ from, text }: Note): void {
    const item = document.createElement('li');
    const who = document.createElement('small');
    item.dataset['from'] = who.textContent = from;
    item.append(who, text);
    list.append(item);
    if (list.childElementCount > keptNotes) list.firstElementChild?.remove();
    list.scrollTop = list.scrollHeight;
  }

  return {
    showNote,
    showState(status: string, subprotocol: string | undefined, latency: number | undefined): void {
      if (status === 'connected' && state.dataset['state'] !== 'connected') connections++;
      state.dataset['state'] = status;
      state.textContent = status;
      find(root, '.subprotocol').textContent = subprotocol || '–';
      find(root, '.latency').textContent =
        latency === undefined ? '–' : `${latency < 10 ? latency.toFixed(1) : Math.round(latency)} ms`;
      find(root, '.reconnects').textContent = String(Math.max(0, connections - 1));
    },
  };
}

const bus = find<HTMLElement>(document, '.bus');
function showTraffic(): void {
  bus.classList.add('busy');
  requestAnimationFrame(() => requestAnimationFrame(() => bus.classList.remove('busy')));
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
const stomp = createStompClient({ url, backoff: { base: 500, cap: 4_000 } });
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
  showTraffic();
});
const showStomp = (): void => {
  const { status, subprotocol, latency } = stomp.state.getSnapshot();
  stompSide.showState(status, subprotocol, latency);
};
stomp.state.subscribe(showStomp);
stomp.connect().catch((error: Error) => stompSide.showNote({ from: 'error', text: error.message }));

// STOMP has no ping with an answer; the receipt of a message that nobody gets is one. Its round trip is in the state.
setInterval(() => {
  if (stomp.state.getSnapshot().status !== 'connected') return;
  stomp.publish({ destination: '/topic/ping', receipt: true }).catch(() => {});
}, measureEvery);

// The GraphQL side: a subscription shows the same topic, a mutation publishes to it.
const graphql = createClient({ url, lazy: false, keepAlive: measureEvery, backoff: { base: 500, cap: 4_000 } });
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
      showTraffic();
    },
    error: (error) => graphqlSide.showNote({ from: 'error', text: String(error) }),
    complete() {},
  },
);
const showGraphql = (): void => {
  const { status, subprotocol, latency } = graphql.state.getSnapshot();
  graphqlSide.showState(status, subprotocol, latency);
};
graphql.state.subscribe(showGraphql);
showGraphql();
