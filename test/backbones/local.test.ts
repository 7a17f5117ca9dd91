import { describeContract } from './contract.ts';
import { localWorld } from './worlds/local.ts';

describeContract({
  name: 'local',
  abilities: { ids: true, positions: true, patterns: 'broker', queues: false, history: true, maxBody: 66_060_288 },
  durable: false,
  shared: true,
  world: localWorld,
  unclaimed: { 45: 'the hub keeps all topics alike' },
});
