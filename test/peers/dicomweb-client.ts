/** dicomweb-client, the library that viewers are made with. */
import { createRequire } from 'node:module';
import { textIn } from '../../src/imaging/attributes.ts';
import type { Json } from '../http/imaging/dicomweb.ts';
import { attributesOf, type Peers } from './samples.ts';

const HOW = 'npm install --no-save dicomweb-client@0.11.3 xhr2@0.2.1';

export async function servesDicomwebClient({ app, samples, report }: Peers): Promise<void> {
  const require = createRequire(import.meta.url);
  let api: Json;
  try {
    Object.assign(globalThis, { XMLHttpRequest: require('xhr2') });
    ({ api } = require('dicomweb-client'));
  } catch {
    return report.skip('dicomweb-client', HOW);
  }
  const client = new api.DICOMwebClient({
    url: `${app.url}/dicomweb`,
    headers: { Authorization: `Bearer ${app.token}` },
  });
  const sample = samples.find(({ name }) => name === 'us-palette.dcm') ?? samples[0];
  if (!sample) return;
  const attributes = await attributesOf(sample);
  const [studyInstanceUID, seriesInstanceUID, sopInstanceUID] = ['0020000D', '0020000E', '00080018'].map(
    (tag) => textIn(attributes, tag),
  );
  const of = { studyInstanceUID, seriesInstanceUID, sopInstanceUID };
  const bytes = new Uint8Array(sample.bytes).buffer;
  const attempt = async (what: string, work: () => Promise<boolean>): Promise<void> => {
    try {
      report.check(what, await work());
    } catch (fault) {
      report.check(what, false, String((fault as { status?: unknown }).status ?? fault));
    }
  };
  await attempt('storeInstances', async () => {
    await client.storeInstances({ datasets: [bytes] });
    return true;
  });
  await attempt(
    'searchForStudies',
    async () =>
      (await client.searchForStudies({ queryParams: { StudyInstanceUID: studyInstanceUID } })).length === 1,
  );
  await attempt(
    'searchForSeries',
    async () => (await client.searchForSeries({ studyInstanceUID })).length === 1,
  );
  await attempt(
    'searchForInstances',
    async () => (await client.searchForInstances({ studyInstanceUID })).length === 1,
  );
  await attempt(
    'retrieveStudyMetadata',
    async () => (await client.retrieveStudyMetadata({ studyInstanceUID })).length === 1,
  );
  await attempt('retrieveInstance', async () =>
    Buffer.from(await client.retrieveInstance(of)).equals(sample.bytes),
  );
  await attempt('retrieveStudy', async () =>
    Buffer.from((await client.retrieveStudy({ studyInstanceUID }))[0]).equals(sample.bytes),
  );
  await attempt(
    'retrieveInstanceFrames',
    async () => (await client.retrieveInstanceFrames({ ...of, frameNumbers: [1] })).length === 1,
  );
  await attempt('retrieveInstanceRendered', async () => {
    const [picture] = await client.retrieveInstanceRendered({
      ...of,
      mediaTypes: [{ mediaType: 'image/png' }],
    });
    return Buffer.from(picture).toString('latin1', 1, 4) === 'PNG';
  });
  await attempt(
    'retrieveBulkData',
    async () =>
      (
        await client.retrieveBulkData({
          BulkDataURI: `${app.url}/dicomweb/studies/${studyInstanceUID}/series/${seriesInstanceUID}/instances/${sopInstanceUID}/bulkdata/7FE00010`,
        })
      )[0].byteLength > 1000,
  );
}
