/** Access to images is exactly that to their ImagingStudy (Argonaut SMART Imaging Access 0.1; decisions 10 and 11). */
import { image } from '../../imaging/files.ts';
import { tokenFor } from '../access/tokens.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf, type Json, jsonOf, value } from './dicomweb.ts';

let app: TestApp;
const { send, stow, find, fhir } = dicomwebOf(() => app);

let ofMaria: string;
let ofBen: string;
const PATHS = [
  '',
  '/metadata',
  '/rendered',
  '/thumbnail',
  '/series/2.1.1',
  '/series/2.1.1/metadata',
  '/series/2.1.1/instances/2.1.1.1',
  '/series/2.1.1/instances/2.1.1.1/metadata',
  '/series/2.1.1/instances/2.1.1.1/frames/1',
  '/series/2.1.1/instances/2.1.1.1/rendered',
  '/series/2.1.1/instances/2.1.1.1/bulkdata/7FE00010',
];

beforeAll(async () => {
  app = await startApp({ DICOM_ISSUERS: '*=https://hospital.example/mrn' });
  for (const [id, mrn] of [
    ['maria', 'M'],
    ['ben', 'B'],
  ] as const)
    await app.create('Patient', id, { identifier: [{ system: 'https://hospital.example/mrn', value: mrn }] });
  await stow([image({ study: '2.1', instance: '2.1.1.1', patient: 'M' })]);
  await stow([image({ study: '2.2', instance: '2.2.1.1', patient: 'B' })]);
  const scope = 'launch/patient patient/ImagingStudy.cruds patient/Patient.rs patient/Endpoint.rs';
  ofMaria = await tokenFor(app, scope, { patient: 'maria', fhirUser: 'Patient/maria' });
  ofBen = await tokenFor(app, scope, { patient: 'ben', fhirUser: 'Patient/ben' });
});
afterAll(() => app.close());

const statusOf = async (path: string, token: string): Promise<number> =>
  (await send('get', path, token)).status;

test.each(PATHS)(
  '/studies/{uid}%s: 200 to the patient, 403 to another, 403 alike where there is none',
  async (path) => {
    const elsewhere = path.replaceAll('2.1.', '9.9.');
    expect([
      await statusOf(`/studies/2.1${path}`, ofMaria),
      await statusOf(`/studies/2.1${path}`, ofBen),
      await statusOf(`/studies/9.9${elsewhere}`, ofBen),
      await statusOf(`/studies/2.1${path}`, 'none'),
    ]).toEqual([200, 403, 403, 401]);
    const answers = [
      await send('get', `/studies/2.1${path}`, ofBen),
      await send('get', `/studies/9.9${elsewhere}`, ofBen),
    ];
    expect(jsonOf(answers[0]!)).toEqual(jsonOf(answers[1]!));
  },
);

test('without a scope for ImagingStudy it is 403, whether there is such a study or not', async () => {
  const token = await tokenFor(app, 'user/Observation.rs', { fhirUser: 'Patient/maria' });
  expect([await statusOf('/studies/2.1', token), await statusOf('/studies/9.9', token)]).toEqual([403, 403]);
});

test('WADO-URI is no other way in', async () => {
  const query = '/wado?requestType=WADO&studyUID=2.1&seriesUID=2.1.1&objectUID=2.1.1.1';
  expect([await statusOf(query, ofMaria), await statusOf(query, ofBen)]).toEqual([200, 403]);
});

test('QIDO finds each patient their own, and counts no others', async () => {
  for (const path of ['/studies', '/series', '/instances']) {
    const answer = await send('get', path, ofMaria).expect(200);
    expect(jsonOf(answer).map((item: Json) => value(item, '0020000D'))).toEqual(['2.1']);
    expect(answer.headers['x-total-count']).toBe('1');
  }
  expect(await find('/studies?PatientID=B', ofMaria)).toEqual([]);
  expect(await find('/studies?offset=1', ofMaria)).toEqual([]);
});

test('a system without ImagingStudy.r reads none, one without s finds none', async () => {
  const searcher = await tokenFor(app, 'system/ImagingStudy.s');
  const reader = await tokenFor(app, 'system/ImagingStudy.r');
  expect([await statusOf('/studies', searcher), await statusOf('/studies/2.1', searcher)]).toEqual([
    200, 403,
  ]);
  expect([await statusOf('/studies', reader), await statusOf('/studies/2.1', reader)]).toEqual([403, 200]);
  const other = await tokenFor(app, 'system/Patient.cruds');
  expect([await statusOf('/studies', other), await statusOf('/studies/2.1', other)]).toEqual([403, 403]);
});

test('a granular scope holds for images', async () => {
  await stow([image({ study: '2.3', instance: '2.3.1.1', patient: 'M', modality: 'US' })]);
  const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
  const token = await tokenFor(app, `system/ImagingStudy.rs?modality=${DCM}|US`);
  expect((await find('/studies', token)).map((item) => value(item, '0020000D'))).toEqual(['2.3']);
  expect([await statusOf('/studies/2.3', token), await statusOf('/studies/2.1', token)]).toEqual([200, 404]);
});

test('an ImagingStudy that somebody else writes of the same UID opens nothing', async () => {
  const identifier = [{ system: 'urn:dicom:uid', value: 'urn:oid:2.1' }];
  await app.create('ImagingStudy', 'rogue', {
    identifier,
    status: 'available',
    subject: { reference: 'Patient/ben' },
  });
  expect(await statusOf('/studies/2.1', ofBen)).toBe(403);
  expect(await statusOf('/studies/2.1', ofMaria)).toBe(200);
});

test('who is told that a study is another patient’s is told alike, whether it can be seen or not', async () => {
  const file = image({ study: '2.1', instance: '2.1.1.7', patient: 'B', number: 7 });
  const answers = [
    await stow([file]),
    await stow([file], '/studies', ofBen),
    await stow([file], '/studies', ofMaria),
  ];
  expect(answers.map(({ status, failed }) => [status, failed])).toEqual(
    Array(3).fill([409, { '2.1.1.7': 0x0110 }]),
  );
});

test('a patient brings in his own images, and no others’', async () => {
  const own = await stow([image({ study: '2.4', instance: '2.4.1.1', patient: 'B' })], '/studies', ofBen);
  expect(own.status).toBe(200);
  const nameless = await stow([image({ study: '2.5', instance: '2.5.1.1', patient: '' })], '/studies', ofBen);
  expect(nameless.status).toBe(200);
  expect(await fhir('/ImagingStudy?patient=Patient/ben&identifier=urn:oid:2.5')).toHaveLength(1);
  const other = await stow([image({ study: '2.6', instance: '2.6.1.1', patient: 'M' })], '/studies', ofBen);
  expect([other.status, other.failed]).toEqual([409, { '2.6.1.1': 0x0124 }]);
  expect(await fhir('/ImagingStudy?identifier=urn:oid:2.6')).toEqual([]);
});

test('deleting takes the leave to delete', async () => {
  await stow([image({ study: '2.7', instance: '2.7.1.1', patient: 'M' })]);
  const reader = await tokenFor(app, 'system/ImagingStudy.rs');
  expect((await send('delete', '/studies/2.7', reader)).status).toBe(403);
  expect((await send('delete', '/studies/2.7', ofBen)).status).toBe(403);
  expect(await statusOf('/studies/2.7', reader)).toBe(200);
});

test('what was shown stands in the audit trail', async () => {
  await send('get', '/studies/2.1/metadata').expect(200);
  await send('get', '/studies?PatientID=M').expect(200);
  const queries = (await fhir('/AuditEvent?_count=1000')).flatMap(({ entity }) =>
    entity.flatMap(({ query = '' }: Json) => Buffer.from(query, 'base64').toString()),
  );
  expect(queries).toEqual(expect.arrayContaining(['dicomweb/studies/2.1', 'dicomweb/studies?PatientID=M']));
});
