import { type Backbone, BackboneError, type BackboneSink } from '../../src/bus/backbone.ts';
import { createMessage } from '../../src/bus/message.ts';

/** A backbone of one of several servers that share a log in this process. */
export interface SharedBackbone extends Backbone {
  /** While true this server hears nothing and can send nothing. Afterwards it is told of a gap. */
  away: boolean;
  /** As kill -9 would: it says nothing any more and hears nothing any more. */
  kill(): void;
}

/** A log that any number of servers share, without a broker: for tests of what stands on a backbone. */
export interface SharedLog {
  /** The backbone of one more server. */
  backbone(): SharedBackbone;
  /** Messages that were published, by all servers. */
  readonly published: { readonly topic: string; readonly bytes: number }[];
  /** Put bytes there as a foreign writer would. */
  write(topic: string, body: Uint8Array): void;
}

/**
 * A shared log. Messages arrive at the end of the turn that published them.
 *
 * @example
 * const log = sharedLog();
 * const [one, other] = [createBus({ backbone: log.backbone() }), createBus({ backbone: log.backbone() })];
 */
export function sharedLog(): SharedLog {
  const servers = new Set<{ readonly backbone: SharedBackbone; readonly sink: BackboneSink }>();
  const published: { topic: string; bytes: number }[] = [];
  let offset = 0;

  function write(topic: string, body: Uint8Array, options: Parameters<Backbone['publish']>[2] = {}) {
    const position = { epoch: 'shared', offset: ++offset };
    const { contentType, headers } = options;
    queueMicrotask(() => {
      for (const { backbone, sink } of servers) {
        if (!backbone.away) sink.message(createMessage({ topic, body, contentType, headers, position }));
      }
    });
    return position;
  }

  return {
    published,
    write,
    backbone() {
      let away = false;
      let own: { readonly backbone: SharedBackbone; readonly sink: BackboneSink } | undefined;
      const backbone: SharedBackbone = {
        name: 'shared',
        abilities: { ids: false, positions: true, patterns: 'all', queues: false, history: false, maxBody: Infinity },
        state: 'up',
        position: undefined,
        get away() {
          return away;
        },
        set away(value) {
          away = value;
          if (!value) own?.sink.gap(undefined, undefined);
        },
        kill() {
          away = true;
          if (own) servers.delete(own);
        },
        open(sink) {
          own = { backbone, sink };
          servers.add(own);
        },
        async publish(topic, body, options) {
          if (away) throw new BackboneError('unavailable', 'shared: this server is away');
          published.push({ topic, bytes: body.length });
          return write(topic, body, options);
        },
        async subscribe() {
          return { epoch: 'shared', offset };
        },
        async unsubscribe() {},
        async close() {
          if (own) servers.delete(own);
        },
      };
      return backbone;
    },
  };
}
