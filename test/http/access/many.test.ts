/** A practitioner of more than a thousand patients: other plans, and the same answers (ARCHITECTURE.md, "Search plans"). */
import type { Bundle } from 'fhir/r4.js';
import { startApp, type TestApp } from '../app.ts';
import { type Asking, asking } from './tokens.ts';

let app: TestApp;
let doc: Asking;
const to = (reference: string) => ({ reference });
const ACT = 'http://terminology.hl7.org/CodeSystem/v3-ActCode';
const code = { coding: [{ system: 'http://loinc.org', code: 'x' }] };
const HIV = { system: ACT, code: 'HIV' };
const observation = (patient: string, more: object = {}) => ({
  resourceType: 'Observation',
  status: 'final',
  code,
  subject: to(`Patient/${patient}`),
  effectiveDateTime: '2026-01-01',
  ...more,
});

async function write(resources: readonly { resourceType: string; id: string }[]): Promise<void> {
  const entry = resources.map((resource) => ({
    resource,
    request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}` },
  }));
  await app
    .send('post', '')
    .type('application/fhir+json')
    .send({ resourceType: 'Bundle', type: 'transaction', entry })
    .expect(200);
}

beforeAll(async () => {
  app = await startApp();
  await app.create('Practitioner', 'doc', {});
  await write(
    Array.from({ length: 1100 }, (_, i) => ({
      resourceType: 'Patient',
      id: `p${i}`,
      name: [{ family: 'Many' }],
      generalPractitioner: [to('Practitioner/doc')],
    })),
  );
  const account = (id: string, ...patients: string[]) => ({
    resourceType: 'Account',
    id,
    status: 'active',
    subject: patients.map((one) => to(`Patient/${one}`)),
  });
  await write([
    { resourceType: 'Patient', id: 'stranger', name: [{ family: 'Many' }] } as never,
    ...[1, 2, 3, 4].map((i) => ({ ...observation(`p${i}`), id: `o${i}` })),
    { ...observation('p5', { effectiveDateTime: '2020-01-01' }), id: 'old' },
    { ...observation('p6', { code: { text: 'y' } }), id: 'other' },
    { ...observation('stranger'), id: 'theirs' },
    account('both', 'p1', 'p2'),
    account('second', 'stranger', 'p3'),
    account('first', 'p4', 'stranger'),
    account('none', 'stranger'),
  ]);
  doc = await asking(app, 'user/*.rs', { fhirUser: 'Practitioner/doc' });
});
afterAll(() => app.close());

async function found(path: string): Promise<string> {
  const { body } = await doc('get', path).expect(200);
  return ((body as Bundle).entry ?? [])
    .map(({ resource }) => resource?.id)
    .sort()
    .join(' ');
}
const count = async (path: string): Promise<number> =>
  (await doc('get', `${path}${path.includes('?') ? '&' : '?'}_summary=count`).expect(200)).body.total;

test('counts and finds what is about them, once each, whichever of several patients they are', async () => {
  expect(await count('/Patient')).toBe(1100);
  expect(await count('/Observation')).toBe(6);
  expect(await count('/Observation?code=http://loinc.org|x')).toBe(5);
  expect(await count('/Observation?code=http://loinc.org|x&date=ge2025')).toBe(4);
  expect(await found('/Observation?code=http://loinc.org|x&_sort=-date')).toBe('o1 o2 o3 o4 old');
  expect(await count('/Account')).toBe(3);
  expect(await found('/Account')).toBe('both first second');
  expect(await count('/Patient?name=many')).toBe(1100);
});

test('with Consents of some, which deny by label, by code, or all', async () => {
  const deny = (patient: number, provision: object) => ({
    resourceType: 'Consent',
    id: `c${patient}`,
    status: 'active',
    scope: { coding: [{ code: 'patient-privacy' }] },
    category: [{ text: 'privacy' }],
    patient: to(`Patient/p${patient}`),
    policyRule: { coding: [{ system: ACT, code: 'OPTIN' }] },
    provision: { type: 'deny', ...provision },
  });
  // Nothing is labelled so yet.
  await write([deny(1, { securityLabel: [HIV] }), deny(2, { securityLabel: [HIV] })]);
  expect(await count('/Observation?code=http://loinc.org|x')).toBe(5);
  expect(await found('/Observation?code=http://loinc.org|x')).toBe('o1 o2 o3 o4 old');
  expect(await count('/Patient?name=many')).toBe(1100);
  await write([
    { ...observation('p1', { meta: { security: [HIV] } }), id: 'labelled' },
    { ...observation('p7', { meta: { security: [HIV] } }), id: 'unasked' },
  ]);
  expect(await found('/Observation?code=http://loinc.org|x')).toBe('o1 o2 o3 o4 old unasked');
  expect(await count('/Observation?code=http://loinc.org|x')).toBe(6);
  await write([deny(3, { code: [code] }), deny(4, {})]);
  expect(await found('/Observation?code=http://loinc.org|x')).toBe('o1 o2 old unasked');
  expect(await count('/Observation?code=http://loinc.org|x')).toBe(4);
  // One patient's deny does not hide what is about another as well.
  expect(await found('/Account')).toBe('both second');
  expect(await count('/Account')).toBe(2);
  await app.send('delete', '/Observation/labelled').expect(204);
  await app.send('delete', '/Observation/unasked').expect(204);
  expect(await count('/Observation?code=http://loinc.org|x')).toBe(3);
});
