/** Joins (R4 search.html#chaining, #has, #list) and places (location.html#search). */
import { distance } from '../../../src/search/numbers.ts';
import { concept, load, quantity, type Resources, world } from './world.ts';

const to = (reference: string): object => ({ reference });
const observed = (code: string, patient: string | undefined, more: object = {}): object => ({
  status: 'final',
  code: concept(`urn:c|${code}`),
  ...(patient && { subject: to(`Patient/${patient}`) }),
  ...more,
});

const PEOPLE: Resources = {
  'Organization/group': { name: 'Cedar Group', address: [{ state: 'MN' }] },
  'Organization/clinic': { name: 'Clinic Cedar Ridge', partOf: to('Organization/group') },
  'Practitioner/joe': { name: [{ family: 'Ångström', given: ['Joe'] }], address: [{ state: 'CA' }] },
  'Practitioner/jane': { name: [{ given: ['Jane'] }], address: [{ state: 'MN' }] },
  'Patient/ann': {
    name: [{ family: 'Smith', given: ['Ann'] }],
    gender: 'female',
    birthDate: '1990-05',
    identifier: [{ system: 'urn:s', value: '1' }],
    managingOrganization: to('Organization/clinic'),
    generalPractitioner: [to('Practitioner/joe'), to('Practitioner/jane')],
  },
  'Patient/bob': {
    name: [{ family: 'Goldsmith' }],
    gender: 'male',
    birthDate: '1950',
    generalPractitioner: [to('Practitioner/jane')],
  },
  'Patient/cid': { name: [{ family: 'Jones' }] },
  'Group/smith': { type: 'person', actual: true, name: 'Smith family' },
};
const OBSERVATIONS: Resources = {
  'Observation/low': observed('g', 'ann', {
    valueQuantity: quantity('5.4 mmol/L'),
    effectiveDateTime: '2024-01-01',
  }),
  'Observation/high': observed('g', 'bob', {
    valueQuantity: quantity('9 mmol/L'),
    effectiveDateTime: '2024-06-01',
  }),
  'Observation/weight': observed('w', 'bob', { valueQuantity: quantity('54 kg') }),
  'Observation/by-joe': observed('p', 'ann', { performer: [to('Practitioner/joe')] }),
  'Observation/by-clinic': observed('p', undefined, { performer: [to('Organization/clinic')] }),
  'Observation/of-group': observed('p', undefined, { subject: to('Group/smith') }),
  'Observation/panel': observed('panel', undefined, {
    hasMember: [to('Observation/low'), to('Observation/weight')],
  }),
  'DiagnosticReport/r1': { status: 'final', code: concept('r'), result: [to('Observation/high')] },
  'DiagnosticReport/r2': { status: 'final', code: concept('r'), result: [to('Observation/panel')] },
  'AuditEvent/seen': {
    type: { code: 'rest' },
    recorded: '2024-01-01T00:00:00Z',
    agent: [{ who: to('Practitioner/jane'), requestor: true }],
    source: { observer: { display: 'x' } },
    entity: [{ what: to('Observation/high') }],
  },
  'List/mine': {
    status: 'current',
    mode: 'working',
    entry: [{ item: to('Patient/ann') }, { item: to('Observation/high') }],
  },
  'List/empty': { status: 'current', mode: 'working' },
  'MedicationRequest/formula': {
    status: 'active',
    intent: 'order',
    subject: to('Patient/ann'),
    contained: [
      { resourceType: 'Medication', id: 'm', ingredient: [{ itemCodeableConcept: concept('urn:m|abc') }] },
    ],
    medicationReference: to('#m'),
  },
  'Medication/plain': { ingredient: [{ itemCodeableConcept: concept('urn:m|abc') }] },
};
const place = (latitude: number, longitude: number): object => ({ position: { latitude, longitude } });
const PLACES: Resources = {
  'Location/boston': place(42.3601, -71.0589),
  'Location/cambridge': place(42.3736, -71.1097),
  'Location/zero': place(0, 0),
  'Location/east': place(0, 0.001),
  'Location/dateline': place(0, -179.995),
  'Location/pole': place(89.999, 100),
  'Location/nowhere': { name: 'without position' },
};

const { app, finds, refuses, ids } = world(PEOPLE, OBSERVATIONS, PLACES);

finds('R4 search.html#chaining: of any depth, with types', 'Observation', [
  ['patient.family=smith', 'low by-joe'],
  ['patient.name=ann', 'low by-joe'],
  ['subject:Patient.name=gold', 'high weight'],
  ['subject.name=nobody', ''],
  ['subject:Group.code:missing=true', 'of-group'],
  ['patient.identifier=urn:s|1', 'low by-joe'],
  ['patient.identifier=urn:x|1', ''],
  ['patient._id=ann', 'low by-joe'],
  ['patient._id=ann,bob', 'low by-joe high weight'],
  ['performer:Practitioner.family=angstrom', 'by-joe'],
  ['performer.name=angstrom', 'by-joe'],
  ['performer.name=clinic', 'by-clinic'],
  ['performer:Organization.name=clinic', 'by-clinic'],
  ['performer:Practitioner.name=clinic', ''],
  ['subject:Patient.general-practitioner:Practitioner.family=angstrom', 'low by-joe'],
  ['patient.general-practitioner:Practitioner.given=jane', 'low by-joe high weight'],
  ['patient.organization.name=clinic', 'low by-joe'],
  ['patient.organization.partof.name=cedar g', 'low by-joe'],
  ['patient.gender=male', 'high weight'],
  ['patient.gender=male,female', 'high weight low by-joe'],
  ['patient.gender:not=male', 'low by-joe'],
  ['patient.gender:not=male&code=g', 'low'],
  ['patient.birthdate=lt1960', 'high weight'],
  ['patient.birthdate=ge1990', 'low by-joe'],
  ['patient.birthdate=lt1940,sa1989', 'low by-joe'],
  ['patient.family=smith&code=g', 'low'],
  ['patient.family=smith&patient.gender=male', ''],
  ['patient.family:exact=smith', ''],
  ['patient.organization:missing=true', 'high weight'],
  // on to another reference, in every order: not those without a patient
  ['patient.general-practitioner=joe', 'low by-joe'],
  ['patient.general-practitioner=joe&_sort=_lastUpdated', 'low by-joe'],
  ['patient.general-practitioner=joe&_sort=-_lastUpdated&_count=1', 'low by-joe'],
  ['has-member.code=w', 'panel'],
  ['has-member.patient.family=smith', 'panel'],
  ['has-member.value-quantity=gt50||kg', 'panel'],
  ['has-member.value-quantity=gt60||kg', ''],
  ['patient.name=', 'low high weight by-joe by-clinic of-group panel'],
]);

finds('R4 search.html#chaining: each chain by itself', 'Patient', [
  // Joe is in California and Jane in Minnesota: no one of them is both
  ['general-practitioner:Practitioner.name=joe&general-practitioner:Practitioner.address-state=mn', 'ann'],
  ['general-practitioner:Practitioner.address-state=ca,mn', 'ann bob'],
  ['organization.name=clinic', 'ann'],
]);

finds('R4 search.html#composite: at the end of a chain', 'DiagnosticReport', [
  ['result.code-value-quantity=urn:c|g$gt5.4||mmol/L', 'r1'],
  ['result.code-value-quantity=g$lt5.4', ''],
  ['result.patient.birthdate=1950', 'r1'],
  ['result.has-member.code=w', 'r2'],
  ['result.has-member.patient.name=smith', 'r2'],
]);

finds('R4 search.html#contained: what is contained is not found itself', 'Medication', [
  ['ingredient-code=abc', 'plain'],
  ['_id=m', ''],
  ['ingredient-code=abc&_contained=false', 'plain'],
]);

finds('R4 search.html#has: who is referred to', 'Patient', [
  ['_has:Observation:patient:code=g', 'ann bob'],
  ['_has:Observation:patient:code=w', 'bob'],
  ['_has:Observation:patient:code=w,p', 'ann bob'],
  ['_has:Observation:patient:code=none', ''],
  ['_has:Observation:subject:value-quantity=gt6', 'bob'],
  ['_has:Observation:subject:value-quantity=gt100,5.4', 'ann'],
  ['_has:Observation:patient:date=ge2024-05', 'bob'],
  ['_has:Observation:patient:code=g&_has:Observation:patient:code=w', 'bob'],
  // of the same patient, but not of the same observation
  ['_has:Observation:patient:code=w&_has:Observation:patient:date=2024-06-01', 'bob'],
  ['_has:Observation:patient:performer:Practitioner.family=angstrom', 'ann'],
  ['_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/jane', 'bob'],
  ['_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/joe', ''],
  ['_has:Observation:patient:_has:Observation:has-member:code=panel', 'ann bob'],
  ['_has:Observation:patient:_id=low', 'ann'],
  ['_has:Observation:patient:code:not=g&gender=female', 'ann'],
  ['_has:Observation:patient:value-quantity:missing=true', 'ann'],
  ['_has:Observation:patient:code=g&gender=female', 'ann'],
]);

finds('R4 search.html#has: of others, and together with chains', 'Practitioner', [
  ['_has:Observation:performer:code=p', 'joe'],
  ['_has:Observation:performer:code=g', ''],
  ['_has:Patient:general-practitioner:_has:Observation:patient:code=w', 'jane'],
  ['_has:Patient:general-practitioner:organization.name=clinic', 'joe jane'],
  ['_has:Patient:general-practitioner:birthdate=1950', 'jane'],
]);

finds('R4 search.html#has: behind a chain', 'Observation', [
  ['patient._has:Observation:patient:code=w', 'high weight'],
  ['patient._has:Observation:patient:code=w&code=g', 'high'],
  ['_has:DiagnosticReport:result:code=r', 'high panel'],
]);

finds('R4 search.html#list', 'Patient', [
  ['_list=mine', 'ann'],
  ['_list=List/mine', 'ann'],
  ['_list=mine&gender=female', 'ann'],
  ['_list=mine&gender=male', ''],
  ['_list=empty', ''],
  ['_list=nothing', ''],
]);

finds('R4 location.html#search: near, on the sphere', 'Location', [
  ['near=42.36|-71.06|1|km', 'boston'],
  ['near=42.36|-71.06|10|km', 'boston cambridge'],
  ['near=42.36|-71.06|1|mi', 'boston'],
  ['near=42.36|-71.06', 'boston cambridge'],
  ['near=42.36|-71.06|10000|m', 'boston cambridge'],
  ['near=42.36|-71.06|1|[mi_i]', 'boston'],
  ['near=42.36|-71.06|10', 'boston cambridge'],
  ['near=0|0|100|m', 'zero'],
  ['near=0|0|112|m', 'east zero'],
  ['near=0|0.0005|56|m', 'east zero'],
  ['near=0|179.995|1.2|km', 'dateline'],
  ['near=0|179.995|1.1|km', ''],
  ['near=90|0|112|m', 'pole'],
  ['near=90|0|111|m', ''],
  ['near=-90|0|20016|km', 'boston cambridge dateline east pole zero'],
  ['near=1|1,90|0|1|km', 'pole'],
  ['near:missing=true', 'nowhere'],
]);

test('the distance of a degree, and halfway round', () => {
  const at = (latitude: number, longitude: number) => ({ latitude, longitude });
  expect(distance(at(0, 0), at(0, 1))).toBeCloseTo(111_195, 0);
  expect(distance(at(0, 0), at(0, 180))).toBeCloseTo(Math.PI * 6_371_008.8, 3);
});

refuses('R4 location.html#search: what is no place', 'Location', [
  ['near=42.36', 'value', /latitude\|longitude\|distance\|units/],
  ['near=91|0|1|km', 'value', /latitude\|longitude/],
  ['near=0|181|1|km', 'value', /latitude\|longitude/],
  ['near=0|0|-1|km', 'value', /latitude\|longitude/],
  ['near=0|0|1|parsec', 'value', /km/],
  ['near=a|b', 'value', /latitude\|longitude/],
]);

refuses('R4 search.html#chaining, #has, #list: what leads nowhere', 'Observation', [
  ['patient.shoe=1', 'not-supported', /Patient has no search parameter "shoe"/],
  ['patient.famly=x', 'not-supported', /did you mean "family"\?/],
  ['code.name=x', 'value', /is a chain, and code is no reference but a token/],
  ['subject:Shoe.name=x', 'value', /cannot lead to Shoe/],
  // `patient` is the subjects that are patients
  ['patient:Group.code=x', 'value', /cannot lead to Group: possible are Patient/],
  ['subject:Practitioner.name=x', 'value', /cannot lead to Practitioner: possible are .*Patient/],
  ['patient.birthdate=never', 'value', /must be a date/],
  ['patient.=x', 'not-supported', /has no search parameter ""/],
  [`${'has-member.'.repeat(8)}code=x`, 'too-costly', /may follow 6 references/],
  ['_has:Observation:patient=x', 'value', /must be _has:Type:reference:parameter/],
  ['_has=x', 'value', /_has:Type:reference:parameter/],
  ['_has:Shoe:patient:code=x', 'value', /must be _has:Type/],
  ['_has:Observation:code:code=x', 'value', /needs a reference, and code of Observation is a token/],
  ['_has:Observation:patient:code=x', 'value', /cannot find a Observation/],
  ['_has:DiagnosticReport:result:shoe=x', 'not-supported', /DiagnosticReport has no search parameter "shoe"/],
  ['_list=a b', 'value', /must be the id of one List/],
  ['_list=$current-problems', 'not-supported', /clinical-status=active/],
  ['_list=$newest', 'not-supported', /derived lists/],
  ['_list:not=mine', 'value', /no modifiers/],
]);

test('what was deleted is found no more, and leads nowhere', async () => {
  await load(app(), {
    'Patient/gone': { name: [{ family: 'Vanished' }] },
    'Observation/left': observed('v', 'gone'),
  });
  expect(await ids('Observation', 'patient.family=vanished')).toEqual(['left']);
  await app().send('delete', '/Patient/gone').expect(204);
  expect(await ids('Observation', 'patient.family=vanished')).toEqual([]);
});

test('more than few at the other end are judged one by one, in order and on pages', async () => {
  const many = (make: (i: number) => [string, object]): Resources =>
    Object.fromEntries(Array.from({ length: 1100 }, (_, i) => make(i)));
  await load(
    app(),
    many((i) => [`Patient/many-${i}`, { name: [{ family: 'Manifold' }] }]),
  );
  const day = (i: number) => `2026-01-${String((i % 28) + 1).padStart(2, '0')}`;
  await load(
    app(),
    many((i) => [`Observation/of-${i}`, observed('m', `many-${i}`, { effectiveDateTime: day(i) })]),
  );
  expect(new Set(await ids('Observation', 'patient.family=manifold&_count=400')).size).toBe(1100);
  expect(new Set(await ids('Patient', '_has:Observation:patient:code=m&_count=300')).size).toBe(1100);
});

refuses('R4 search.html#has: who is none of those that the parameter is about', 'Group', [
  [
    '_has:Observation:patient:code=p',
    'value',
    /cannot find a Group: patient of Observation refers to Patient/,
  ],
]);
