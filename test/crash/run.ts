/**
 * `npm run test:crash -- [--rounds 50] [--load singles|bundles|both]`: kills server and database while clients write,
 * and looks what is left.
 */
import { parseArgs } from 'node:util';
import { crash } from './crash.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '50' }, load: { type: 'string', default: 'both' } },
});
const { load } = values;
if (load !== 'singles' && load !== 'bundles' && load !== 'both')
  throw new Error(`--load must be singles, bundles or both, not ${load}`);
const faults = await crash(Number(values.rounds), load, console.log);
for (const fault of faults) console.log(`FAULT ${fault}`);
console.log(faults.length === 0 ? 'nothing was lost' : `${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
