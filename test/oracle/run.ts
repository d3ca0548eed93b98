/**
 * `npm run test:oracle -- [--searches 10000] [--seed 1]`: random searches of random worlds, answered by the server, the
 * matcher and the oracle; where they differ, the least world and search that shows it.
 */
import { parseArgs } from 'node:util';
import setup from '../support/setup.ts';
import teardown from '../support/teardown.ts';
import { openGround } from './ground.ts';
import { type Tally, tryAll } from './trials.ts';

const { values } = parseArgs({
  options: { searches: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } },
});

await setup();
const ground = await openGround();
let told = 0;
let next = 0;

function progress({ searches, matches, finding, judged, walks, disagreements }: Tally): void {
  for (; told < disagreements.length; told++) console.log(`\n${disagreements[told]}\n`);
  if (searches < next) return;
  next = searches + 500;
  console.log(
    `${searches} searches with ${matches} matches, ${finding} find something, ${judged} judged by the matcher too, ${walks} walks beside a writer; ${disagreements.length} disagreements`,
  );
}

try {
  const tally = await tryAll(ground, {
    seed: Number(values.seed),
    searches: Number(values.searches),
    ofEach: 100,
    progress,
  });
  next = 0;
  progress(tally);
  for (const [why, times] of tally.refused) console.log(`${times} refused: ${why}`);
  process.exitCode = tally.disagreements.length > 0 ? 1 : 0;
} finally {
  await ground.close();
  await teardown();
}
