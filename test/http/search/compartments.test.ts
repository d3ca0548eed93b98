/** Searches in the five compartments that there are (R4 compartmentdefinition.html, http.html#vsearch). */
import type { Bundle, Observation } from 'fhir/r4.js';
import { startApp, type TestApp } from '../app.ts';

let app: TestApp;
const put: TestApp['create'] = (...given) => app.create(...given);

beforeAll(async () => {
  app = await startApp();
  const subject = { reference: 'Patient/ann' };
  const code = { coding: [{ system: 'http://s', code: 'c' }] };
  const practitioner = { reference: 'Practitioner/doc' };
  const encounter = { reference: 'Encounter/visit' };
  await put('Practitioner', 'doc', { name: [{ family: 'Doc' }] });
  await put('RelatedPerson', 'mother', { patient: subject });
  await put('Device', 'cuff', { status: 'active' });
  const participant = [{ individual: practitioner }, { individual: { reference: 'RelatedPerson/mother' } }];
  const visit = { status: 'finished', class: { code: 'AMB' }, participant };
  await put('Encounter', 'visit', { ...visit, subject: { reference: 'Patient/cid' } });
  const reading = { status: 'final', code, subject: { reference: 'Patient/cid' }, encounter };
  await put('Observation', 'read', {
    ...reading,
    performer: [practitioner],
    device: { reference: 'Device/cuff' },
  });
  await put('Observation', 'told', { ...reading, performer: [{ reference: 'RelatedPerson/mother' }] });
  await put('Patient', 'cid', { generalPractitioner: [practitioner] });
  await put('Observation', 'elsewhere', {
    ...reading,
    encounter: { reference: 'https://other.org/Encounter/visit' },
  });
});
afterAll(() => app.close());

test.each([
  ['/Practitioner/doc/Observation', ['Observation/read']],
  ['/Practitioner/doc/Observation?code=c&subject:Patient._id=cid', ['Observation/read']],
  ['/Practitioner/doc/Observation?code=d', []],
  ['/Practitioner/doc/Practitioner', ['Practitioner/doc']],
  ['/Practitioner/doc/*', ['Patient/cid', 'Observation/read', 'Encounter/visit', 'Practitioner/doc']],
  ['/Encounter/visit/Observation', ['Observation/told', 'Observation/read']],
  ['/Encounter/visit/*', ['Observation/told', 'Observation/read', 'Encounter/visit']],
  ['/Encounter/visit/*?_type=Encounter', ['Encounter/visit']],
  ['/RelatedPerson/mother/Observation', ['Observation/told']],
  ['/RelatedPerson/mother/*', ['Observation/told', 'Encounter/visit', 'RelatedPerson/mother']],
  ['/Device/cuff/Observation', ['Observation/read']],
  ['/Device/cuff/*', ['Observation/read', 'Device/cuff']],
  ['/Device/cuff/Patient', []],
  ['/Encounter/nothing/*', []],
  [
    '/Patient/cid/*',
    ['Observation/elsewhere', 'Patient/cid', 'Observation/told', 'Observation/read', 'Encounter/visit'],
  ],
])('%s: newest first', async (path, found) => {
  const { entry = [] }: Bundle = (await app.send('get', path).expect(200)).body;
  expect(entry.map(({ resource }) => `${resource?.resourceType}/${resource?.id}`)).toEqual(found);
});

test('an entry of a batch searches in a compartment as well', async () => {
  const entry = [{ request: { method: 'GET', url: 'Encounter/visit/Observation?_summary=count' } }];
  const { body } = await app
    .send('post', '/')
    .type('application/fhir+json')
    .send({ resourceType: 'Bundle', type: 'batch', entry })
    .expect(200);
  expect(body.entry[0].resource.total).toBe(2);
});

test('R4 http.html#vsearch: by POST, with pages that GET follows', async () => {
  const { body } = await app
    .send('post', '/Encounter/visit/Observation/_search?_count=1')
    .type('form')
    .send({ code: 'c' })
    .expect(200);
  expect(body.entry).toHaveLength(1);
  const next = body.link.find(({ relation }: { relation: string }) => relation === 'next').url;
  expect(next).toMatch(/\/Encounter\/visit\/Observation\?/);
  const { body: second } = await app.send('get', next.slice(app.base.length)).expect(200);
  expect(second.entry[0].resource.id).toBe('read');
});

test('what looks like a compartment in a filter finds all the same', async () => {
  const types = 'Observation,Encounter,Condition,Procedure,CarePlan';
  const filter = encodeURIComponent('subject re Patient/cid or subject re Group/g');
  const { body } = await app.send('get', `/?_type=${types}&_filter=${filter}`).expect(200);
  expect(body.entry).toHaveLength(4);
});

test('of one whom thousands refer to, the newest come first, and all on pages', async () => {
  const day = (i: number): string => `20${String(10 + (i % 90))}-01-01`;
  const entry = Array.from({ length: 3100 }, (_, i) => ({
    request: { method: 'PUT', url: `Observation/n${i}` },
    resource: {
      resourceType: 'Observation',
      id: `n${i}`,
      status: 'final',
      code: { text: 'x' },
      performer: [{ reference: 'Practitioner/busy' }],
      effectiveDateTime: day(i),
    },
  }));
  await app
    .send('post', '/')
    .type('application/fhir+json')
    .send({ resourceType: 'Bundle', type: 'transaction', entry })
    .expect(200);
  const dates: string[] = [];
  for (let url: string | undefined = '/Practitioner/busy/Observation?_count=1000'; url; ) {
    const page: Bundle<Observation> = (await app.send('get', url).expect(200)).body;
    dates.push(...(page.entry ?? []).map(({ resource }) => resource?.effectiveDateTime ?? ''));
    const next = page.link?.find(({ relation }) => relation === 'next')?.url;
    url = next?.slice(app.base.length);
  }
  expect(dates).toEqual(
    entry
      .map(({ resource }) => resource.effectiveDateTime)
      .sort()
      .reverse(),
  );
});
