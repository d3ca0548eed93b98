/**
 * `npm run test:imaging`: DICOMweb against real peers. It installs nothing: what is missing is named, with how to get it,
 * and passed over. Files are those of ../shared/data/dicom, where that folder is, or of the folder that is named; `--only` takes the
 * name of one trial, `--ohif` the folder of that viewer.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startApp } from '../http/app.ts';
import setup from '../support/setup.ts';
import teardown from '../support/teardown.ts';
import { agreesWithDcmtk } from './dcmtk.ts';
import { servesDicomwebClient } from './dicomweb-client.ts';
import { showsInOhif } from './ohif.ts';
import { exchangesWithOrthanc } from './orthanc.ts';
import { type Peers, type Report, type Sample, storedAndRefused } from './samples.ts';
import { takesFromStorescu } from './storescu.ts';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: join(import.meta.dirname, '../../../shared/data/dicom') },
    ohif: { type: 'string' },
    only: { type: 'string' },
  },
});

const report: Report = {
  failed: 0,
  check(what, isSo, detail = '') {
    if (!isSo) this.failed++;
    console.log(`${isSo ? '  ok  ' : 'FAILED'} ${what}${detail && !isSo ? `: ${detail}` : ''}`);
  },
  skip(what, how) {
    console.log(`skipped ${what}: ${how}`);
  },
};

if (!existsSync(values.files)) {
  console.log(`There is no folder ${values.files}: name one with DICOM files by --files`);
  process.exit(1);
}
const samples: Sample[] = readdirSync(values.files)
  .filter((name) => name.endsWith('.dcm'))
  .sort()
  .map((name) => ({ name, path: join(values.files, name), bytes: readFileSync(join(values.files, name)) }));

const TRIALS = [
  storedAndRefused,
  agreesWithDcmtk,
  takesFromStorescu,
  exchangesWithOrthanc,
  servesDicomwebClient,
  showsInOhif,
].filter(({ name }) => values.only === undefined || name === values.only);
if (TRIALS.length === 0) {
  console.log(`There is no trial ${values.only}`);
  process.exit(1);
}

await setup();
try {
  for (const trial of TRIALS) {
    const app = await startApp({ BASE_URL: 'http://127.0.0.1:1' });
    console.log(`\n${trial.name}`);
    const peers: Peers = { app, samples, report, ohif: values.ohif };
    try {
      await trial(peers);
    } finally {
      await app.close();
    }
  }
} finally {
  await teardown();
}
console.log(report.failed === 0 ? '\nAll agree.' : `\n${report.failed} do not agree.`);
process.exitCode = report.failed === 0 ? 0 : 1;
