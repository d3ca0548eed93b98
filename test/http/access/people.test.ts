/** What people see by user/ scopes: practitioners whom they treat, related people for whom they stand (README, "Who sees what"). */
import type { Bundle } from 'fhir/r4.js';
import { startApp, type TestApp } from '../app.ts';
import { type Asking, asking } from './tokens.ts';

let app: TestApp;
const to = (reference: string) => ({ reference });
const put = (type: string, id: string, rest: object) =>
  app
    .send('put', `/${type}/${id}`)
    .type('application/fhir+json')
    .send({ resourceType: type, id, ...rest });
const observation = (patient: string) => ({
  status: 'final',
  code: { text: 'x' },
  subject: to(`Patient/${patient}`),
});
const PATIENTS = ['gp', 'org', 'team', 'met', 'old', 'task', 'stranger'];

beforeAll(async () => {
  app = await startApp();
  const { create } = app;
  await create('Organization', 'clinic', { name: 'Clinic' });
  await create('Organization', 'former', { name: 'Former' });
  await create('Practitioner', 'doc', { name: [{ family: 'Doc' }] });
  await create('PractitionerRole', 'now', {
    practitioner: to('Practitioner/doc'),
    organization: to('Organization/clinic'),
  });
  await create('PractitionerRole', 'then', {
    practitioner: to('Practitioner/doc'),
    organization: to('Organization/former'),
    period: { end: '2020-01-01' },
  });
  await create('Patient', 'gp', { generalPractitioner: [to('Practitioner/doc')] });
  await create('Patient', 'org', { managingOrganization: to('Organization/clinic') });
  await create('Patient', 'old', { managingOrganization: to('Organization/former') });
  for (const id of ['team', 'met', 'task', 'stranger'])
    await create('Patient', id, { name: [{ family: id }] });
  await create('CareTeam', 'ct', {
    status: 'active',
    subject: to('Patient/team'),
    participant: [{ member: to('Practitioner/doc') }],
  });
  await create('Encounter', 'e', {
    status: 'in-progress',
    class: { code: 'AMB' },
    subject: to('Patient/met'),
    participant: [{ individual: to('Practitioner/doc') }],
  });
  await create('Task', 't', {
    status: 'requested',
    intent: 'order',
    for: to('Patient/task'),
    owner: to('Practitioner/doc'),
  });
  for (const id of PATIENTS) await create('Observation', `o-${id}`, observation(id));
  await create('Communication', 'mine', {
    status: 'completed',
    subject: to('Patient/stranger'),
    recipient: [to('Practitioner/doc')],
  });
  await create('Communication', 'theirs', { status: 'completed', subject: to('Patient/stranger') });
  await create('Device', 'monitor', { deviceName: [{ name: 'Ward 3', type: 'user-friendly-name' }] });
  await create('Device', 'implant', { patient: to('Patient/stranger') });
  await create('RelatedPerson', 'mother', { patient: to('Patient/gp'), active: true });
  await create('RelatedPerson', 'ex', { patient: to('Patient/gp'), period: { end: '2020' } });
  await create('Person', 'p', {
    link: [
      { target: to('Patient/org'), assurance: 'level4' },
      { target: to('Patient/team'), assurance: 'level1' },
    ],
  });
});
afterAll(() => app.close());

const as = (fhirUser: string, scope = 'user/*.cruds', more = {}) => asking(app, scope, { fhirUser, ...more });
async function seen(ask: Asking, type = 'Observation', query = ''): Promise<string> {
  const { body } = await ask('get', `/${type}?_count=100${query}`).expect(200);
  return ((body as Bundle).entry ?? [])
    .map(({ resource }) => resource?.id)
    .sort()
    .join(' ');
}

test('a Device that is no patient’s is for everybody to look up, and for systems to write', async () => {
  for (const who of ['Practitioner/doc', 'Patient/gp', 'RelatedPerson/mother']) {
    const ask = await as(who);
    expect(await seen(ask, 'Device')).toBe('monitor');
    const { body } = await ask('get', '/Device/monitor').expect(200);
    await ask('get', '/Device/implant').expect(404);
    await ask('put', '/Device/monitor').type('application/fhir+json').send(body).expect(403);
  }
});

describe('a practitioner sees whom they or their organization treat', () => {
  test('by general practitioner, organization, care team and encounter; not by what is over or not accepted', async () => {
    const doc = await as('Practitioner/doc');
    expect(await seen(doc)).toBe('o-gp o-met o-org o-team');
    expect(await seen(doc, 'Patient')).toBe('gp met org team');
    for (const id of PATIENTS)
      await doc('get', `/Observation/o-${id}`).expect(/gp|org|team|met/.test(id) ? 200 : 404);
    expect(await seen(doc, 'Observation', '&patient=gp')).toBe('o-gp');
    expect(await seen(doc, 'Observation', '&patient=stranger')).toBe('');
    expect(await seen(doc, 'Observation', '&patient=gp,stranger&_sort=_lastUpdated')).toBe('o-gp');
  });

  test('what changes holds on the next request', async () => {
    const doc = await as('Practitioner/doc');
    const task = (status: string) =>
      put('Task', 't', { status, intent: 'order', for: to('Patient/task'), owner: to('Practitioner/doc') });
    await doc('get', '/Observation/o-task').expect(404);
    await task('accepted').expect(200);
    await doc('get', '/Observation/o-task').expect(200);
    await task('completed').expect(200);
    await doc('get', '/Observation/o-task').expect(404);
    await app.send('delete', '/CareTeam/ct').expect(204);
    await doc('get', '/Observation/o-team').expect(404);
    expect(await seen(doc)).toBe('o-gp o-met o-org');
    await put('CareTeam', 'ct', {
      status: 'active',
      subject: to('Patient/team'),
      participant: [{ member: to('Organization/clinic') }],
    }).expect(201);
    expect(await seen(doc)).toBe('o-gp o-met o-org o-team');
  });

  test('and what is addressed to them, whomever it is about', async () => {
    const doc = await as('Practitioner/doc');
    expect(await seen(doc, 'Communication')).toBe('mine');
    await doc('get', '/Communication/mine').expect(200);
    await doc('get', '/Communication/theirs').expect(404);
    await doc('get', '/Patient/stranger').expect(404);
    expect(await seen(doc, 'Task')).toBe('t');
  });

  test('an app in the records of one patient sees that one, as long as the practitioner does', async () => {
    const gp = await as('Practitioner/doc', 'patient/*.rs', { patient: 'gp' });
    expect(await seen(gp)).toBe('o-gp');
    const stranger = await as('Practitioner/doc', 'patient/*.rs', { patient: 'stranger' });
    await stranger('get', '/Observation').expect(403);
    await stranger('get', '/Observation/o-stranger').expect(403);
  });

  test('no write makes somebody their patient who was not', async () => {
    const doc = await as('Practitioner/doc');
    const post = (type: string, body: object) =>
      doc('post', `/${type}`)
        .type('application/fhir+json')
        .send({ resourceType: type, ...body });
    const team = { status: 'active', participant: [{ member: to('Practitioner/doc') }] };
    await post('CareTeam', { ...team, subject: to('Patient/stranger') }).expect(403);
    await post('CareTeam', { ...team, subject: to('Patient/gp') }).expect(201);
    await post('Encounter', {
      status: 'planned',
      class: { code: 'AMB' },
      subject: to('Patient/stranger'),
      participant: [{ individual: to('Practitioner/doc') }],
    }).expect(403);
    await post('Task', {
      status: 'accepted',
      intent: 'order',
      for: to('Patient/stranger'),
      owner: to('Practitioner/doc'),
    }).expect(403);
    await post('PractitionerRole', {
      practitioner: to('Practitioner/doc'),
      organization: to('Organization/former'),
    }).expect(403);
    await post('Observation', observation('stranger')).expect(403);
    await post('Observation', observation('org')).expect(201);
    await post('Patient', { managingOrganization: to('Organization/former') }).expect(403);
    const { body } = await post('Patient', { managingOrganization: to('Organization/clinic') }).expect(201);
    await doc('get', `/Patient/${body.id}`).expect(200);
    expect(await seen(doc)).not.toMatch(/stranger/);
  });

  test('ACCESS_POLICY=all: of all patients', async () => {
    const other = await startApp({ ACCESS_POLICY: 'all' }, app.database);
    const doc = await asking(other, 'user/*.rs', { fhirUser: 'Practitioner/doc' });
    expect(await seen(doc, 'Observation', '&code:text=x')).toMatch(/o-stranger/);
    await other.app.close();
  });
});

describe('patients see their own, related people of those for whom they stand', () => {
  test.each([
    ['Patient/gp', 'o-gp'],
    ['RelatedPerson/mother', 'o-gp'],
    ['RelatedPerson/ex', ''],
    ['Person/p', 'o-org'],
    ['Practitioner/nobody', ''],
    ['RelatedPerson/nobody', ''],
  ])('%s: %s', async (person, ids) => {
    const ask = await as(person, 'user/*.rs');
    expect(
      (await seen(ask))
        .split(' ')
        .filter((id) => id.startsWith('o-'))
        .join(' '),
    ).toBe(ids);
    const [type, id] = person.split('/');
    if (id !== 'nobody') await ask('get', `/${type}/${id}`).expect(200);
  });

  const HOUR = 3_600_000;
  /** An instant as a clock of another zone tells it. */
  const told = (at: number, zone: number): string =>
    `${new Date(at + zone * HOUR).toISOString().slice(0, 19)}${zone < 0 ? '-' : '+'}${String(Math.abs(zone)).padStart(2, '0')}:00`;
  test.each([
    ['ended an hour ago, in the east', { end: told(Date.now() - HOUR, 14) }, 404],
    ['ends in an hour, in the west', { end: told(Date.now() + HOUR, -12) }, 200],
    ['begins in an hour, in the west', { start: told(Date.now() + HOUR, -12) }, 404],
    ['began an hour ago, in the east', { start: told(Date.now() - HOUR, 14) }, 200],
  ])(
    'a period is of instants, whatever their zones (datatypes.html#Period): %s',
    async (_, period, status) => {
      await put('RelatedPerson', 'zoned', { patient: to('Patient/gp'), period });
      const ask = await as('RelatedPerson/zoned', 'user/*.rs');
      await ask('get', '/Observation/o-gp').expect(status);
    },
  );

  test('who stands for a patient no more is out on the next request', async () => {
    const mother = await as('RelatedPerson/mother', 'user/*.rs patient/*.rs', { patient: 'gp' });
    await mother('get', '/Observation/o-gp').expect(200);
    await put('RelatedPerson', 'mother', { patient: to('Patient/gp'), active: false }).expect(200);
    await mother('get', '/Observation/o-gp').expect(404);
  });
});
