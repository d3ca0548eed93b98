/**
 * `npm run test:fuzz -- [--strings 100000] [--seed 1]`: malformed queries of a grammar against a real server, of which
 * each must be answered by 2xx or refused by 4xx, with a reason and in time.
 */
import { parseArgs } from 'node:util';
import setup from '../support/setup.ts';
import teardown from '../support/teardown.ts';
import { fuzz, type Report } from './fuzz.ts';

const { values } = parseArgs({
  options: { strings: { type: 'string', default: '100000' }, seed: { type: 'string', default: '1' } },
});

let told = 0;
let next = 0;

function progress({ asked, statuses, slowest, faults }: Report): void {
  for (; told < faults.length; told++) console.log(`\n${faults[told]}\n`);
  if (asked < next) return;
  next = asked + 5000;
  const each = [...statuses].sort().map(([status, times]) => `${times} × ${status}`);
  console.log(
    `${asked} queries: ${each.join(', ')}; slowest ${Math.round(slowest)} ms; ${faults.length} faults`,
  );
}

await setup();
try {
  const report = await fuzz({ seed: Number(values.seed), strings: Number(values.strings), progress });
  next = 0;
  progress(report);
  process.exitCode = report.faults.length > 0 ? 1 : 0;
} finally {
  await teardown();
}
