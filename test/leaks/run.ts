/**
 * `npm run test:leaks -- [--requests 10000] [--seed 1]`: requests of random tokens over random worlds, by every path; what
 * they are shown is what a judge says who knows the policy alone.
 */
import { parseArgs } from 'node:util';
import { startApp } from '../http/app.ts';
import setup from '../support/setup.ts';
import teardown from '../support/teardown.ts';
import { SETTINGS, tryAll } from './trials.ts';

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } },
});

await setup();
const app = await startApp(SETTINGS);
let told = 0;
let next = 0;
try {
  const tally = await tryAll(app, {
    seed: Number(values.seed),
    requests: Number(values.requests),
    progress: ({ requests, allowed, wrong }) => {
      for (; told < wrong.length; told++) console.log(`\n${wrong[told]}\n`);
      if (requests < next) return;
      next = requests + 1000;
      console.log(`${requests} requests, ${allowed} of them allowed something; ${wrong.length} wrong`);
    },
  });
  console.log(
    `${tally.requests} requests, ${tally.allowed} of them allowed something; ${tally.wrong.length} wrong`,
  );
  process.exitCode = tally.wrong.length > 0 ? 1 : 0;
} finally {
  await app.close();
  await teardown();
}
