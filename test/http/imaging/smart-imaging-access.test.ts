/** Argonaut SMART Imaging Access 0.1, section by section: one access token finds studies and opens their images. */
import type { Caller } from '../../../src/records/records.ts';
import { image } from '../../imaging/files.ts';
import { asking, tokenFor } from '../access/tokens.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf, type Json, partsOf } from './dicomweb.ts';

const MRN = 'https://hospital.example/mrn';
const SCOPE = 'launch/patient patient/ImagingStudy.rs patient/Endpoint.rs';
let app: TestApp;
let ofMaria: string;
const { send, stow } = dicomwebOf(() => app);

beforeAll(async () => {
  app = await startApp({ DICOM_ISSUERS: `*=${MRN}` });
  for (const id of ['maria', 'ben'])
    await app.create('Patient', id, { identifier: [{ system: MRN, value: id }] });
  await stow([1, 2].map((n) => image({ study: '4.1', instance: `4.1.1.${n}`, patient: 'maria', number: n })));
  await stow([image({ study: '4.2', instance: '4.2.1.1', patient: 'ben' })]);
  ofMaria = await tokenFor(app, SCOPE, { patient: 'maria', fhirUser: 'Patient/maria' });
});
afterAll(() => app.close());

const maria = () => asking(app, SCOPE, { patient: 'maria', fhirUser: 'Patient/maria' });

describe('Discovery', () => {
  test('capabilities, grants and scopes are told', async () => {
    const { body } = await app.send('get', '/.well-known/smart-configuration').expect(200);
    const own = 'http://fhir.org/argonaut/smart-imaging/capabilities';
    expect(body.capabilities).toEqual(
      expect.arrayContaining(['smart-imaging-access', `${own}/app-launch`, `${own}/backend-services`]),
    );
    expect(body.grant_types_supported).toEqual(
      expect.arrayContaining(['authorization_code', 'client_credentials']),
    );
    expect(body.token_endpoint_auth_methods_supported).toContain('private_key_jwt');
    expect(body.introspection_endpoint).toMatch(/^https:/);
    expect(body.scopes_supported).toEqual(expect.arrayContaining(['system/ImagingStudy.rs']));
  });
});

describe('Finding studies', () => {
  test.each([
    '/ImagingStudy?patient=maria&_include=ImagingStudy:endpoint',
    '/ImagingStudy?patient=Patient/maria&_lastUpdated=gt2023-04-17T04:00:00Z&_include=ImagingStudy:endpoint',
    '/ImagingStudy?patient=maria&identifier=urn:oid:4.1&_include=ImagingStudy:endpoint',
  ])('%s: the study with its UID, status, modality and endpoint', async (path) => {
    const { body } = await (await maria())('get', path).expect(200);
    const [study, ...others] = body.entry
      .filter(({ search }: Json) => search.mode === 'match')
      .map(({ resource }: Json) => resource);
    expect(others).toEqual([]);
    expect(study).toMatchObject({
      status: 'available',
      subject: { reference: 'Patient/maria' },
      modality: [{ system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'MR' }],
    });
    expect(study.identifier).toContainEqual({ system: 'urn:dicom:uid', value: 'urn:oid:4.1' });
    const endpoints = body.entry.filter(({ search }: Json) => search.mode === 'include');
    expect(endpoints.map(({ resource }: Json) => `Endpoint/${resource.id}`)).toEqual(
      study.endpoint.map(({ reference }: Json) => reference),
    );
    expect(endpoints[0].resource).toMatchObject({
      status: 'active',
      connectionType: { code: 'dicom-wado-rs' },
      address: 'https://fhir.example.org/dicomweb',
      extension: [
        {
          url: 'http://fhir.org/argonaut/smart-imaging/StructureDefinition/requires-access-token',
          valueBoolean: true,
        },
      ],
    });
  });

  test.each([
    '/ImagingStudy?patient=ben',
    '/ImagingStudy?patient=Patient/ben&_include=ImagingStudy:endpoint',
    '/ImagingStudy?subject=Patient/ben',
    '/ImagingStudy?patient=nobody-at-all',
  ])('%s by another patient: 403, and no empty Bundle', async (path) => {
    const { body } = await (await maria())('get', path).expect(403);
    expect(body.resourceType).toBe('OperationOutcome');
  });
});

describe('Retrieving', () => {
  const accept = 'multipart/related; type="application/dicom"; transfer-syntax=*';

  test('a full study as it is stored', async () => {
    const answer = await send('get', '/studies/4.1', ofMaria).set('Accept', accept).expect(200);
    expect(partsOf(answer)).toHaveLength(2);
  });

  test.each(['', '/series/4.2.1', '/series/4.2.1/instances/4.2.1.1', '/metadata', '/rendered'])(
    'of another patient: 403, knowing its UID is no leave: %s',
    async (path) => {
      const answer = await send('get', `/studies/4.2${path}`, ofMaria);
      expect(answer.status).toBe(403);
      expect(answer.body.toString()).not.toMatch(/Lopez|ben/);
    },
  );

  test('a study that may be seen in part alone is not answered in part', async () => {
    await stow([
      image({ study: '4.3', instance: '4.3.1.1', patient: 'maria', modality: 'MR' }),
      image({ study: '4.3', series: '4.3.2', instance: '4.3.2.1', patient: 'maria', modality: 'CT' }),
    ]);
    // a filter is on the whole study: there is no token that opens one series of it and not the other
    const scope = (modality: string) => `system/ImagingStudy.rs?modality=${modality}`;
    for (const modality of ['MR', 'CT']) {
      const answer = await send('get', '/studies/4.3', await tokenFor(app, scope(modality))).set(
        'Accept',
        accept,
      );
      expect([answer.status, partsOf(answer).length]).toEqual([200, 2]);
    }
    const other = await send('get', '/studies/4.3', await tokenFor(app, scope('US'))).set('Accept', accept);
    expect(other.status).toBe(404);
  });

  test('a study of which a file is lost is not answered as if it were whole', async () => {
    await stow(
      [1, 2].map((n) => image({ study: '4.4', instance: `4.4.1.${n}`, patient: 'maria', number: n })),
    );
    const { rows } = await app.app.pool.query(`select blob::text from dicom_instance where uid = '4.4.1.2'`);
    await app.app.store.blobs.remove(rows[0].blob);
    await expect(send('get', '/studies/4.4', ofMaria).set('Accept', accept)).rejects.toThrow(
      /aborted|hang up/,
    );
  });
});

describe('Token validation', () => {
  test.each([
    ['none', undefined, 401],
    ['that has no imaging scope', 'launch/patient patient/Observation.rs', 403],
    ['that may read and not search', 'launch/patient patient/ImagingStudy.r', 403],
  ])('a token %s: search is refused', async (_, scope, status) => {
    const token = scope && (await tokenFor(app, scope, { patient: 'maria', fhirUser: 'Patient/maria' }));
    const answer = await send('get', '/studies', token ?? 'none');
    expect(answer.status).toBe(status);
  });

  test('one that was revoked opens nothing any more', async () => {
    const token = await tokenFor(app, SCOPE, { patient: 'maria', fhirUser: 'Patient/maria' });
    await send('get', '/studies/4.1/metadata', token).expect(200);
    const { agent } = (await app.app.records.authenticate(token)) as Caller;
    await app.app.pool.query('delete from token where number = $1', [agent]);
    await app.app.pool.query('update epoch set value = value + 1');
    await send('get', '/studies/4.1/metadata', token).expect(401);
  });
});

test('Slow backends: 503 says when to ask again', async () => {
  const waiting = Array.from({ length: 300 }, (_, n) =>
    send('get', `/studies/4.1/rendered?window=${n + 1},${n + 2}`, ofMaria).set('Accept', 'image/png'),
  );
  const answers = await Promise.all(waiting);
  const statuses = new Set(answers.map(({ status }) => status));
  for (const { status, headers } of answers)
    if (status === 503) expect(Number(headers['retry-after'])).toBeGreaterThan(0);
  expect(statuses).toEqual(new Set([200, 503]));
});
