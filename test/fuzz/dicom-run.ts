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
import { watch } from './watch.ts';

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
const { timed, longest, end } = watch();

let understood = 0;
for (let n = 0; n < count; n++)
  await timed(async () => {
    const file = mutated(sound[next(sound.length)] as Buffer, next);
    if (await readBroken(file, 1 + next(70_000))) understood++;
    return undefined;
  });
console.log(`${count} files, ${understood} of them understood; longest ${longest()} ms`);

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
console.log(`${count / 5} requests: ${JSON.stringify(tally)}; longest ${longest()} ms`);
end();
