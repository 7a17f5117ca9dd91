import type { NatsConnection, NatsHeaders } from '../../src/backbones/nats.ts';

/** A connection that a test can close. */
export type ClosableNats = NatsConnection & { close(): Promise<void> };

/** The package for NATS. */
export interface NatsPackage {
  connect(options: object): Promise<ClosableNats>;
  headers(): NatsHeaders;
}

// Loaded by a name that the compiler does not follow: the types that count are those of the backbone.
const packageName = '@nats-io/transport-node';

export const natsPackage = async (): Promise<NatsPackage> => (await import(packageName)) as NatsPackage;
