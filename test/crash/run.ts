/** `npm run test:crash -- [--rounds 50]`: kills server and database while clients write, and looks what is left. */
import { parseArgs } from 'node:util';
import { crash } from './crash.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '50' } } });
const faults = await crash(Number(values.rounds), console.log);
for (const fault of faults) console.log(`FAULT ${fault}`);
console.log(faults.length === 0 ? 'nothing was lost' : `${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
