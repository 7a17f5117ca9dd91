// A hub in a process of its own, so that tests can kill and freeze it: node --import tsx hub.script.ts '{"address":…}'
import { startLocalHub } from '../../src/backbones/local.ts';
import { hastyClock } from '../support/hasty-clock.ts';

const { hasty = false, ...options } = JSON.parse(process.argv[2] ?? '{}');
const hub = await startLocalHub({ ...options, ...(hasty && { clock: hastyClock }) });
process.stdout.write(`${hub.address}\n`);
// It ends with whoever started it.
process.stdin.resume().on('end', () => process.exit(0));
