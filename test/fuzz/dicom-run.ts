/**
 * Broken DICOM files and requests: each is refused or understood, in time, in bounded memory.
 * `npm run test:fuzz-dicom -- --files 5000 --seed 1`; those of ../shared/data/dicom are broken too, where that folder is.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startApp } from '../http/app.ts';
import setup from '../support/setup.ts';
import teardown from '../support/teardown.ts';
import { mutated, random, readBroken, seeds, sendBroken } from './dicom.ts';

const { values: options } = parseArgs({
  options: { files: { type: 'string', default: '5000' }, seed: { type: 'string', default: '1' } },
});
const count = Number(options.files);
const next = random(Number(options.seed));
const folder = join(import.meta.dirname, '../../../shared/data/dicom');
const samples = existsSync(folder)
  ? readdirSync(folder)
      .filter((name) => name.endsWith('.dcm'))
      .map((name) => readFileSync(join(folder, name)))
  : [];
const sound = [...seeds(), ...samples];
const faults: string[] = [];
let longest = 0;

async function timed(work: () => Promise<string | undefined>): Promise<void> {
  const began = performance.now();
  const fault = await work().catch((thrown) => String(thrown?.stack ?? thrown));
  longest = Math.max(longest, performance.now() - began);
  if (fault) faults.push(fault);
}

let understood = 0;
for (let n = 0; n < count; n++)
  await timed(async () => {
    const file = mutated(sound[next(sound.length)] as Buffer, next);
    if (await readBroken(file, 1 + next(70_000))) understood++;
    return undefined;
  });
console.log(`${count} files, ${understood} of them understood; longest ${Math.round(longest)} ms`);

longest = 0;
await setup();
const app = await startApp();
const tally: Record<string, number> = {};
try {
  for (let n = 0; n < count / 5; n++)
    await timed(async () => {
      const file = mutated(seeds()[next(4)] as Buffer, next, 2);
      const statuses = await sendBroken(app, file, next);
      for (const status of statuses) tally[status] = (tally[status] ?? 0) + 1;
      return statuses.some((status) => status >= 500) ? `answered ${statuses}` : undefined;
    });
} finally {
  await app.close();
  await teardown();
}
console.log(`${count / 5} requests: ${JSON.stringify(tally)}; longest ${Math.round(longest)} ms`);
console.log(`memory at most ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
for (const fault of faults.slice(0, 10)) console.log(fault);
console.log(`${faults.length} faults`);
process.exitCode = faults.length > 0 || longest > 10_000 ? 1 : 0;
