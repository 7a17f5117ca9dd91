import { memoryBackbone } from '../../src/bus/memory-backbone.ts';
import { describeContract } from './contract.ts';

describeContract({
  name: 'memory',
  abilities: memoryBackbone().abilities,
  durable: false,
  shared: false,
  world: async () => ({
    backbone: () => memoryBackbone(),
    aged: (clock) => memoryBackbone({ clock }),
    close: async () => {},
  }),
  unclaimed: { 18: 'every message comes, and the bus filters' },
});
