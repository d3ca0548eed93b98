/** Who wrote what, as Provenances: one for each request, made when they are asked for (R4 provenance.html). */
import type { Bundle, Provenance, Resource } from 'fhir/r4.js';
import type { Response } from 'supertest';
import { startApp, type TestApp } from '../app.ts';
import { type Asking, asking } from './tokens.ts';

let app: TestApp;
let all: Asking;
let doc: Asking;
const to = (reference: string) => ({ reference });
const observation = (patient: string, more: object = {}) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { text: 'x' },
  subject: to(`Patient/${patient}`),
  ...more,
});

beforeAll(async () => {
  app = await startApp();
  all = await asking(app, 'system/*.cruds');
  await app.create('Practitioner', 'doc', {});
  await app.create('Patient', 'ann', { generalPractitioner: [to('Practitioner/doc')] });
  await app.create('Patient', 'cid', {});
  doc = await asking(app, 'user/*.cruds', { fhirUser: 'Practitioner/doc' });
  await put(all, 'Observation/o1', observation('ann', { id: 'o1' }), 201);
  await put(doc, 'Observation/o1', observation('ann', { id: 'o1', status: 'amended' }), 200);
});
afterAll(() => app.close());

const put = (ask: Asking, path: string, body: object, status: number) =>
  ask('put', `/${path}`).type('application/fhir+json').send(body).expect(status);

async function find(ask: Asking, query: string): Promise<Provenance[]> {
  const { body } = await ask('get', `/Provenance?${query}`).expect(200);
  return ((body as Bundle<Provenance>).entry ?? []).map(({ resource }) => resource as Provenance);
}

const targets = ({ target }: Provenance) => target.map(({ reference }) => reference);

test('each version has one, newest first, which says who, through what, when and what', async () => {
  const [update, create, ...others] = await find(all, 'target=Observation/o1');
  expect(others).toEqual([]);
  expect(update).toMatchObject({
    target: [{ reference: 'Observation/o1/_history/2' }],
    activity: { coding: [{ code: 'UPDATE' }] },
    agent: [
      { type: { coding: [{ code: 'author' }] }, who: { reference: 'Practitioner/doc' } },
      { type: { coding: [{ code: 'transmitter' }] }, who: { identifier: { value: 'test' } } },
    ],
  });
  expect(create && targets(create)).toEqual(['Observation/o1/_history/1']);
  const { body } = await all('get', `/Provenance/${update?.id}`).expect(200);
  expect(body).toEqual(update);
  await all('get', `/Provenance/${update?.id}/_history/1`).expect(200);
});

test('R4 search.html#has: what has a Provenance is found by _has, with all that Provenances are searched by', async () => {
  const ids = async (ask: Asking, path: string): Promise<string[]> => {
    const { body } = await ask('get', path).expect(200);
    return ((body as Bundle).entry ?? []).map(({ resource }) => resource?.id as string).sort();
  };
  await put(all, 'Observation/plain', observation('ann', { id: 'plain' }), 201);
  expect(await ids(all, '/Observation?_has:Provenance:target:agent=Practitioner/doc&_id=o1,plain')).toEqual([
    'o1',
  ]);
  expect(await ids(all, '/Observation?_has:Provenance:target:recorded=ge2020&_id=o1,plain')).toEqual([
    'o1',
    'plain',
  ]);
  expect(await ids(all, '/Observation?_has:Provenance:target:recorded=lt2020&_id=o1,plain')).toEqual([]);
  expect(await ids(all, '/Practitioner?_has:Provenance:agent:target=Observation/o1')).toEqual(['doc']);
  // Of others one does not learn that they were written.
  expect(await ids(doc, '/Practitioner?_has:Provenance:agent:target=Patient/cid')).toEqual([]);
});

test.each([
  '/Patient?_has:Provenance:patient:recorded=ge2020',
  '/Task?focus:Provenance.recorded=ge2020',
  '/Provenance/_history',
  '/AuditEvent/_history',
  '/?_type=Provenance,Observation',
  '/Patient/ann/$everything?_type=Provenance',
])('where made ones are not found it is said, and not answered with nothing: %s', async (path) => {
  const { body } = await all('get', path).expect(400);
  expect(body.issue[0]).toMatchObject({
    code: 'not-supported',
    diagnostics: expect.stringContaining('trail'),
  });
});

test('R4 http.html#history: one has a history of one version', async () => {
  const [known] = await find(all, 'target=Observation/o1');
  const { body } = await all('get', `/Provenance/${known?.id}/_history`).expect(200);
  expect(body).toMatchObject({ total: 1, entry: [{ resource: known, request: { method: 'POST' } }] });
});

test('a system is told of nothing but the types that it may read', async () => {
  const system = await asking(app, 'system/Provenance.rs system/Patient.rs');
  const found = await find(system, '_count=100');
  expect(found.flatMap(targets).every((one) => one?.startsWith('Patient/'))).toBe(true);
  expect(found.length).toBeGreaterThan(0);
  expect(await find(system, 'target=Observation/o1')).toEqual([]);
});

test('a transaction is one, whatever it has written', async () => {
  const entry = ['t1', 't2', 't3'].map((id) => ({
    resource: observation('ann', { id }),
    request: { method: 'PUT', url: `Observation/${id}` },
  }));
  await all('post', '/')
    .type('application/fhir+json')
    .send({ resourceType: 'Bundle', type: 'transaction', entry })
    .expect(200);
  const found = await find(all, 'target=Observation/t2');
  expect(found.map(targets)).toEqual([
    ['Observation/t1/_history/1', 'Observation/t2/_history/1', 'Observation/t3/_history/1'],
  ]);
});

test('requests that share a statement have one each', async () => {
  const bodies = Array.from({ length: 8 }, () => observation('ann'));
  const made = await Promise.all(
    bodies.map((body) => all('post', '/Observation').type('application/fhir+json').send(body).expect(201)),
  );
  for (const { body } of made) {
    const found = await find(all, `target=Observation/${body.id}`);
    expect(found.map(targets)).toEqual([[`Observation/${body.id}/_history/1`]]);
  }
});

test('those that clients post are found beside them', async () => {
  const posted = {
    resourceType: 'Provenance',
    target: [to('Observation/o1')],
    recorded: '2020-01-01T00:00:00Z',
    agent: [{ who: { display: 'a scanner' } }],
  };
  const { body } = await all('post', '/Provenance').type('application/fhir+json').send(posted).expect(201);
  const found = await find(all, 'target=Observation/o1');
  expect(found).toHaveLength(3);
  expect(found.map(({ id }) => id)).toContain(body.id);
  // nobody asks who wrote a Provenance
  expect(await find(all, `target=Provenance/${body.id}`)).toEqual([]);
});

test.each([
  ['patient=ann&agent=Practitioner/doc', 1],
  ['target=Observation/o1&recorded=lt2019', 0],
  ['patient=cid', 1],
  ['target=Patient/ann', 1],
  ['target=Observation/nothing', 0],
])('%s finds %i', async (query, count) => {
  expect(await find(all, query)).toHaveLength(count);
});

test('by pages, each once', async () => {
  const whole = (await find(all, '_count=1000')).map(({ id }) => id);
  const paged: (string | undefined)[] = [];
  for (let next: string | undefined = '/Provenance?_count=3'; next; ) {
    const { body }: Response = await all('get', next).expect(200);
    for (const { resource } of (body as Bundle<Provenance>).entry ?? []) paged.push(resource?.id);
    next = (body as Bundle).link?.find(({ relation }) => relation === 'next')?.url.replace(app.base, '');
  }
  expect(paged).toEqual(whole);
  expect(new Set(whole).size).toBe(whole.length);
});

test('_revinclude=Provenance:target brings those about the matches', async () => {
  const { body } = await all('get', '/Observation?_id=o1&_revinclude=Provenance:target').expect(200);
  const included = ((body as Bundle<Resource>).entry ?? []).filter(
    ({ search }) => search?.mode === 'include',
  );
  expect(included.map(({ resource }) => resource?.resourceType)).toEqual([
    'Provenance',
    'Provenance',
    'Provenance',
  ]);
});

test('who may read what it is about sees it, and no more of it', async () => {
  await put(all, 'Observation/c1', observation('cid', { id: 'c1' }), 201);
  const [hidden] = await find(all, 'target=Observation/c1');
  expect(await find(doc, 'target=Observation/c1')).toEqual([]);
  await doc('get', `/Provenance/${hidden?.id}`).expect(404);
  const entry = ['ann', 'cid'].map((patient) => ({
    resource: observation(patient, { id: `both-${patient}` }),
    request: { method: 'PUT', url: `Observation/both-${patient}` },
  }));
  await all('post', '/')
    .type('application/fhir+json')
    .send({ resourceType: 'Bundle', type: 'transaction', entry })
    .expect(200);
  const [both] = await find(doc, 'target=Observation/both-ann');
  expect(both && targets(both)).toEqual(['Observation/both-ann/_history/1']);
  expect(await find(doc, 'target=Observation/both-cid')).toEqual([]);
  const ann = await asking(app, 'patient/*.rs', { patient: 'ann', fhirUser: 'Patient/ann' });
  expect((await find(ann, 'target=Observation/o1')).length).toBeGreaterThan(0);
  const own = await find(ann, '_count=1000');
  expect(JSON.stringify(own)).not.toContain('cid');
  const scoped = await asking(app, 'patient/Observation.rs', { patient: 'ann', fhirUser: 'Patient/ann' });
  await scoped('get', '/Provenance?target=Observation/o1').expect(403);
});

test('of what was deleted there is one that says so, and none is ever changed', async () => {
  await put(all, 'Observation/gone', observation('ann', { id: 'gone' }), 201);
  await all('delete', '/Observation/gone').expect(204);
  const [deletion] = await find(all, 'target=Observation/gone');
  expect(deletion).toMatchObject({ activity: { coding: [{ code: 'DELETE' }] } });
  await all('delete', `/Provenance/${deletion?.id}`).expect(405);
  await put(all, `Provenance/${deletion?.id}`, deletion as Provenance, 405);
});
