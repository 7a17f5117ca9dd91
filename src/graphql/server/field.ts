import type { Bus } from '../../bus/bus.ts';
import { kindOf } from '../../bus/names.ts';
import type { Subscription } from '../../bus/subscription.ts';
import { isTopic, type Topic } from '../../bus/topic.ts';
import { checkNames, mustBeFunctions } from '../../core/options.ts';
import type { PromiseOr } from '../../core/promise-or.ts';

/** What a field of `Subscription` does with the values of its topic. */
export interface FieldOptions<Value, Args, ContextValue> {
  /** Only values for which the answer is `true` come; a promise is awaited. A throw ends the subscription. */
  readonly filter?: ((value: Value, args: Args, context: ContextValue) => PromiseOr<boolean>) | undefined;
  /**
   * What the field is for a value.
   *
   * @defaultValue the value itself
   */
  readonly resolve?: ((value: Value, args: Args, context: ContextValue) => unknown) | undefined;
}

/** The two resolvers that a field of `Subscription` needs. */
export interface FieldResolvers<Value, Args, ContextValue> {
  /** Opens the source. */
  readonly subscribe: (source: unknown, args: Args, context: ContextValue) => Subscription<Value>;
  /** Makes the field of an event. */
  readonly resolve: (value: Value, args: Args, context: ContextValue) => unknown;
}

/**
 * Both ends of a field of `Subscription` whose events are the values of a topic: without `resolve` GraphQL looks for a
 * property of the field's name in each of them, and finds `null`. The topic may depend on arguments and context.
 *
 * Throws a `TypeError` that names what is wrong with bus, topic or options.
 *
 * @example
 * const resolvers = {
 *   Subscription: {
 *     price: field(bus, prices, { filter: (price, args: { symbol: string }) => price.symbol === args.symbol }),
 *     message: field(bus, (args: { room: string }) => topic<Message>(`room.${args.room}`)),
 *   },
 * };
 */
export function field<Value, Args = Record<string, unknown>, ContextValue = unknown>(
  bus: Pick<Bus, 'subscribe'>,
  from: Topic<Value> | ((args: Args, context: ContextValue) => Topic<Value>),
  options: FieldOptions<Value, Args, ContextValue> = {},
): FieldResolvers<Value, Args, ContextValue> {
  checkField(bus, from, options);
  const { filter, resolve = (value: Value): unknown => value } = options;
  return {
    subscribe(_source, args, context) {
      const topic = typeof from === 'function' ? from(args, context) : from;
      return bus.subscribe(topic, filter ? { filter: (value) => filter(value, args, context) } : {});
    },
    resolve,
  };
}

function checkField(bus: unknown, from: unknown, options: unknown): void {
  if (typeof (bus as Partial<Bus> | undefined)?.subscribe !== 'function') {
    throw new TypeError(`field(bus, topic) takes a bus first, such as createBus() makes; got ${kindOf(bus)}`);
  }
  if (typeof from !== 'function' && !isTopic(from)) {
    throw new TypeError(
      `field(bus, topic) takes a topic, such as topic('prices'), or a function that gives one; got ${kindOf(from)}`,
    );
  }
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`field(bus, topic, options): options are { filter, resolve }; got ${kindOf(options)}`);
  }
  checkNames(options, { filter: true, resolve: true }, 'field()');
  mustBeFunctions(options, 'field(): ');
}
