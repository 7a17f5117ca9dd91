import type { MessageReceiver } from '../../bus/fan-out.ts';
import { ProtocolError } from '../../core/fault.ts';
import { isPromise } from '../../core/promise-or.ts';
import { encodeSuback } from '../protocol/encoder.ts';
import { protocolError } from '../protocol/mqtt-error.ts';
import type { QoS, SubscribePacket, SubscriptionRequest } from '../protocol/packets.ts';
import { ReasonCode } from '../protocol/reason-codes.ts';
import { hasWildcard, isTopicFilter } from '../protocol/topic-names.ts';
import { type Broker, protocol, type Verdict } from './broker.ts';
import type { MqttRequest } from './hooks.ts';
import { expiryOf, withExpiry } from './message-headers.ts';
import { problemOfFilter } from './names.ts';
import type { SessionHost } from './session-host.ts';
import type { SessionState } from './session-state.ts';
import { MqttSubscription } from './subscription.ts';
import { TopicGuard } from './topic-guard.ts';

/** What a subscription costs beside its filter, in bytes; with wildcards it may need an index of its own. */
const subscriptionCost = { exact: 400, wildcard: 1_500 };

/** A subscription that was made: what SUBACK says, and which kept messages come next. */
interface Made {
  readonly code: number;
  readonly active?: Promise<void> | undefined;
  readonly kept?: (() => void) | undefined;
}

/** SUBSCRIBE: SUBACK leaves once what was granted is live, and what was kept comes behind it ([MQTT-43]). */
export function subscribe(session: SessionHost, broker: Broker, state: SessionState, packet: SubscribePacket): void {
  const { packetId, subscriptions, properties } = packet;
  const id = properties?.subscriptionId;
  const { maxSubscriptions } = broker.parts.limits;
  // The application is not asked about more than can be had.
  const verdicts = subscriptions.map((wanted, index) =>
    index < maxSubscriptions ? decide(session, broker, state, wanted) : ReasonCode.quotaExceeded,
  );
  const decided = verdicts.some(isPromise) ? Promise.all(verdicts) : (verdicts as (Verdict | number)[]);
  session.settle(decided, (answers) => {
    const made = answers.map((answer, index) =>
      typeof answer === 'number'
        ? { code: answer }
        : make(session, broker, state, subscriptions[index] as SubscriptionRequest, id, answer),
    );
    session.settle(Promise.all(made.map(live)), (codes) => {
      session.connection.send(encodeSuback(session.level, packetId, codes));
      for (const [index, { kept }] of made.entries()) if ((codes[index] as number) < 0x80) kept?.();
    });
  });
}

/** The code of SUBACK, once the backbone delivers, or does not. */
async function live({ code, active }: Made): Promise<number> {
  try {
    await active;
    return code;
  } catch {
    return ReasonCode.unspecified;
  }
}

const requestOf = (
  session: SessionHost,
  broker: Broker,
  state: SessionState,
  { filter, qos }: SubscriptionRequest,
): MqttRequest =>
  broker.requestOf(session.connection, state.clientId, { action: 'subscribe', topic: filter, qos, retain: false });

/** What is allowed, or the code of SUBACK that refuses it ([MQTT-44]). */
function decide(
  session: SessionHost,
  broker: Broker,
  state: SessionState,
  wanted: SubscriptionRequest,
): Verdict | number | Promise<Verdict | number> {
  const { filter, noLocal } = wanted;
  if (filter.startsWith('$share/')) {
    if (noLocal) throw protocolError('no local in a shared subscription');
    return ReasonCode.sharedSubscriptionsNotSupported;
  }
  if (!isTopicFilter(filter) || problemOfFilter(filter) !== undefined) return ReasonCode.topicFilterInvalid;
  const isFilter = hasWildcard(filter);
  const verdict = broker.verdict(requestOf(session, broker, state, wanted), 'read', isFilter);
  const codeOf = (answer: Verdict): Verdict | number => (answer === 'refused' ? ReasonCode.notAuthorized : answer);
  return isPromise(verdict) ? verdict.then(codeOf) : codeOf(verdict);
}

function make(
  session: SessionHost,
  broker: Broker,
  state: SessionState,
  wanted: SubscriptionRequest,
  subscriptionId: number | undefined,
  verdict: Verdict,
): Made {
  const { filter, qos, noLocal, retainAsPublished, retainHandling } = wanted;
  const known = state.subscriptions.get(filter);
  const { limits, bus, hooks } = broker.parts;
  if (!known && state.subscriptions.size >= limits.maxSubscriptions) return { code: ReasonCode.quotaExceeded };
  const isSpecial = noLocal || retainAsPublished || subscriptionId !== undefined;
  const special = isSpecial ? { noLocal, retainAsPublished, subscriptionId } : undefined;
  const isFilter = hasWildcard(filter);
  const cost = (isFilter ? subscriptionCost.wildcard : subscriptionCost.exact) + 2 * filter.length;
  const subscription = new MqttSubscription(state, qos, special, cost);
  // With a hook the application is asked topic by topic; without one the bus says which topics are heard.
  const guard =
    isFilter && hooks.authorize
      ? new TopicGuard(broker, state, subscription, requestOf(session, broker, state, wanted))
      : undefined;
  const receiver: MessageReceiver = guard ?? subscription;
  const reader = guard || verdict === 'byApplication' ? undefined : protocol;
  // [MQTT-45] The same filter again takes the place of the one before it.
  known?.stop();
  state.charge(-(known?.cost ?? 0));
  state.subscriptions.delete(filter);
  try {
    const handle = isFilter
      ? broker.filters.listen(filter, receiver, reader)
      : bus.listen(filter, receiver, { protocol: reader });
    subscription.listens(handle);
    state.subscriptions.set(filter, subscription);
    state.charge(subscription.cost);
    const mayRead = (topic: string): boolean =>
      guard ? guard.permits(topic) : verdict === 'byApplication' || bus.permits(topic, protocol, 'read');
    const wantsKept = retainHandling === 0 || (retainHandling === 1 && !known);
    const kept = wantsKept ? () => sendKept(broker, state, filter, qos, subscriptionId, mayRead) : undefined;
    return { code: qos, active: handle.active, kept };
  } catch (error) {
    if (error instanceof ProtocolError && error.fault === 'tooMany') return { code: ReasonCode.quotaExceeded };
    throw error;
  }
}

/** What was kept of the topics of a filter ([MQTT-71]), as it is when its time to be sent has come. */
function sendKept(
  broker: Broker,
  state: SessionState,
  filter: string,
  granted: QoS,
  subscriptionId: number | undefined,
  mayRead: (topic: string) => boolean,
): void {
  const topics = broker.retained?.matching(filter) ?? [];
  if (topics.length === 0) return;
  state.sendKept(topics, (topic) => {
    const now = broker.parts.clock.now();
    const kept = broker.retained?.get(topic, now);
    if (!kept || !mayRead(topic)) return;
    const expires = expiryOf(kept.message) !== undefined;
    const message = expires ? withExpiry(kept.message, Math.ceil((kept.expiresAt - now) / 1_000)) : kept.message;
    state.deliver(message, Math.min(granted, kept.qos) as QoS, true, subscriptionId);
  });
}
