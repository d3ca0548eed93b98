/**
 * Malformed queries against a server: only 2xx and 4xx come back, each in time, and each 4xx says what is wrong.
 * `npm run test:fuzz -- --strings 100000 --seed 1`
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { consilium, freePort, serve } from '../../bench/processes.ts';
import { loadDefinitions } from '../../src/fhir/definitions.ts';
import { fuzz } from './fuzz.ts';

const { values: options } = parseArgs({
  options: {
    strings: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
  },
});
const strings = Number(options.strings);
const dataDir = mkdtempSync(join(tmpdir(), 'consilium-fuzz-'));
const env = { DATA_DIR: dataDir };
const port = await freePort();
const server = await serve(env, port);
await consilium(['load', 'fixtures'], env);
const token = (await consilium(['token', '--minutes', '600'], env)).trim().split(/\s+/).at(-1) as string;
const began = Date.now();
const definitions = await loadDefinitions();
const told = await fuzz({ port, token, definitions }, strings, Number(options.seed), (done) => {
  if (done % 5000 === 0) console.log(`${done} of ${strings}, ${Math.round((Date.now() - began) / 1000)} s`);
});
await server.stop();
rmSync(dataDir, { recursive: true, force: true });
console.log(
  `${strings} queries: ${Object.entries(told.statuses)
    .map(([status, count]) => `${count} × ${status}`)
    .join(', ')}; longest ${Math.round(told.longest)} ms`,
);
for (const fault of told.faults.slice(0, 20)) console.log(fault);
console.log(`${told.faults.length} faults`);
if (told.faults.length > 0) process.exitCode = 1;
