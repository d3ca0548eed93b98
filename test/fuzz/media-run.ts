/**
 * Broken pictures and films: each is refused or understood, in time, in bounded memory.
 * `npm run test:fuzz-media -- --files 5000 --seed 1`; a fifth of them go over HTTP as well.
 */
import { parseArgs } from 'node:util';
import { READ } from '../../src/media/look.ts';
import { openPictures } from '../../src/media/pictures.ts';
import { startApp } from '../http/app.ts';
import setup from '../support/setup.ts';
import teardown from '../support/teardown.ts';
import { mutated, random } from './dicom.ts';
import { films, looksAt, pictures, reads, sendsBroken } from './media.ts';
import { watch } from './watch.ts';

const { values: options } = parseArgs({
  options: { files: { type: 'string', default: '5000' }, seed: { type: 'string', default: '1' } },
});
const count = Number(options.files);
const next = random(Number(options.seed));
const seeds = await pictures();
const { timed, longest, end } = watch();

const worker = openPictures();
let understood = 0;
let looked = 0;
for (let n = 0; n < count; n++)
  await timed(async () => {
    const file = mutated(seeds[next(seeds.length)] as Buffer, next);
    const kind = await looksAt(file);
    if (kind === null || !READ.test(kind)) return undefined;
    looked++;
    if (await reads(worker, file, kind)) understood++;
    return undefined;
  });
await worker.close();
console.log(
  `${count} pictures, ${looked} of a known kind, ${understood} understood; longest ${longest()} ms`,
);

await setup();
const app = await startApp();
const tally: Record<string, number> = {};
const all = [...seeds, ...films()];
try {
  for (let n = 0; n < count / 5; n++)
    await timed(async () => {
      const statuses = await sendsBroken(app, all[next(all.length)] as Buffer, next);
      for (const status of statuses) tally[status] = (tally[status] ?? 0) + 1;
      return statuses.some((status) => status >= 500) ? `answered ${statuses}` : undefined;
    });
} finally {
  await app.close();
  await teardown();
}
console.log(`${count / 5} files over HTTP: ${JSON.stringify(tally)}; longest ${longest()} ms`);
end();
