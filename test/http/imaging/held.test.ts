/** ImagingStudy/$held, $release and $reject: what cannot be assigned is kept apart, and the organization decides. */
import { image } from '../../imaging/files.ts';
import { asking } from '../access/tokens.ts';
import { startApp, type TestApp } from '../app.ts';
import { dicomwebOf, type Json } from './dicomweb.ts';

let app: TestApp;
const { send, stow, find, fhir } = dicomwebOf(() => app);
const MRN = 'https://hospital.example/mrn';

beforeAll(async () => {
  app = await startApp({ DICOM_ISSUERS: `*=${MRN}` });
  for (const id of ['maria', 'ben'])
    await app.create('Patient', id, { identifier: [{ system: MRN, value: id }], name: [{ family: id }] });
});
afterAll(() => app.close());

const partOf = (part: Json, name: string): Json => {
  const { name: _, ...found } = part.part.find((one: Json) => one.name === name) ?? {};
  return Object.values(found)[0];
};

async function held(study: string): Promise<Json[]> {
  const { body } = await app.send('get', `/ImagingStudy/$held?study=${study}`).expect(200);
  return (body.parameter ?? []).filter(({ name }: Json) => name === 'held');
}

const parameters = (given: Record<string, string | readonly string[]>): Json => ({
  resourceType: 'Parameters',
  parameter: Object.entries(given).flatMap(([name, value]) =>
    [value].flat().map((one) => {
      if (name === 'patient') return { name, valueReference: { reference: one } };
      return name === 'held' ? { name, valueId: one } : { name, valueString: one };
    }),
  ),
});

const call = (operation: 'release' | 'reject', given: Record<string, string | readonly string[]>) =>
  app.send('post', `/ImagingStudy/$${operation}`).type('application/fhir+json').send(parameters(given));

const tasksOf = async (study: string): Promise<string[]> =>
  (await fhir(`/Task?identifier=urn:dicom:uid|urn:oid:${study}`)).map(({ status }) => status);
const studyOf = async (uid: string): Promise<Json> =>
  (await fhir(`/ImagingStudy?identifier=urn:dicom:uid|urn:oid:${uid}`))[0];

/** A study of maria's, and an instance of the same study that names another. */
async function crossed(study: string): Promise<void> {
  await stow([image({ study, instance: `${study}.1.1`, patient: 'maria' })]);
  const { status } = await stow([image({ study, instance: `${study}.1.2`, patient: 'wrong', number: 2 })]);
  expect(status).toBe(409);
}

test('what crossed patients is seen with whom it names and why, and by a Task', async () => {
  await crossed('7.1');
  const [one, ...more] = await held('7.1');
  expect(more).toEqual([]);
  expect(partOf(one, 'reason')).toBe('of another patient than their study');
  expect(partOf(one, 'instance')).toBe('7.1.1.2');
  expect(partOf(one, 'patient')).toMatchObject({
    resourceType: 'Patient',
    identifier: [{ system: MRN, value: 'wrong' }],
    name: [{ family: 'Lopez' }],
  });
  expect(await tasksOf('7.1')).toEqual(['requested']);
});

test('released to the patient of its study it is in it, as it came, and the Task is done', async () => {
  await crossed('7.2');
  const [one] = await held('7.2');
  const answer = await call('release', { held: partOf(one, 'id'), patient: 'Patient/maria' }).expect(200);
  expect(answer.body.parameter).toEqual([{ name: 'released', valueString: '7.2.1.2' }]);
  expect(await studyOf('7.2')).toMatchObject({
    subject: { reference: 'Patient/maria' },
    numberOfInstances: 2,
  });
  expect((await find('/studies/7.2/instances')).length).toBe(2);
  const bytes = await send('get', '/studies/7.2/series/7.2.1/instances/7.2.1.2').set(
    'Accept',
    'application/dicom; transfer-syntax=*',
  );
  expect(bytes.body.equals(image({ study: '7.2', instance: '7.2.1.2', patient: 'wrong', number: 2 }))).toBe(
    true,
  );
  expect(await held('7.2')).toEqual([]);
  expect(await tasksOf('7.2')).toEqual(['completed']);
  await call('release', { held: partOf(one, 'id'), patient: 'Patient/maria' }).expect(404);
});

test('PS3.3 7.3.1.1: a study is of one patient: it is not released to another, and stays kept apart', async () => {
  await crossed('7.3');
  const { body } = await call('release', { study: '7.3', patient: 'Patient/ben' }).expect(200);
  expect(body.parameter.map(({ name }: Json) => name)).toEqual(['kept']);
  expect(partOf(body.parameter[0], 'reason')).toMatch(/about another patient/);
  expect(await held('7.3')).toHaveLength(1);
  expect(await tasksOf('7.3')).toEqual(['requested']);
  expect(await studyOf('7.3')).toMatchObject({
    subject: { reference: 'Patient/maria' },
    numberOfInstances: 1,
  });
});

test('a study that names nobody is released as a whole, and what comes later follows it', async () => {
  const files = [1, 2, 3].map((n) => image({ study: '7.4', instance: `7.4.1.${n}`, patient: '', number: n }));
  await stow(files);
  expect(await studyOf('7.4')).toBeUndefined();
  expect(await find('/studies?StudyInstanceUID=7.4')).toEqual([]);
  const { body } = await call('release', { study: '7.4', patient: 'Patient/ben' }).expect(200);
  expect(body.parameter.map(({ name }: Json) => name)).toEqual(['released', 'released', 'released']);
  expect(await studyOf('7.4')).toMatchObject({ subject: { reference: 'Patient/ben' }, numberOfInstances: 3 });
  const more = await stow([image({ study: '7.4', instance: '7.4.1.4', patient: '', number: 4 })]);
  expect(more.status).toBe(200);
});

test('of several of one UID one is released, and the others stay', async () => {
  const files = [1, 2].map((number) => image({ study: '7.5', instance: '7.5.1.1', patient: '', number }));
  await stow(files);
  const { body } = await call('release', { study: '7.5', patient: 'Patient/ben' }).expect(200);
  expect(body.parameter.map(({ name }: Json) => name)).toEqual(['released', 'kept']);
  expect(await held('7.5')).toHaveLength(1);
});

test('rejected it is gone, bytes and all, and the Task is done', async () => {
  await crossed('7.6');
  const { rows } = await app.app.pool.query('select blob::text from dicom_held where study = $1', ['7.6']);
  const { body } = await call('reject', { study: '7.6' }).expect(200);
  expect(body.parameter).toEqual([{ name: 'rejected', valueUnsignedInt: 1 }]);
  expect(await held('7.6')).toEqual([]);
  expect(await tasksOf('7.6')).toEqual(['completed']);
  await expect(app.app.records.openBlob(rows[0].blob)).rejects.toMatchObject({ status: 404 });
  expect(await studyOf('7.6')).toMatchObject({ numberOfInstances: 1 });
  // it may come in again, when it is right
  const again = await stow([image({ study: '7.6', instance: '7.6.1.2', patient: 'maria', number: 2 })]);
  expect(again.status).toBe(200);
});

test('two who decide at once: one does, and nothing is in a study without its bytes', async () => {
  for (let n = 0; n < 5; n++) {
    const study = `7.7.${n}`;
    await stow([image({ study, instance: `${study}.1.1`, patient: '' })]);
    const [one] = await held(study);
    const ids = { held: partOf(one, 'id') };
    const answers = await Promise.all([
      call('release', { ...ids, patient: 'Patient/ben' }),
      call('reject', ids),
    ]);
    expect(await held(study)).toEqual([]);
    const done = answers.map(({ status, body }) => status === 200 && body.parameter[0].name !== 'kept');
    expect(done.filter(Boolean)).toHaveLength(1);
    const read = await send('get', `/studies/${study}/series/${study}.1/instances/${study}.1.1`);
    expect(read.status).toBe(done[0] ? 200 : 404);
  }
});

test('pages', async () => {
  await stow([1, 2, 3].map((n) => image({ study: '7.8', instance: `7.8.1.${n}`, patient: '', number: n })));
  const uids: string[] = [];
  let after = '';
  for (let pages = 0; pages < 5; pages++) {
    const { body } = await app.send('get', `/ImagingStudy/$held?study=7.8&_count=2${after}`).expect(200);
    const parts = body.parameter as Json[];
    uids.push(
      ...parts.filter(({ name }) => name === 'held').map((part) => partOf(part, 'instance') as string),
    );
    const next = parts.find(({ name }) => name === 'next')?.valueId;
    if (!next) break;
    after = `&_after=${next}`;
  }
  expect(uids).toEqual(['7.8.1.1', '7.8.1.2', '7.8.1.3']);
});

describe('who may', () => {
  const FULL = 'system/*.cruds';
  test.each([
    ['get', 'held', 'patient/*.cruds', 403],
    ['get', 'held', 'user/*.cruds', 403],
    ['get', 'held', 'system/ImagingStudy.rs?modality=MR', 403],
    ['get', 'held', 'system/ImagingStudy.s', 403],
    ['get', 'held', 'system/Patient.rs', 403],
    ['get', 'held', 'system/ImagingStudy.rs', 200],
    ['post', 'release', 'patient/*.cruds', 403],
    ['post', 'release', 'user/*.cruds', 403],
    ['post', 'release', 'system/ImagingStudy.rs', 403],
    ['post', 'release', 'system/ImagingStudy.curs', 403],
    ['post', 'reject', 'user/*.cruds', 403],
    ['post', 'reject', 'system/ImagingStudy.curs system/Patient.rs', 403],
    ['post', 'reject', FULL, 200],
  ] as const)('%s $%s with %s: %i', async (method, operation, scope, status) => {
    await stow([image({ study: '7.9', instance: `7.9.1.1`, patient: '' })]);
    const launch = { patient: 'maria', fhirUser: 'Patient/maria' };
    const ask = await asking(app, scope, scope.startsWith('system/') ? {} : launch);
    const request = ask(method, `/ImagingStudy/$${operation}${method === 'get' ? '?study=7.9' : ''}`);
    const given = { study: '7.9', ...(operation === 'release' ? { patient: 'Patient/maria' } : {}) };
    const answer =
      method === 'get' ? await request : await request.type('application/fhir+json').send(parameters(given));
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.text).not.toMatch(/7\.9\.1/);
    if (operation === 'release') expect(await studyOf('7.9')).toBeUndefined();
  });

  test('who has looked, released and rejected stands in the audit trail', async () => {
    await crossed('7.10');
    await held('7.10');
    await call('release', { study: '7.10', patient: 'Patient/maria' }).expect(200);
    await crossed('7.11');
    const [one] = await held('7.11');
    await call('reject', { study: '7.11' }).expect(200);
    const queries = (await fhir('/AuditEvent?_count=1000')).flatMap(({ entity = [] }) =>
      entity.flatMap(({ query = '' }: Json) => Buffer.from(query, 'base64').toString()),
    );
    expect(queries).toEqual(
      expect.arrayContaining([
        'ImagingStudy/$held?study=7.10',
        'ImagingStudy/$release?study=7.10',
        `ImagingStudy/$reject?held=${partOf(one, 'id')}`,
      ]),
    );
  });
});

test.each([
  [400, 'release', { patient: 'Patient/maria' }],
  [400, 'release', { study: '7.1', patient: 'Practitioner/x' }],
  [400, 'reject', {}],
  [400, 'reject', { held: 'x' }],
  [404, 'reject', { study: '9.9.9' }],
  [404, 'release', { study: '9.9.9', patient: 'Patient/maria' }],
  [404, 'release', { study: '7.1', patient: 'Patient/nobody' }],
] as const)('%i for what is no such call: $%s %o', async (status, operation, given) => {
  const { body } = await call(operation, given).expect(status);
  expect(body.issue[0].diagnostics).toMatch(/\w/);
});
