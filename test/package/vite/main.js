import { CloseCode, connect } from 'subwire';
import { createClient } from 'subwire/graphql/client';
import { createStompClient } from 'subwire/stomp/client';

const url = `${location.origin.replace('http', 'ws')}/ws`;
const client = createClient({ url });
const stomp = createStompClient({ brokerURL: url });
const show = (value) => {
  document.querySelector('output').textContent = JSON.stringify(value);
};

stomp.subscribe('/topic/prices', (message) => show(message.json()));
client.subscribe({ query: '{ hello }' }, { next: show, error: show, complete() {} });
show([CloseCode.normal, typeof connect]);
