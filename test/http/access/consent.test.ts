/** What patients' Consents and labels leave of what a practitioner sees (R4 consent.html, security-labels.html). */
import type { Bundle, ConsentProvision } from 'fhir/r4.js';
import { startApp, type TestApp } from '../app.ts';
import { type Asking, asking } from './tokens.ts';

let app: TestApp;
const to = (reference: string) => ({ reference });
const coded = (system: string, code: string) => ({ coding: [{ system, code }] });
const put = (type: string, id: string, rest: object) =>
  app
    .send('put', `/${type}/${id}`)
    .type('application/fhir+json')
    .send({ resourceType: type, id, ...rest });
const CONFIDENTIALITY = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality';
const LABELS = 'http://terminology.hl7.org/CodeSystem/v3-ActCode';

beforeAll(async () => {
  app = await startApp();
  const { create } = app;
  await create('Organization', 'clinic', { name: 'Clinic' });
  for (const id of ['doc', 'nurse', 'friend']) await create('Practitioner', id, { name: [{ family: id }] });
  for (const id of ['doc', 'nurse'])
    await create('PractitionerRole', id, {
      practitioner: to(`Practitioner/${id}`),
      organization: to('Organization/clinic'),
    });
  for (const id of ['ann', 'bob'])
    await create('Patient', id, { managingOrganization: to('Organization/clinic') });
  const observation = (patient: string, code: string, date: string, more: object = {}) => ({
    status: 'final',
    code: coded('http://loinc.org', code),
    subject: to(`Patient/${patient}`),
    effectiveDateTime: date,
    ...more,
  });
  await create('Observation', 'bob', observation('bob', 'x', '2026'));
  await create('Observation', 'old', observation('ann', 'x', '2010-01-01'));
  await create(
    'Observation',
    'hiv',
    observation('ann', 'hiv', '2026-01-01', { meta: { security: [{ system: LABELS, code: 'HIV' }] } }),
  );
  await create(
    'Observation',
    'new',
    observation('ann', 'x', '2026-01-02', { performer: [to('Practitioner/friend')] }),
  );
  await create(
    'Observation',
    'r',
    observation('ann', 'x', '2026-01-03', { meta: { security: [{ system: CONFIDENTIALITY, code: 'R' }] } }),
  );
  await create(
    'Observation',
    'v',
    observation('ann', 'x', '2026-01-04', { meta: { security: [{ system: CONFIDENTIALITY, code: 'V' }] } }),
  );
  await create('Condition', 'c', { subject: to('Patient/ann'), code: coded('http://x', 'flu') });
  await create('Communication', 'to-doc', {
    status: 'completed',
    subject: to('Patient/ann'),
    recipient: [to('Practitioner/doc')],
  });
});
afterAll(() => app.close());
afterEach(async () => {
  for (const id of ['one', 'two']) await app.send('delete', `/Consent/${id}`).expect(204);
});

const consent = (base: 'OPTIN' | 'OPTOUT', provision?: ConsentProvision, more: object = {}, id = 'one') =>
  put('Consent', id, {
    status: 'active',
    scope: coded('http://terminology.hl7.org/CodeSystem/consentscope', 'patient-privacy'),
    category: [coded('http://loinc.org', '59284-0')],
    patient: to('Patient/ann'),
    policyRule: coded(LABELS, base),
    provision,
    ...more,
  });
const actor = (reference: string) => [
  {
    role: coded('http://terminology.hl7.org/CodeSystem/v3-ParticipationType', 'PRCP'),
    reference: to(reference),
  },
];
const as = (who: string, scope = 'user/*.cruds') => asking(app, scope, { fhirUser: who });
async function seen(ask: Asking, path = '/Observation'): Promise<string> {
  const { body } = await ask('get', path).expect(200);
  return ((body as Bundle).entry ?? [])
    .map(({ resource }) => resource?.id)
    .sort()
    .join(' ');
}
const ALL = 'bob hiv new old';

test('without a Consent a practitioner sees all but what is labelled restricted', async () => {
  expect(await seen(await as('Practitioner/doc'))).toBe(ALL);
  expect(await seen(await as('Patient/ann'))).toBe('hiv new old r v');
});

const DOC = 'Practitioner/doc';
const period = { start: '2000-01-01', end: '2020-01-01' };
/** What doc sees, what the nurse of the same clinic sees. */
test.each<[string, 'OPTIN' | 'OPTOUT', ConsentProvision | undefined, string, string]>([
  ['opt-in as it is', 'OPTIN', undefined, ALL, ALL],
  ['opt-out as it is', 'OPTOUT', undefined, 'bob', 'bob'],
  ['not this one', 'OPTIN', { type: 'deny', actor: actor(DOC) }, 'bob', ALL],
  ['not this one, without a type', 'OPTIN', { actor: actor(DOC) }, 'bob', ALL],
  ['not this organization', 'OPTIN', { type: 'deny', actor: actor('Organization/clinic') }, 'bob', 'bob'],
  ['nobody but one', 'OPTOUT', { type: 'permit', actor: actor(DOC) }, ALL, 'bob'],
  [
    'not these labels',
    'OPTIN',
    { type: 'deny', securityLabel: [{ system: LABELS, code: 'HIV' }] },
    'bob new old',
    'bob new old',
  ],
  [
    'not these labels but to one: the innermost decides',
    'OPTIN',
    {
      type: 'deny',
      securityLabel: [{ system: LABELS, code: 'HIV' }],
      provision: [{ type: 'permit', actor: actor(DOC) }],
    },
    ALL,
    'bob new old',
  ],
  [
    'not this type',
    'OPTIN',
    { type: 'deny', class: [{ system: 'http://hl7.org/fhir/resource-types', code: 'Observation' }] },
    'bob',
    'bob',
  ],
  [
    'not another type',
    'OPTIN',
    { type: 'deny', class: [{ system: 'http://hl7.org/fhir/resource-types', code: 'Condition' }] },
    ALL,
    ALL,
  ],
  [
    'not these codes',
    'OPTIN',
    { type: 'deny', code: [coded('http://loinc.org', 'hiv')] },
    'bob new old',
    'bob new old',
  ],
  ['not what is of a time', 'OPTIN', { type: 'deny', dataPeriod: period }, 'bob hiv new', 'bob hiv new'],
  ['not before or after its time', 'OPTIN', { type: 'deny', period }, ALL, ALL],
  [
    'not this',
    'OPTIN',
    { type: 'deny', data: [{ meaning: 'instance', reference: to('Observation/old') }] },
    'bob hiv new',
    'bob hiv new',
  ],
  [
    'not what somebody wrote',
    'OPTIN',
    { type: 'deny', data: [{ meaning: 'authoredby', reference: to('Practitioner/friend') }] },
    'bob hiv old',
    'bob hiv old',
  ],
  [
    'not for research',
    'OPTIN',
    {
      type: 'deny',
      purpose: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason', code: 'HRESCH' }],
    },
    ALL,
    ALL,
  ],
  [
    'not to write',
    'OPTIN',
    { type: 'deny', action: [coded('http://terminology.hl7.org/CodeSystem/consentaction', 'collect')] },
    ALL,
    ALL,
  ],
  [
    'not to see',
    'OPTIN',
    { type: 'deny', action: [coded('http://terminology.hl7.org/CodeSystem/consentaction', 'access')] },
    'bob',
    'bob',
  ],
])('R4 consent.html: %s', async (_, base, provision, doc, nurse) => {
  const [one, other] = [await as(DOC), await as('Practitioner/nurse')];
  await seen(one);
  await consent(base, provision).expect(201);
  // from the next request on
  expect(await seen(one)).toBe(doc);
  expect(await seen(other)).toBe(nurse);
  for (const id of ALL.split(' '))
    await one('get', `/Observation/${id}`).expect(doc.split(' ').includes(id) ? 200 : 404);
  expect(await seen(await as('Patient/ann'))).toBe('hiv new old r v');
  await app.send('delete', '/Consent/one').expect(204);
  expect(await seen(one)).toBe(ALL);
});

test.each([
  ['draft', { status: 'draft' }],
  ['inactive', { status: 'inactive' }],
  ['about treatment', { scope: coded('http://terminology.hl7.org/CodeSystem/consentscope', 'treatment') }],
  ['about somebody else', { patient: to('Patient/nobody') }],
  ['over', { provision: { period } }],
])('a Consent that is %s decides nothing', async (_, more) => {
  await consent('OPTOUT', undefined, more).expect(201);
  expect(await seen(await as(DOC))).toBe(ALL);
});

test('between several of one patient deny wins', async () => {
  await consent('OPTIN', { type: 'permit', actor: actor(DOC) }).expect(201);
  await consent('OPTIN', { type: 'deny', actor: actor(DOC) }, {}, 'two').expect(201);
  expect(await seen(await as(DOC))).toBe('bob');
});

test('what is denied is denied on every path', async () => {
  await consent('OPTIN', { type: 'deny', actor: actor(DOC) }).expect(201);
  const doc = await as(DOC);
  await doc('get', '/Patient/ann').expect(404);
  await doc('get', '/Patient/ann/$everything').expect(404);
  await doc('get', '/Observation/new/_history').expect(404);
  expect(await seen(doc, '/Patient')).toBe('bob');
  expect(await seen(doc, '/Organization?_has:Patient:organization:_id=ann')).toBe('');
  expect(await seen(doc, '/Practitioner?_id=friend&_revinclude=Observation:performer')).toBe('friend');
  expect((await doc('get', '/Observation?_summary=count')).body.total).toBe(1);
  // though it was addressed to them
  expect(await seen(doc, '/Communication')).toBe('');
  await doc('get', '/Communication/to-doc').expect(404);
  await doc('post', '/Observation')
    .type('application/fhir+json')
    .send({ resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject: to('Patient/ann') })
    .expect(403);
  const launched = await asking(app, 'patient/*.rs', { fhirUser: DOC, patient: 'ann' });
  expect(await seen(launched)).toBe('');
});

describe('sharing: a Consent that permits somebody by name', () => {
  const FRIEND = 'Practitioner/friend';
  test('opens the records, or the part that it says, from the next request on until it ends', async () => {
    const friend = await as(FRIEND);
    expect(await seen(friend)).toBe('');
    await consent('OPTIN', { type: 'permit', actor: actor(FRIEND) }).expect(201);
    expect(await seen(friend)).toBe('hiv new old');
    await friend('get', '/Patient/ann').expect(200);
    await consent('OPTIN', {
      type: 'permit',
      actor: actor(FRIEND),
      code: [coded('http://loinc.org', 'hiv')],
    }).expect(200);
    expect(await seen(friend)).toBe('hiv');
    await friend('get', '/Observation/new').expect(404);
    await consent('OPTIN', { type: 'permit', actor: actor(FRIEND) }, { status: 'inactive' }).expect(200);
    expect(await seen(friend)).toBe('');
    expect(await seen(await as('Practitioner/nurse'))).toBe(ALL);
  });

  test('what permits everybody shares with nobody in particular; what denies somebody opens nothing', async () => {
    await consent('OPTIN', { type: 'permit', securityLabel: [{ system: LABELS, code: 'HIV' }] }).expect(201);
    expect(await seen(await as(FRIEND))).toBe('');
    await consent('OPTIN', { type: 'deny', actor: actor(FRIEND) }).expect(200);
    const friend = await as(FRIEND);
    expect(await seen(friend)).toBe('');
    await friend('post', '/Task')
      .type('application/fhir+json')
      .send({
        resourceType: 'Task',
        status: 'accepted',
        intent: 'order',
        for: to('Patient/ann'),
        owner: to(FRIEND),
      })
      .expect(403);
  });

  test('nested', async () => {
    const provision: ConsentProvision = {
      type: 'deny',
      code: [coded('http://loinc.org', 'hiv')],
      provision: [{ type: 'permit', actor: actor(FRIEND) }],
    };
    await consent('OPTIN', provision).expect(201);
    expect(await seen(await as(FRIEND))).toBe('hiv');
  });

  test('leaves out what is labelled restricted', async () => {
    await consent('OPTOUT', { type: 'permit', actor: actor(FRIEND) }).expect(201);
    expect(await seen(await as(FRIEND))).toBe('hiv new old');
  });
});
