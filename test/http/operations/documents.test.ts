/** Composition/$document (R4 composition-operation-document.html) and DocumentReference/$docref (US Core). */
import { startApp, type TestApp } from '../app.ts';

const FHIR = 'application/fhir+json';
let app: TestApp;

const put = (type: string, id: string, rest: object) =>
  app
    .send('put', `/${type}/${id}`)
    .type(FHIR)
    .send({ resourceType: type, id, ...rest })
    .expect(201);
const post = (path: string, ...parameter: object[]) =>
  app.send('post', path).type(FHIR).send({ resourceType: 'Parameters', parameter });
const composition = (more: object) => ({
  ...{ status: 'final', type: { text: 'note' }, date: '2026-01-01', title: 'Note' },
  ...{ author: [{ reference: 'Practitioner/doc' }], subject: { reference: 'Patient/ann' } },
  ...more,
});

interface Entry {
  readonly fullUrl: string;
  readonly resource: { readonly resourceType: string; readonly id: string };
}
const names = ({ body }: { body: { entry?: readonly Entry[] } }): string[] =>
  (body.entry ?? []).map(({ resource }) => `${resource.resourceType}/${resource.id}`);

beforeAll(async () => {
  app = await startApp();
  await put('Patient', 'ann', { name: [{ family: 'Ann' }] });
  await put('Patient', 'bob', {});
  await put('Practitioner', 'doc', { name: [{ family: 'Doc' }] });
  await put('Organization', 'whole', { name: 'Hospital' });
  await put('Organization', 'clinic', { name: 'Clinic', partOf: { reference: 'Organization/whole' } });
  const about = (patient: string) => ({
    ...{ status: 'final', code: { text: 'x' }, subject: { reference: `Patient/${patient}` } },
  });
  await put('Observation', 'sodium', { ...about('ann'), performer: [{ reference: 'Practitioner/nobody' }] });
  await put('Observation', 'bobs', about('bob'));
  await put('Observation', 'panel', {
    ...about('ann'),
    hasMember: [{ reference: 'Observation/sodium' }, { reference: 'Observation/bobs' }],
  });
  const bytes = app.send('put', '/Binary/scan').set('Content-Type', 'image/png');
  await bytes.send(Buffer.from('a picture')).expect(201);
  await put('DocumentReference', 'letter-of-ann', {
    ...{ status: 'current', subject: { reference: 'Patient/ann' } },
    content: [{ attachment: { url: 'Binary/scan', contentType: 'image/png' } }],
  });
  await put('Observation', 'pulse', {
    status: 'final',
    code: { text: 'pulse' },
    subject: { reference: 'Patient/bob' },
  });
  await put('Composition', 'earlier', composition({}));
  await put(
    'Composition',
    'note',
    composition({
      custodian: { reference: 'Organization/clinic' },
      relatesTo: [{ code: 'replaces', targetReference: { reference: 'Composition/earlier' } }],
      section: [
        {
          entry: [{ reference: 'Observation/pulse' }, { reference: 'https://other.org/Observation/1' }],
          section: [
            {
              entry: [
                { reference: `${app.base}/Observation/pulse` },
                { reference: 'Observation/panel' },
                { reference: 'DocumentReference/letter-of-ann' },
                { reference: 'Composition/note' },
              ],
            },
          ],
        },
      ],
    }),
  );
  await put('Composition', 'lacking', composition({ encounter: { reference: 'Encounter/nowhere' } }));
});
afterAll(() => app.close());

describe('Composition/$document', () => {
  const all = [
    ...['Composition/note', 'Patient/ann', 'Practitioner/doc', 'Organization/clinic', 'Observation/pulse'],
    ...['Observation/panel', 'DocumentReference/letter-of-ann'],
    // what these refer to in turn
    ...['Organization/whole', 'Observation/sodium', 'Binary/scan'],
  ];

  test('R4 documents.html: the composition first, then what it refers to, then what that does, each once, of nobody else, and not the documents before it', async () => {
    const answer = await app.send('get', '/Composition/note/$document').expect(200);
    expect(names(answer)[0]).toBe('Composition/note');
    expect(names(answer).slice(1, 7).sort()).toEqual(all.slice(1, 7).sort());
    expect(names(answer).sort()).toEqual([...all].sort());
    const scan = answer.body.entry.find(({ resource }: Entry) => resource.id === 'scan');
    expect(Buffer.from(scan.resource.data, 'base64').toString()).toBe('a picture');
    expect(answer.body).toMatchObject({ resourceType: 'Bundle', type: 'document' });
    expect(answer.body.identifier).toEqual({
      system: 'urn:ietf:rfc:3986',
      value: expect.stringMatching(/^urn:uuid:[0-9a-f-]{36}$/),
    });
    expect(Date.parse(answer.body.timestamp)).toBeGreaterThan(Date.now() - 60_000);
    for (const { fullUrl, resource } of answer.body.entry)
      expect(fullUrl).toBe(`${app.base}/${resource.resourceType}/${resource.id}`);
  });

  test.each([
    () => app.send('get', '/Composition/$document?id=note'),
    () => app.send('get', `/Composition/$document?id=${encodeURIComponent(`${app.base}/Composition/note`)}`),
    () => post('/Composition/$document', { name: 'id', valueUri: 'Composition/note' }),
    () => post('/Composition/note/$document'),
  ])('is called in other ways as well (%#)', async (call) => {
    expect(names(await call().expect(200)).sort()).toEqual([...all].sort());
  });

  test('persist=true stores the Bundle as it is answered', async () => {
    const { body, headers } = await app.send('get', '/Composition/note/$document?persist=true').expect(201);
    expect(names({ body }).sort()).toEqual([...all].sort());
    expect(headers.location).toBe(`${app.base}/Bundle/${body.id}/_history/1`);
    expect((await app.send('get', `/Bundle/${body.id}`).expect(200)).body).toEqual(body);
  });

  test.each<[path: string, status: number, says: RegExp]>([
    ['/Composition/nothing/$document', 404, /nothing/],
    ['/Composition/lacking/$document', 422, /Encounter\/nowhere/],
    ['/Composition/$document', 400, /parameter id/],
    ['/Composition/$document?id=Patient/ann', 400, /Composition of this server/],
    ['/Composition/note/$document?id=note', 400, /leave the parameter id out/],
    ['/Composition/note/$document?graph=http://g', 400, /graph/],
    ['/Composition/note/$document?persist=perhaps', 400, /boolean/],
    ['/Composition/note/$document?shoe=1', 400, /no parameter shoe/],
  ])('%s is %i', async (path, status, says) => {
    const { body } = await app.send('get', path).expect(status);
    expect(body.issue[0].diagnostics).toMatch(says);
  });

  test('what the caller may not read is in no document', async () => {
    const read = async (types: string[], path: string) => {
      const scope = types.map((type) => `system/${type}.r`).join(' ');
      const token = await app.app.issueToken({ scope, client: 'test', minutes: 5 });
      return app.send('get', path).set('Authorization', `Bearer ${token}`);
    };
    const direct = ['Composition', 'Patient', 'Practitioner', 'Organization'];
    expect((await read(direct, '/Composition/note/$document')).status).toBe(403);
    const answer = await read([...direct, 'Observation', 'DocumentReference'], '/Composition/note/$document');
    expect(names(answer).sort()).toEqual(all.filter((name) => name !== 'Binary/scan').sort());
  });

  test('one of more than 1,000 resources is refused, as is storing one that is larger than a resource may be', async () => {
    const own = await startApp({ MAX_BODY: '200000' });
    const write = (type: string, id: string, body: object) =>
      own
        .send('put', `/${type}/${id}`)
        .type(FHIR)
        .send({ resourceType: type, id, ...body })
        .expect(201);
    const entry: object[] = [];
    for (let n = 0; n < 3; n++) {
      await write('Basic', `b${n}`, { code: { text: 'x'.repeat(100_000) } });
      entry.push({ reference: `Basic/b${n}` });
    }
    const base = { ...composition({}), subject: undefined, author: [{ display: 'x' }] };
    await write('Composition', 'large', { ...base, section: [{ entry }] });
    expect(names(await own.send('get', '/Composition/large/$document').expect(200))).toHaveLength(4);
    const stored = await own.send('get', '/Composition/large/$document?persist=true').expect(422);
    expect(stored.body.issue[0].diagnostics).toMatch(/larger than the 200000 bytes/);
    const many = Array.from({ length: 1001 }, (_, n) => ({ reference: `Basic/none-${n}` }));
    await write('Composition', 'many', { ...base, section: [{ entry: many }] });
    const { body } = await own.send('get', '/Composition/many/$document').expect(422);
    expect(body.issue[0]).toMatchObject({ code: 'too-costly' });
    await own.close();
  });
});

describe('DocumentReference/$docref', () => {
  const of = (patient: string, date: string, code: string, period: object, more: object = {}) => ({
    ...{ status: 'current', subject: { reference: `Patient/${patient}` }, date },
    ...{ type: { coding: [{ system: 'http://loinc.org', code }] }, context: { period } },
    ...{ content: [{ attachment: { url: 'https://files.example.org/1' } }], ...more },
  });
  beforeAll(async () => {
    await put(
      'DocumentReference',
      'old',
      of('ann', '2020-01-01T00:00:00Z', '34133-9', { start: '2019', end: '2020' }),
    );
    await put(
      'DocumentReference',
      'new',
      of('ann', '2025-01-01T00:00:00Z', '34133-9', { start: '2024', end: '2025' }),
    );
    await put(
      'DocumentReference',
      'letter',
      of('ann', '2025-06-01T00:00:00Z', '51851-4', { start: '2025-05' }),
    );
    await put('DocumentReference', 'wrong', {
      ...of('ann', '2026-01-01T00:00:00Z', '34133-9', { start: '2026' }),
      status: 'entered-in-error',
    });
    await put('DocumentReference', 'bobs', of('bob', '2025-06-01T00:00:00Z', '51851-4', { start: '2025' }));
  });
  const type = (code: string) => ({
    name: 'type',
    valueCodeableConcept: { coding: [{ system: 'http://loinc.org', code }] },
  });
  const patient = { name: 'patient', valueId: 'ann' };

  test.each<[string, string[]]>([
    ['patient=ann', ['new']],
    ['patient=bob', ['bobs']],
    ['patient=ann&on-demand=false', ['new']],
    // none is made on demand, and only such are asked for
    ['patient=ann&on-demand=true', []],
    ['patient=ann&start=2019-01-01&end=2020-12-31', ['old']],
    ['patient=ann&start=2000', ['new', 'old']],
    ['patient=ann&end=2018', []],
    ['patient=nobody', []],
  ])('%s', async (query, ids) => {
    const answer = await app.send('get', `/DocumentReference/$docref?${query}`).expect(200);
    expect(answer.body.type).toBe('searchset');
    expect(names(answer)).toEqual(ids.map((id) => `DocumentReference/${id}`));
  });

  test('by POST, with a type', async () => {
    expect(names(await post('/DocumentReference/$docref', patient, type('51851-4')).expect(200))).toEqual([
      'DocumentReference/letter',
    ]);
    expect(names(await post('/DocumentReference/$docref', patient, type('0-0')).expect(200))).toEqual([]);
  });

  test.each([
    ['', /needs the parameter patient/],
    ['patient=ann&start=never', /start/],
    ['patient=ann&profile=http://p', /profile/],
    ['patient=ann&type=34133-9', /by POST/],
  ])('%s is 400', async (query, says) => {
    const { body } = await app.send('get', `/DocumentReference/$docref?${query}`).expect(400);
    expect(body.issue[0].diagnostics).toMatch(says);
  });
});
