import * as msgpack from '@msgpack/msgpack';
import * as valibot from 'valibot';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createBus } from '../../src/bus/bus.ts';
import { createMessage } from '../../src/bus/message.ts';
import type { StandardSchema } from '../../src/bus/standard-schema.ts';
import { type Codec, topic } from '../../src/bus/topic.ts';
import { encodeUtf8 } from '../../src/core/wire.ts';

interface Price {
  readonly price: number;
}

const packed: Codec = {
  contentType: 'application/msgpack',
  encode: (value) => msgpack.encode(value),
  decode: (bytes) => msgpack.decode(bytes),
};
const position = { epoch: 'e', offset: 1 };
const message = (body: Uint8Array, contentType?: string) =>
  createMessage({ topic: 'prices', body, contentType, position });

describe('[BUS-39] topics with a schema', () => {
  test.each([
    ['zod', z.object({ price: z.number() })],
    ['valibot', valibot.object({ price: valibot.number() })],
  ])('%s: what is published and what comes has to fit, and what does not is nobody else’s', async (_, schema) => {
    const prices = topic<Price>('prices', { schema, clients: 'readwrite' });
    const errors: string[] = [];
    const bus = createBus({ topics: [prices], onError: (error) => errors.push((error as Error).message) });
    const heard = bus.subscribe(prices);
    await expect(bus.publish(prices, { price: '1' } as never)).rejects.toThrow(/^topic\("prices"\): price: .*number/);
    expect(bus.stats().published).toBe(0);
    await bus.publish('prices', encodeUtf8('{"price":"1"}'));
    await bus.publish(prices, { price: 2 });
    expect((await heard.next()).value).toEqual({ price: 2 });
    expect(errors).toEqual([expect.stringMatching(/^topic\("prices"\): price: .*number/)]);
    expect(bus.stats().undecodable).toBe(1);
  });

  test('a schema that changes values changes those that come', () => {
    const schema = z.object({ price: z.coerce.number() });
    const prices = topic<Price>('prices', { schema });
    expect(prices.value.encode(message(encodeUtf8('{"price":"2"}')))).toEqual({ price: 2 });
  });

  test('of what is wrong in many places a little is said', () => {
    const prices = topic<number[]>('prices', { schema: z.array(z.number()) });
    const words = /^topic\("prices"\): 0: [^;]+(; [1-4]: [^;]+){4}; and 95 more$/;
    expect(() => prices.encode(Array.from({ length: 100 }, () => 'x') as never)).toThrow(words);
  });

  test('one that answers by a promise is refused, whatever it will say', () => {
    const late = { '~standard': { version: 1, vendor: 'x', validate: async () => Promise.reject(new Error('late')) } };
    const prices = topic('prices', { schema: late as unknown as StandardSchema });
    expect(() => prices.encode(1)).toThrow(/must answer at once/);
  });

  test.each([null, 5, {}, { '~standard': {} }, () => true, z])('%o is no schema', (schema) => {
    expect(() => topic('prices', { schema: schema as never })).toThrow('schema must be a Standard Schema; got');
  });
});

describe('[BUS-40] topics with a codec', () => {
  test('bodies are its bytes with its content type; bodies that say they are JSON are read as JSON', async () => {
    const prices = topic<Price>('prices', { codec: packed });
    const bus = createBus({ topics: [prices] });
    const types: unknown[] = [];
    bus.listen('prices', ({ body, contentType }) => types.push([contentType, msgpack.decode(body)]));
    await bus.publish(prices, { price: 1 });
    expect(types).toEqual([['application/msgpack', { price: 1 }]]);
    const json = encodeUtf8('{"price":3}');
    expect(prices.value.encode(message(json, 'application/json;charset=utf-8'))).toEqual({ price: 3 });
    expect(prices.value.encode(message(msgpack.encode({ price: 4 })))).toEqual({ price: 4 });
    expect(() => prices.value.encode(message(new Uint8Array([0xc1]), 'application/msgpack'))).toThrow();
  });

  test('decode and encode shape what it takes and gives, and what is no bytes is refused', () => {
    const cents = topic<number>('cents', {
      codec: packed,
      encode: (value) => value * 100,
      decode: (value) => Number(value) / 100,
    });
    expect(cents.value.encode(message(cents.encode(1.5)))).toBe(1.5);
    const broken = topic('broken', { codec: { ...packed, encode: () => 'text' as never } });
    expect(() => broken.encode(1)).toThrow(
      'topic("broken"): encode() of its codec must give bytes (Uint8Array); got the string',
    );
  });

  test.each([null, 'json', {}, { ...packed, contentType: undefined }, { ...packed, decode: true }])(
    '%o is no codec',
    (codec) => {
      expect(() => topic('prices', { codec: codec as never })).toThrow(
        'codec must be { contentType, encode, decode }; got',
      );
    },
  );
});
