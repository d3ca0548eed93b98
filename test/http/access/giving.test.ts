/** Only one's own view can be given on (README, "Who sees what": Sharing). */
import { startApp, type TestApp } from '../app.ts';
import { type Asking, asking } from './tokens.ts';

let app: TestApp;
const to = (reference: string) => ({ reference });
const FHIR = 'application/fhir+json';
const ACT = 'http://terminology.hl7.org/CodeSystem/v3-ActCode';
const LOINC = 'http://loinc.org';
const code = (one: string) => ({ coding: [{ system: LOINC, code: one }] });
const actor = (reference: string) => [{ role: { text: 'recipient' }, reference: to(reference) }];
const consent = (patient: string, rule: string, provision: object) => ({
  resourceType: 'Consent',
  status: 'active',
  scope: { coding: [{ code: 'patient-privacy' }] },
  category: [{ text: 'privacy' }],
  patient: to(`Patient/${patient}`),
  policyRule: { coding: [{ system: ACT, code: rule }] },
  provision,
});
const permit = (patient: string, reference: string, more: object = {}) =>
  consent(patient, 'other', { type: 'permit', actor: actor(reference), ...more });
const task = (patient: string, owner: string, status = 'accepted') => ({
  resourceType: 'Task',
  status,
  intent: 'order',
  for: to(`Patient/${patient}`),
  owner: to(owner),
});

const as = (fhirUser: string): Promise<Asking> => asking(app, 'user/*.cruds', { fhirUser });
const post = async (who: string, body: { resourceType: string; [member: string]: unknown }) =>
  (await as(who))('post', `/${body.resourceType}`).type(FHIR).send(body);
const put = async (who: string, id: string, body: { resourceType: string }) =>
  (await as(who))('put', `/${body.resourceType}/${id}`)
    .type(FHIR)
    .send({ ...body, id });
const accept = async (who: string, id: string): Promise<number> =>
  (
    await (
      await as(who)
    )('patch', `/Task/${id}`)
      .type('application/json-patch+json')
      .send([{ op: 'replace', path: '/status', value: 'accepted' }])
  ).status;
const status = async (who: string, path: string): Promise<number> =>
  (await (await as(who))('get', path)).status;

beforeAll(async () => {
  app = await startApp();
  const { create } = app;
  for (const id of ['gp', 'part', 'friend', 'denied', 'other'])
    await create('Practitioner', id, { name: [{ family: id }] });
  await create('Organization', 'clinic', { name: 'Clinic' });
  await create('Patient', 'p', {
    generalPractitioner: [to('Practitioner/gp'), to('Practitioner/denied')],
  });
  await create('Patient', 'q', { name: [{ family: 'q' }] });
  for (const one of ['hiv', 'flu'])
    await create('Observation', one, { status: 'final', code: code(one), subject: to('Patient/p') });
  // Tasks and Observations about flu are all that "part" sees; "denied" sees all but hiv.
  await create('Consent', 'in-part', {
    ...permit('p', 'Practitioner/part', {
      class: ['Task', 'Consent', 'CareTeam', 'Encounter', 'RelatedPerson'].map((one) => ({
        system: 'http://hl7.org/fhir/resource-types',
        code: one,
      })),
    }),
  });
  await create(
    'Consent',
    'no-hiv',
    consent('p', 'other', { type: 'deny', actor: actor('Practitioner/denied'), code: [code('hiv')] }),
  );
  await create('RelatedPerson', 'mother', { patient: to('Patient/p'), active: true });
  await create('Person', 'self', { link: [{ target: to('Patient/q'), assurance: 'level4' }] });
});
afterAll(() => app.close());

describe('who sees a part of the records', () => {
  test('makes nobody see all of them: not themselves, and nobody else', async () => {
    for (const owner of ['Practitioner/part', 'Practitioner/friend', 'Organization/clinic'])
      for (const state of ['requested', 'accepted'])
        expect((await post('Practitioner/part', task('p', owner, state))).status).toBe(403);
    const team = {
      resourceType: 'CareTeam',
      status: 'active',
      subject: to('Patient/p'),
      participant: [{ member: to('Practitioner/part') }],
    };
    expect((await post('Practitioner/part', team)).status).toBe(403);
    const encounter = {
      resourceType: 'Encounter',
      status: 'in-progress',
      class: { code: 'AMB' },
      subject: to('Patient/p'),
      participant: [{ individual: to('Practitioner/part') }],
    };
    expect((await post('Practitioner/part', encounter)).status).toBe(403);
    expect((await post('Practitioner/part', { ...encounter, status: 'cancelled' })).status).toBe(201);
    expect(
      (await post('Practitioner/part', { resourceType: 'RelatedPerson', patient: to('Patient/p') })).status,
    ).toBe(403);
    expect((await post('Practitioner/part', permit('p', 'Practitioner/friend'))).status).toBe(403);
    expect(await status('Practitioner/part', '/Observation/hiv')).toBe(404);
    expect(await status('Practitioner/friend', '/Observation/flu')).toBe(404);
  });

  test('in a transaction, by a patch and by a condition neither', async () => {
    const ask = await as('Practitioner/part');
    const bundle = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [{ resource: task('p', 'Practitioner/part'), request: { method: 'POST', url: 'Task' } }],
    };
    await ask('post', '').type(FHIR).send(bundle).expect(403);
    const { body } = await post('Practitioner/part', task('p', 'Practitioner/part', 'completed'));
    await ask('patch', `/Task/${body.id}`)
      .type('application/json-patch+json')
      .send([{ op: 'replace', path: '/status', value: 'in-progress' }])
      .expect(403);
    await ask('put', `/Task?_id=${body.id}`)
      .type(FHIR)
      .send({ ...task('p', 'Practitioner/part'), id: body.id })
      .expect(403);
    expect(await status('Practitioner/part', '/Observation/flu')).toBe(404);
  });
});

describe('who is denied something', () => {
  test('gives nothing to others, and does not take the denial away', async () => {
    const who = 'Practitioner/denied';
    expect(await status(who, '/Observation/flu')).toBe(200);
    expect(await status(who, '/Consent/no-hiv')).toBe(200);
    expect((await post(who, permit('p', 'Practitioner/friend'))).status).toBe(403);
    expect((await post(who, task('p', 'Practitioner/friend', 'requested'))).status).toBe(403);
    expect((await put(who, 'no-hiv', { ...permit('p', 'Practitioner/other') })).status).toBe(403);
    const ask = await as(who);
    await ask('patch', '/Consent/no-hiv')
      .type('application/json-patch+json')
      .send([{ op: 'replace', path: '/status', value: 'inactive' }])
      .expect(403);
    await ask('delete', '/Consent/no-hiv').expect(403);
    await ask('delete', '/Consent?_id=no-hiv').expect(403);
    const patient = await ask('get', '/Patient/p').expect(200);
    patient.body.generalPractitioner.push(to('Practitioner/friend'));
    await ask('put', '/Patient/p').type(FHIR).send(patient.body).expect(403);
    expect(await status(who, '/Observation/hiv')).toBe(404);
    expect(await status('Practitioner/friend', '/Observation/hiv')).toBe(404);
  });

  test('goes on treating the patient: work of their own, and what opens nothing', async () => {
    const who = 'Practitioner/denied';
    expect((await post(who, task('p', who, 'in-progress'))).status).toBe(201);
    const { generalPractitioner: _, ...patient } = (await (await as(who))('get', '/Patient/p')).body;
    expect((await put(who, 'p', { ...patient, generalPractitioner: _, gender: 'female' })).status).toBe(200);
  });
});

describe('who sees all of the records', () => {
  test('a practitioner refers the patient, who is seen when that is accepted, and no more when it is over', async () => {
    const { body, status: made } = await post(
      'Practitioner/gp',
      task('p', 'Practitioner/friend', 'requested'),
    );
    expect(made).toBe(201);
    expect(await status('Practitioner/friend', '/Observation/flu')).toBe(404);
    expect(await accept('Practitioner/friend', body.id)).toBe(200);
    expect(await status('Practitioner/friend', '/Observation/flu')).toBe(200);
    expect(
      (await put('Practitioner/gp', body.id, task('p', 'Practitioner/friend', 'completed'))).status,
    ).toBe(200);
    expect(await status('Practitioner/friend', '/Observation/flu')).toBe(404);
    // Whom it was given to does not take it again.
    expect(await accept('Practitioner/friend', body.id)).toBe(403);
    expect(await status('Practitioner/friend', '/Observation/flu')).toBe(404);
  });

  test('patients, and who stands for them, share their own and nobody else’s', async () => {
    for (const who of ['Patient/p', 'RelatedPerson/mother']) {
      const { body, status: made } = await post(who, permit('p', 'Practitioner/other'));
      expect(made).toBe(201);
      expect(await status('Practitioner/other', '/Observation/flu')).toBe(200);
      await (await as(who))('delete', `/Consent/${body.id}`).expect(204);
      expect(await status('Practitioner/other', '/Observation/flu')).toBe(404);
      expect((await post(who, permit('q', 'Practitioner/other'))).status).toBe(403);
      expect((await post(who, task('q', 'Practitioner/other'))).status).toBe(403);
    }
  });
});

test('what a patient shared ends when the patient is deleted', async () => {
  await app.create('Patient', 'leaving', {});
  await app.create('Consent', 'until', { ...permit('leaving', 'Practitioner/other') });
  await app.create('Observation', 'left', {
    status: 'final',
    code: code('flu'),
    subject: to('Patient/leaving'),
  });
  expect(await status('Practitioner/other', '/Observation/left')).toBe(200);
  await app.send('delete', '/Patient/leaving').expect(204);
  expect(await status('Practitioner/other', '/Observation/left')).toBe(404);
});

test('who a Person is, only systems say', async () => {
  const body = {
    resourceType: 'Person',
    link: [
      { target: to('Patient/q'), assurance: 'level4' },
      { target: to('RelatedPerson/mother'), assurance: 'level4' },
    ],
  };
  expect((await put('Patient/q', 'self', body)).status).toBe(403);
  expect((await put('Person/self', 'self', body)).status).toBe(403);
  expect(await status('Person/self', '/Observation/flu')).toBe(404);
});
