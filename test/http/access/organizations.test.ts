/** Systems that are limited to organizations (README, "Who sees what"; SMART App Launch 2.2, backend-services.html). */
import type { Bundle } from 'fhir/r4.js';
import { startApp, type TestApp } from '../app.ts';
import { type Asking, asking } from './tokens.ts';

let app: TestApp;
let ask: Asking;
const to = (reference: string) => ({ reference });
const observation = (patient: string) => ({
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: 'x' }] },
  subject: to(`Patient/${patient}`),
});
const PATIENTS = ['managed', 'met', 'teamed', 'referred', 'doctors', 'denying', 'sharing', 'stranger'];
const consent = (patient: string, provision: object) => ({
  status: 'active',
  scope: { coding: [{ code: 'patient-privacy' }] },
  category: [{ text: 'privacy' }],
  patient: to(`Patient/${patient}`),
  policyRule: { text: 'our policy' },
  provision,
});
const actor = (reference: string) => [{ role: { text: 'recipient' }, reference: to(reference) }];

beforeAll(async () => {
  app = await startApp();
  const { create } = app;
  for (const id of ['north', 'south', 'east']) await create('Organization', id, { name: id });
  await create('Practitioner', 'doc', { name: [{ family: 'Doc' }] });
  await create('PractitionerRole', 'role', {
    practitioner: to('Practitioner/doc'),
    organization: to('Organization/north'),
  });
  for (const id of ['met', 'teamed', 'referred', 'sharing', 'stranger'])
    await create('Patient', id, { name: [{ family: id }] });
  await create('Patient', 'managed', { managingOrganization: to('Organization/north') });
  await create('Patient', 'denying', { managingOrganization: to('Organization/north') });
  await create('Patient', 'doctors', { generalPractitioner: [to('Practitioner/doc')] });
  await create('Patient', 'southern', { managingOrganization: to('Organization/south') });
  await create('Encounter', 'e', {
    status: 'finished',
    class: { code: 'AMB' },
    subject: to('Patient/met'),
    serviceProvider: to('Organization/north'),
  });
  await create('CareTeam', 'c', {
    status: 'active',
    subject: to('Patient/teamed'),
    participant: [{ member: to('Organization/north') }],
  });
  await create('Task', 't', {
    status: 'accepted',
    intent: 'order',
    for: to('Patient/referred'),
    owner: to('Organization/north'),
  });
  await create('Task', 'asked', {
    status: 'requested',
    intent: 'order',
    for: to('Patient/stranger'),
    owner: to('Organization/north'),
  });
  await create('Consent', 'no', consent('denying', { type: 'deny', actor: actor('Organization/north') }));
  await create('Consent', 'yes', consent('sharing', { type: 'permit', actor: actor('Organization/north') }));
  for (const id of [...PATIENTS, 'southern']) await create('Observation', `o-${id}`, observation(id));
  await create('Observation', 'restricted', {
    ...observation('managed'),
    meta: {
      security: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'R' }],
    },
  });
  await create('Appointment', 'both', {
    status: 'booked',
    participant: ['managed', 'stranger'].map((id) => ({ actor: to(`Patient/${id}`), status: 'accepted' })),
  });
  ask = await asking(app, 'system/*.cruds', { organizations: ['north'] });
});
afterAll(() => app.close());

const ids = ({ entry = [] }: Bundle): string =>
  entry
    .map(({ resource }) => resource?.id)
    .sort()
    .join(' ');
const post = (type: string, body: object) =>
  ask('post', `/${type}`)
    .type('application/fhir+json')
    .send({ resourceType: type, ...body });

describe('reads and searches', () => {
  test('what is about the patients of its organization, by each way in which they are, and what a Consent shares with it', async () => {
    const { body } = await ask('get', '/Observation?_count=50').expect(200);
    expect(ids(body)).toBe('o-managed o-met o-referred o-sharing o-teamed');
    const patients = await ask('get', '/Patient?_count=50').expect(200);
    expect(ids(patients.body)).toBe('managed met referred sharing teamed');
    const { body: count } = await ask('get', '/Observation?_summary=count').expect(200);
    expect(count.total).toBe(5);
  });

  test('others are as if they had never been: of a practitioner of theirs, another organization, nobody, or who denies it', async () => {
    for (const id of ['doctors', 'southern', 'stranger', 'denying']) {
      await ask('get', `/Observation/o-${id}`).expect(404);
      await ask('get', `/Observation/o-${id}/_history/1`).expect(404);
      await ask('get', `/Observation/o-${id}/_history`).expect(404);
      await ask('get', `/Patient/${id}/$everything`).expect(404);
    }
    await ask('get', '/Observation/restricted').expect(404);
    const { body } = await ask('get', '/Patient?_id=managed&_revinclude=Observation:subject').expect(200);
    expect(ids(body)).toBe('managed o-managed');
  });

  test('several organizations together see what each does, and no more', async () => {
    const both = await asking(app, 'system/Observation.rs', { organizations: ['south', 'north'] });
    const { body } = await both('get', '/Observation?_count=50').expect(200);
    expect(ids(body)).toBe('o-managed o-met o-referred o-sharing o-southern o-teamed');
    const none = await asking(app, 'system/Observation.rs', { organizations: ['nowhere'] });
    expect(ids((await none('get', '/Observation').expect(200)).body)).toBe('');
  });

  test('the directory, which it does not write, and what is addressed to it', async () => {
    expect(ids((await ask('get', '/Organization').expect(200)).body)).toBe('east north south');
    await post('Organization', { name: 'x' }).expect(403);
    expect(ids((await ask('get', '/Task').expect(200)).body)).toBe('asked t');
  });

  test('other patients are masked', async () => {
    const { text } = await ask('get', '/Appointment/both').expect(200);
    expect(text).toContain('Patient/managed');
    expect(text).not.toContain('stranger');
  });

  test('what changes holds on the next request', async () => {
    await app.create('Patient', 'moving', { managingOrganization: to('Organization/north') });
    await ask('get', '/Patient/moving').expect(200);
    await app
      .send('put', '/Patient/moving')
      .type('application/fhir+json')
      .send({
        resourceType: 'Patient',
        id: 'moving',
        managingOrganization: to('Organization/south'),
      })
      .expect(200);
    await ask('get', '/Patient/moving').expect(404);
  });
});

describe('writes', () => {
  test('about its patients, and a patient who is managed by it, but about nobody else', async () => {
    await post('Condition', { subject: to('Patient/managed'), code: { text: 'x' } }).expect(201);
    await post('Condition', { subject: to('Patient/stranger'), code: { text: 'x' } }).expect(403);
    await post('Patient', { managingOrganization: to('Organization/north') }).expect(201);
    await post('Patient', { managingOrganization: to('Organization/south') }).expect(403);
    await ask('put', '/Observation/o-stranger')
      .type('application/fhir+json')
      .send({ resourceType: 'Observation', id: 'o-stranger', ...observation('managed') })
      .expect(404);
    await ask('delete', '/Observation/o-stranger').expect(204);
    await app.send('get', '/Observation/o-stranger').expect(200);
  });

  test('nobody becomes its patient by its own word', async () => {
    await post('Task', {
      status: 'accepted',
      intent: 'order',
      for: to('Patient/stranger'),
      owner: to('Organization/north'),
    }).expect(403);
    await ask('get', '/Patient/stranger').expect(404);
  });

  test('a SearchParameter does not act by its word', async () => {
    await post('SearchParameter', {
      url: 'http://example.org/sp',
      name: 'x',
      status: 'active',
      description: 'x',
      code: 'x',
      base: ['Patient'],
      type: 'string',
      expression: 'Patient.language',
    }).expect(403);
    await post('$reindex', {}).expect((answer) => expect(answer.status).toBeGreaterThanOrEqual(400));
  });
});

test('R4 http.html#transaction: a Bundle opens no more than its entries would', async () => {
  const { body } = await ask('post', '')
    .type('application/fhir+json')
    .send({
      resourceType: 'Bundle',
      type: 'batch',
      entry: ['Observation/o-managed', 'Observation/o-stranger', 'Observation?_count=50'].map((url) => ({
        request: { method: 'GET', url },
      })),
    })
    .expect(200);
  expect((body as Bundle).entry?.map(({ response }) => response?.status.slice(0, 3))).toEqual([
    '200',
    '404',
    '200',
  ]);
  expect(JSON.stringify(body)).not.toContain('o-stranger"');
});
