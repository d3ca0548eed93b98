/** Numbers, quantities, modifiers and joins (R4 search.html), each by its rule, over PostgreSQL. */
import { openTestRecords, type TestRecords } from '../../support/records.ts';
import { observation, searching } from '../../support/searching.ts';

let it: TestRecords;
const { put, set, ids, count } = searching(() => it);

const LOINC = 'http://loinc.org';
const UCUM = 'http://unitsofmeasure.org';
const quantity = (value: number, unit = 'mmol/L') => ({
  valueQuantity: { value, unit, system: UCUM, code: unit },
});
const coded = (code: string) => ({ coding: [{ system: LOINC, code }] });

beforeAll(async () => {
  it = await openTestRecords();
  const risk = (probability: object) => ({
    status: 'final',
    subject: { reference: 'Patient/ann' },
    prediction: [probability],
  });
  await put('RiskAssessment', 'hundred', risk({ probabilityDecimal: 100 }));
  await put('RiskAssessment', 'just-below', risk({ probabilityDecimal: 99.5 }));
  await put('RiskAssessment', 'just-above', risk({ probabilityDecimal: 100.5 }));
  await put(
    'RiskAssessment',
    'range',
    risk({ probabilityRange: { low: { value: 90 }, high: { value: 110 } } }),
  );
  await put('RiskAssessment', 'small', risk({ probabilityDecimal: 5.35 }));

  await put('Practitioner', 'doc', {
    name: [{ family: 'Ångström' }],
    identifier: [{ system: 'urn:s', value: 'd' }],
  });
  await put('Organization', 'clinic', { name: 'Clinic Cedar Ridge' });
  const managed = { managingOrganization: { reference: 'Organization/clinic' } };
  await put('Patient', 'ann', {
    ...managed,
    name: [{ family: 'Smith', given: ['Ann'] }],
    generalPractitioner: [{ reference: 'Practitioner/doc' }],
    identifier: [
      { type: { coding: [{ system: 'urn:t', code: 'MR' }] }, system: 'urn:s', value: '1' },
      { type: { coding: [{ system: 'urn:t', code: 'SS' }] }, system: 'urn:s', value: '2' },
    ],
    gender: 'female',
  });
  await put('Patient', 'bob', { name: [{ family: 'Goldsmith' }], gender: 'male' });
  await put('Patient', 'cid', { name: [{ family: 'Jones' }] });
  const about = (patient: string) => ({ subject: { reference: `Patient/${patient}` } });
  await put('Observation', 'low', observation(coded('g'), { ...about('ann'), ...quantity(5.4) }));
  await put('Observation', 'high', observation(coded('g'), { ...about('bob'), ...quantity(9) }));
  await put('Observation', 'mass', observation(coded('w'), { ...about('bob'), ...quantity(5.4, 'kg') }));
  const performed = { performer: [{ reference: 'Practitioner/doc' }] };
  await put('Observation', 'by-doc', observation(coded('p'), { ...about('ann'), ...performed }));
  const part = (code: string, value: number) => ({ code: coded(code), ...quantity(value, 'mm[Hg]') });
  await put(
    'Observation',
    'pressure',
    observation(coded('bp'), { component: [part('sys', 120), part('dia', 80)] }),
  );
  await put(
    'Observation',
    'pressure-2',
    observation(coded('bp'), { component: [part('sys', 80), part('dia', 120)] }),
  );
  const named = { coding: [{ system: LOINC, code: 'n', display: 'Blutzucker nüchtern' }], text: 'Zucker' };
  await put('Observation', 'named', observation(named, {}));
  await put('List', 'mine', {
    status: 'current',
    mode: 'working',
    entry: [{ item: { reference: 'Patient/ann' } }, { item: { reference: 'Observation/high' } }],
  });
  const place = (latitude: number, longitude: number) => ({ position: { latitude, longitude } });
  await put('Location', 'boston', place(42.3601, -71.0589));
  await put('Location', 'cambridge', place(42.3736, -71.1097));
  await put('Location', 'antimeridian', place(0, 179.99));
  await put('ValueSet', 'vs', { status: 'active', url: 'http://acme.org/fhir/ValueSet/123/_history/5' });
});
afterAll(() => it.close());

describe('R4 search.html#number', () => {
  test.each([
    ['100', ['hundred', 'just-below']],
    ['100.0', ['hundred']],
    ['1e2', ['hundred', 'just-above', 'just-below', 'range']],
    ['5.4', ['small']],
    ['ne100', ['just-above', 'range', 'small']],
    ['gt100', ['just-above', 'range']],
    ['ge100', ['hundred', 'just-above', 'range']],
    ['lt100', ['just-below', 'range', 'small']],
    ['le100', ['hundred', 'just-below', 'range', 'small']],
    ['sa100', ['just-above']],
    ['eb100', ['just-below', 'small']],
    ['ap95', ['hundred', 'just-above', 'just-below', 'range']],
    ['gt100,lt6', ['just-above', 'range', 'small']],
  ])('probability=%s: precision counts for eq and ne only', async (value, found) => {
    expect(await set('RiskAssessment', `probability=${value}`)).toEqual(found);
  });
});

describe('R4 search.html#quantity', () => {
  test.each([
    ['5.4', ['low', 'mass']],
    [`5.4|${UCUM}|mmol/L`, ['low']],
    ['5.4||mmol/L', ['low']],
    ['5.4||kg', ['mass']],
    [`gt5|${UCUM}|mmol/L`, ['high', 'low']],
    ['lt5.4||mmol/L', []],
    ['le5.4||mmol/L,gt8', ['high', 'low']],
    ['5.40|urn:other|mmol/L', []],
  ])('value-quantity=%s', async (value, found) => {
    expect(await set('Observation', `value-quantity=${encodeURIComponent(value)}`)).toEqual(found);
  });

  test('with a code, and counted', async () => {
    expect(await set('Observation', 'code=g&value-quantity=gt6')).toEqual(['high']);
    expect(await count('Observation', 'value-quantity=gt5')).toBe(3);
  });
});

describe('R4 search.html#modifiers', () => {
  test.each([
    ['Patient', 'family:contains=SMITH', ['ann', 'bob']],
    ['Patient', 'gender:not=female', ['bob', 'cid']],
    ['Patient', 'gender:not=female,male', ['cid']],
    ['Patient', `identifier:of-type=${encodeURIComponent('urn:t|MR|1')}`, ['ann']],
    ['Patient', `identifier:of-type=${encodeURIComponent('urn:t|SS|1')}`, []],
    ['ValueSet', 'url:below=http://acme.org/fhir/', ['vs']],
    ['ValueSet', 'url:above=http://acme.org/fhir/ValueSet/123/_history/5/more', ['vs']],
    ['ValueSet', 'url:below=http://acme.org/fhir/CodeSystem', []],
  ])('%s?%s', async (type, query, found) => {
    expect(await set(type, query)).toEqual(found);
  });
});

describe('R4 search.html#composite: parts of one element', () => {
  test.each([
    ['code-value-quantity=g$5.4', ['low']],
    [`code-value-quantity=${LOINC}|g$gt5`, ['high', 'low']],
    ['code-value-quantity=g$gt100', []],
    ['code-value-quantity=g$9,w$5.4', ['high', 'mass']],
    ['component-code-value-quantity=sys$120', ['pressure']],
    ['component-code-value-quantity=sys$gt100', ['pressure']],
    ['component-code-value-quantity=dia$lt100||mm[Hg]', ['pressure']],
    ['component-code-value-quantity=sys$80,dia$80', ['pressure', 'pressure-2']],
    [`component-code-value-quantity=urn:other|sys$120`, []],
    ['combo-code-value-quantity=g$5.4', ['low']],
    ['combo-code-value-quantity=dia$120', ['pressure-2']],
    ['combo-value-quantity=120', ['pressure', 'pressure-2']],
  ])('%s', async (query, found) => {
    const [name = '', value = ''] = query.split(/=(.*)/s);
    expect(await set('Observation', `${name}=${encodeURIComponent(value)}`)).toEqual(found);
  });
});

describe('R4 search.html#modifiers: what is judged on the values', () => {
  test.each([
    ['Patient', 'family:exact=Smith', ['ann']],
    ['Patient', 'family:exact=smith', []],
    ['Observation', 'code:text=blutzucker', ['named']],
    ['Observation', 'code:text=ZUCKER', ['named']],
    ['Observation', 'code:text=nuchtern', []],
    ['Patient', 'gender:missing=true', ['cid']],
    ['Patient', 'gender:missing=false', ['ann', 'bob']],
    ['Patient', 'organization:missing=false&gender=female', ['ann']],
    ['Observation', 'value-quantity:missing=true&code=p', ['by-doc']],
    ['Observation', 'value-quantity:missing=false&code=p', []],
  ])('%s?%s', async (type, query, found) => {
    expect(await set(type, query)).toEqual(found);
    expect(await count(type, query)).toBe(found.length);
  });

  test('pages of what is judged are full and follow each other', async () => {
    const found = await ids('Observation', 'value-quantity:missing=false&_count=2');
    expect(new Set(found).size).toBe(found.length);
    expect(found.sort()).toEqual(['high', 'low', 'mass']);
  });
});

describe('R4 search.html#chaining', () => {
  test.each([
    ['Observation', 'patient.family=smith', ['by-doc', 'low']],
    ['Observation', 'subject:Patient.name=gold', ['high', 'mass']],
    ['Observation', 'subject.name=nobody', []],
    ['Observation', 'patient.identifier=urn:s|2', ['by-doc', 'low']],
    ['Observation', 'performer:Practitioner.family=angstrom', ['by-doc']],
    ['Observation', 'subject:Patient.general-practitioner:Practitioner.family=angstrom', ['by-doc', 'low']],
    ['Observation', 'patient.organization.name=clinic', ['by-doc', 'low']],
    ['Observation', 'patient.gender:not=male&code=g', ['low']],
    ['Observation', 'patient.family=smith&code=g', ['low']],
    ['Patient', 'organization.name=clinic', ['ann']],
  ])('%s?%s', async (type, query, found) => {
    expect(await set(type, query)).toEqual(found);
    expect(await count(type, query)).toBe(found.length);
  });

  test('what was deleted is found no more, and leads nowhere', async () => {
    await put('Patient', 'gone', { name: [{ family: 'Vanished' }] });
    await put('Observation', 'left', observation(coded('v'), { subject: { reference: 'Patient/gone' } }));
    expect(await set('Observation', 'patient.family=vanished')).toEqual(['left']);
    await it.records.remove(it.operator, { type: 'Patient', id: 'gone' });
    expect(await set('Observation', 'patient.family=vanished')).toEqual([]);
  });
});

describe('R4 search.html#has', () => {
  test.each([
    ['Patient', '_has:Observation:patient:code=g', ['ann', 'bob']],
    ['Patient', '_has:Observation:patient:code=w', ['bob']],
    ['Patient', '_has:Observation:patient:code=none', []],
    ['Patient', '_has:Observation:subject:value-quantity=gt6', ['bob']],
    ['Patient', '_has:Observation:patient:code=g&_has:Observation:patient:code=w', ['bob']],
    ['Patient', '_has:Observation:patient:performer:Practitioner.family=angstrom', ['ann']],
    ['Practitioner', '_has:Observation:performer:code=p', ['doc']],
    ['Practitioner', '_has:Observation:performer:code=g', []],
    ['Practitioner', '_has:Patient:general-practitioner:_has:Observation:patient:code=g', ['doc']],
    ['Organization', '_has:Patient:organization:family=smith', ['clinic']],
    ['Observation', 'patient._has:Observation:patient:code=w', ['high', 'mass']],
  ])('%s?%s', async (type, query, found) => {
    expect(await set(type, query)).toEqual(found);
    expect(await count(type, query)).toBe(found.length);
  });
});

test('R4 search.html#list: what is in a List', async () => {
  expect(await set('Patient', '_list=mine')).toEqual(['ann']);
  expect(await set('Observation', '_list=List/mine&code=g')).toEqual(['high']);
  expect(await set('Patient', '_list=nothing')).toEqual([]);
});

describe('R4 location.html#search: near', () => {
  test.each([
    ['42.36|-71.06|1|km', ['boston']],
    ['42.36|-71.06|10|km', ['boston', 'cambridge']],
    ['42.36|-71.06|1|mi', ['boston']],
    ['0|-179.99|5|km', ['antimeridian']],
  ])('near=%s', async (value, found) => {
    expect(await set('Location', `near=${encodeURIComponent(value)}`)).toEqual(found);
  });
});

test('more than few at the other end are judged one by one, in order and on pages', async () => {
  const entries = Array.from({ length: 1200 }, (_, i) => ({
    method: 'PUT' as const,
    type: 'Patient',
    id: `many-${i}`,
    body: `{"resourceType":"Patient","id":"many-${i}","name":[{"family":"Manifold"}]}`,
  }));
  await it.records.transaction(it.operator, entries);
  const about = (i: number) =>
    `{"resourceType":"Observation","id":"of-${i}","status":"final","code":{"coding":[{"system":"${LOINC}","code":"m"}]},"subject":{"reference":"Patient/many-${i}"},"effectiveDateTime":"2026-01-${String((i % 28) + 1).padStart(2, '0')}"}`;
  await it.records.transaction(
    it.operator,
    Array.from({ length: 1100 }, (_, i) => ({
      method: 'PUT' as const,
      type: 'Observation',
      id: `of-${i}`,
      body: about(i),
    })),
  );
  expect(await count('Observation', 'patient.family=manifold')).toBe(1100);
  expect(await ids('Observation', 'patient.family=manifold&_count=400')).toHaveLength(1100);
  expect(await count('Patient', '_has:Observation:patient:code=m')).toBe(1100);
  expect(new Set(await ids('Patient', '_has:Observation:patient:code=m&_count=300')).size).toBe(1100);
});
