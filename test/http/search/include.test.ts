/** `_include` and `_revinclude` (R4 search.html#include), over records and HTTP. */
import { startApp, type TestApp } from '../app.ts';

let app: TestApp;
const FHIR = 'application/fhir+json';
const put: TestApp['create'] = (...given) => app.create(...given);

beforeAll(async () => {
  app = await startApp();
  await put('Organization', 'parent', { name: 'Parent' });
  await put('Organization', 'clinic', { name: 'Clinic', partOf: { reference: 'Organization/parent' } });
  await put('Practitioner', 'doc', { name: [{ family: 'Who' }] });
  await put('Patient', 'ann', {
    managingOrganization: { reference: 'Organization/clinic' },
    generalPractitioner: [{ reference: 'Practitioner/doc' }],
  });
  await put('Patient', 'bob', {});
  const observation = (patient: string, more: object = {}) => ({
    status: 'final',
    code: { coding: [{ system: 'http://loinc.org', code: 'c' }] },
    subject: { reference: `Patient/${patient}` },
    ...more,
  });
  await put('Observation', 'o1', observation('ann', { performer: [{ reference: 'Practitioner/doc' }] }));
  await put('Observation', 'o2', observation('ann', { performer: [{ reference: 'Organization/clinic' }] }));
  await put('Observation', 'o3', observation('bob', { hasMember: [{ reference: 'Observation/o1' }] }));
  await put('Group', 'all', { type: 'person', actual: true });
  await put('Observation', 'o4', { ...observation('bob'), subject: { reference: 'Group/all' } });
  await put('Provenance', 'p1', {
    target: [{ reference: 'Observation/o1' }],
    recorded: '2026-01-01T00:00:00Z',
    agent: [{ who: { reference: 'Practitioner/doc' } }],
  });
});
afterAll(() => app.close());

/** What was matched and what was included, sorted. */
async function found(query: string): Promise<[matches: string[], included: string[]]> {
  const { body } = await app.send('get', `/${query}`).expect(200);
  const named = (mode: string): string[] =>
    (body.entry ?? [])
      .filter((entry: { search: { mode: string } }) => entry.search.mode === mode)
      .map(({ fullUrl }: { fullUrl: string }) => fullUrl.slice(app.base.length + 1))
      // Provenances that are made of the trail: test/http/access/provenance.test.ts
      .filter((name: string) => !name.startsWith('Provenance/w-'))
      .sort();
  return [named('match'), named('include')];
}

test.each([
  ['Observation?_id=o1&_include=Observation:patient', ['Patient/ann']],
  ['Observation?_id=o1&_include=Observation:subject:Patient', ['Patient/ann']],
  ['Observation?_id=o1&_include=Observation:subject:Group', []],
  // `patient` is the subjects that are patients
  ['Observation?_id=o4&_include=Observation:patient', []],
  ['Observation?_id=o4&_include=Observation:subject', ['Group/all']],
  ['Observation?_id=o1,o2&_include=Observation:performer', ['Organization/clinic', 'Practitioner/doc']],
  ['Observation?_id=o1,o2&_include=Observation:performer:Organization', ['Organization/clinic']],
  ['Observation?_id=o1&_include=Observation:*', ['Patient/ann', 'Practitioner/doc']],
  ['Observation?_id=o1&_include=*', ['Patient/ann', 'Practitioner/doc']],
  ['Observation?_id=o1,o3&_include=Observation:has-member', []],
  ['Observation?_id=o3&_include=Observation:has-member', ['Observation/o1']],
  ['Observation?_id=o1&_include=Observation:patient&_include=Patient:organization', ['Patient/ann']],
  [
    'Observation?_id=o1&_include=Observation:patient&_include:iterate=Patient:organization&_include:iterate=Organization:partof',
    ['Organization/clinic', 'Organization/parent', 'Patient/ann'],
  ],
  ['Patient?_id=ann&_revinclude=Observation:patient', ['Observation/o1', 'Observation/o2']],
  ['Patient?_id=ann&_revinclude=Observation:*', ['Observation/o1', 'Observation/o2']],
  ['Patient?_id=ann&_revinclude=*', ['Observation/o1', 'Observation/o2']],
  ['Observation?_id=o1&_revinclude=*', ['Observation/o3', 'Provenance/p1']],
  ['Practitioner?_id=doc&_revinclude=*', ['Observation/o1', 'Patient/ann', 'Provenance/p1']],
  ['Practitioner?_id=doc&_revinclude=Observation:performer', ['Observation/o1']],
  ['Observation?_id=o1&_revinclude=Provenance:target', ['Provenance/p1']],
  ['Observation?_id=o1&_revinclude=Observation:has-member', ['Observation/o3']],
  [
    'Patient?_id=ann&_revinclude=Observation:patient&_revinclude:iterate=Provenance:target',
    ['Observation/o1', 'Observation/o2', 'Provenance/p1'],
  ],
])('R4 search.html#include: %s', async (query, included) => {
  const [, also] = await found(query);
  expect(also).toEqual(included);
});

test('R4 search.html#include: matches are not included again, and only they are counted', async () => {
  const { body } = await app
    .send('get', '/Observation?patient=ann&_include=Observation:patient&_total=accurate&_count=1')
    .expect(200);
  expect(body.total).toBe(2);
  expect(body.entry.map(({ search }: { search: { mode: string } }) => search.mode)).toEqual([
    'match',
    'include',
  ]);
  expect(body.link[0].url).toContain('_include=Observation:patient');
});

test('what the caller may not read is not included', async () => {
  const token = await app.app.issueToken({ scope: 'system/Observation.rs', client: 'test', minutes: 5 });
  const { body } = await app
    .send('get', '/Observation?_id=o1&_include=*')
    .set('Authorization', `Bearer ${token}`)
    .expect(200);
  expect(body.entry).toHaveLength(1);
});

describe('joins tell nothing of what the caller may not search', () => {
  const asked = async (scope: string, query: string) => {
    const token = await app.app.issueToken({ scope, client: 'test', minutes: 5 });
    return app.send('get', `/${query}`).set('Authorization', `Bearer ${token}`);
  };

  test.each([
    ['system/Observation.rs', 'Observation?patient.organization=Organization/clinic'],
    ['system/Observation.rs', 'Observation?subject:Patient.gender:not=male'],
    ['system/Observation.rs system/Patient.rs', 'Observation?patient.organization.name=clinic'],
    ['system/Patient.rs', 'Patient?_has:Observation:patient:code=c'],
    ['system/Patient.rs', 'Patient?_list=secret'],
    [
      'system/Practitioner.rs system/Patient.rs',
      'Practitioner?_has:Patient:general-practitioner:_has:Observation:patient:code=c',
    ],
  ])('%s: %s is 403', async (scope, query) => {
    const { status, body } = await asked(scope, query);
    expect([status, body.issue[0].code]).toEqual([403, 'forbidden']);
  });

  test('of a reference that may lead to several types, those that may be searched are followed', async () => {
    const query = 'Observation?performer.name=clinic';
    expect((await asked('system/Observation.rs system/Organization.rs', query)).body.entry).toHaveLength(1);
    expect((await asked('system/Observation.rs system/Practitioner.rs', query)).body.entry).toBeUndefined();
  });
});

test('what was deleted is not included', async () => {
  await put('Patient', 'gone', {});
  await put('Basic', 'b', { code: { text: 'x' }, subject: { reference: 'Patient/gone' } });
  expect((await found('Basic?_id=b&_include=Basic:subject'))[1]).toEqual(['Patient/gone']);
  await app.send('delete', '/Patient/gone').expect(204);
  expect((await found('Basic?_id=b&_include=Basic:subject'))[1]).toEqual([]);
});

test('R4 search.html#include: of a reference to a version that version is given', async () => {
  const basic = (id: string, reference: string) =>
    put('Basic', id, { code: { text: 'x' }, subject: { reference } });
  await put('Patient', 'aged', { gender: 'male' });
  await app
    .send('put', '/Patient/aged')
    .type(FHIR)
    .send({ resourceType: 'Patient', id: 'aged', gender: 'female' })
    .expect(200);
  await basic('v1', 'Patient/aged/_history/1');
  await basic('v2', 'Patient/aged/_history/2');
  await basic('plain', 'Patient/aged');
  const versions = async (ids: string) => {
    const { body } = await app.send('get', `/Basic?_id=${ids}&_include=Basic:subject`).expect(200);
    return body.entry
      .filter(({ search }: { search: { mode: string } }) => search.mode === 'include')
      .map(({ resource }: { resource: { gender: string; meta: { versionId: string } } }) => [
        resource.meta.versionId,
        resource.gender,
      ])
      .sort();
  };
  const [first, second] = [
    ['1', 'male'],
    ['2', 'female'],
  ];
  expect(await versions('v1')).toEqual([first]);
  expect(await versions('v2')).toEqual([second]);
  expect(await versions('plain')).toEqual([second]);
  expect(await versions('v1,plain')).toEqual([first, second]);
  expect(await versions('v1,v2')).toEqual([first, second]);
});

test('R4 search.html#outcome: more than a page takes is told, never silently cut', async () => {
  const entry = Array.from({ length: 1005 }, (_, i) => ({
    resource: { resourceType: 'Basic', code: { text: 'x' }, subject: { reference: 'Patient/bob' } },
    request: { method: 'POST', url: 'Basic' },
    fullUrl: `urn:uuid:00000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
  }));
  await app
    .send('post', '/')
    .type(FHIR)
    .send({ resourceType: 'Bundle', type: 'transaction', entry })
    .expect(200);
  const { body } = await app.send('get', '/Patient?_id=bob&_revinclude=Basic:patient').expect(200);
  expect(body.entry).toHaveLength(1002);
  const last = body.entry[1001];
  expect(last.search.mode).toBe('outcome');
  expect(last.resource.issue[0]).toMatchObject({ severity: 'warning', code: 'incomplete' });
});

test.each([
  ['Observation?_include=Observation:shoe', /no reference of Observation: possible are .*patient/],
  ['Observation?_include=patient', /Type:parameter/],
  ['Observation?_include=Observation:code', /no reference/],
  ['Observation?_revinclude=Patient:organization', /finds nothing for Observation/],
  ['Observation?_include=Observation:patient&_summary=text', /cannot be text/],
  ['Bundle?_include=Bundle:composition', /part of the references/],
])('%s is 400', async (query, says) => {
  const { body } = await app.send('get', `/${query}`).expect(400);
  expect(body.issue[0].diagnostics).toMatch(says);
});

describe('R4 http.html#vsearch: in the compartment of a patient', () => {
  const ids = async (path: string): Promise<string[]> => {
    const { body } = await app.send('get', path).expect(200);
    return (body.entry ?? []).map(({ resource }: { resource: { id: string } }) => resource.id).sort();
  };

  test.each([
    ['/Patient/ann/Observation', ['o1', 'o2']],
    ['/Patient/ann/Observation?performer=Practitioner/doc', ['o1']],
    ['/Patient/ann/Patient', ['ann']],
    ['/Patient/bob/Observation', ['o3']],
    ['/Patient/nobody/Observation', []],
    ['/Patient/ann/Organization', []],
  ])('%s', async (path, found) => {
    expect(await ids(path)).toEqual(found);
  });

  test('what refers to the patient otherwise is in it, and its pages stay in it', async () => {
    await put('Appointment', 'visit', {
      status: 'booked',
      participant: [{ actor: { reference: 'Patient/ann' }, status: 'accepted' }],
    });
    await put('AuditEvent', 'seen', {
      type: { code: 'rest' },
      recorded: '2026-01-01T00:00:00Z',
      agent: [{ who: { reference: 'Patient/ann' }, requestor: true }],
      source: { observer: { display: 'x' } },
    });
    expect(await ids('/Patient/ann/Appointment')).toEqual(['visit']);
    expect(await ids('/Patient/ann/AuditEvent?_count=1000')).toContain('seen');
    const { body } = await app.send('get', '/Patient/ann/Observation?_count=1').expect(200);
    const next = body.link.find(({ relation }: { relation: string }) => relation === 'next').url;
    expect(next).toMatch(/\/Patient\/ann\/Observation\?/);
    expect(await ids(next.slice(app.base.length))).toHaveLength(1);
  });
});
