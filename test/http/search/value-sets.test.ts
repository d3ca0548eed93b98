/** `:in`, `:not-in`, `:above`, `:below` of tokens (R4 search.html#modifiers), by value sets of the standard and held here. */
import { observation } from '../../support/searching.ts';
import { openTestServer, searchingByHttp, type TestServer } from '../../support/server.ts';

let it: TestServer;
const { put, set, count } = searchingByHttp(() => it);

const LOINC = 'http://loinc.org';
const ANIMALS = 'http://acme.org/CodeSystem/animals';
const CATEGORY = 'http://terminology.hl7.org/CodeSystem/observation-category';
const ROLE = 'http://terminology.hl7.org/CodeSystem/v3-RoleCode';

beforeAll(async () => {
  it = await openTestServer();
  const coded = (system: string, code: string) => ({ coding: [{ system, code }] });
  const observe = (id: string, system: string, code: string, more: object = {}) =>
    put(
      'Observation',
      id,
      observation(coded(system, code), { subject: { reference: 'Patient/ann' }, ...more }),
    );
  await put('Patient', 'ann', { gender: 'female' });
  await put('Patient', 'bob', {
    maritalStatus: coded('http://terminology.hl7.org/CodeSystem/v3-MaritalStatus', 'M'),
  });
  await put('RelatedPerson', 'mother', {
    patient: { reference: 'Patient/ann' },
    relationship: [coded(ROLE, 'MTH')],
  });
  await put('RelatedPerson', 'friend', {
    patient: { reference: 'Patient/ann' },
    relationship: [coded(ROLE, 'FRND')],
  });
  await observe('dog', ANIMALS, 'dog', { category: [coded(CATEGORY, 'laboratory')] });
  await observe('poodle', ANIMALS, 'poodle', { category: [coded('urn:other', 'laboratory')] });
  await observe('cat', ANIMALS, 'cat');
  await observe('unknown-animal', ANIMALS, 'yeti');
  await observe('glucose', LOINC, '2345-7');
  await put('CodeSystem', 'animals', {
    url: ANIMALS,
    status: 'active',
    content: 'complete',
    hierarchyMeaning: 'is-a',
    concept: [
      { code: 'mammal', concept: [{ code: 'dog', concept: [{ code: 'poodle' }] }, { code: 'cat' }] },
      { code: 'bird' },
    ],
  });
  const valueSet = (id: string, more: object) =>
    put('ValueSet', id, { url: `http://acme.org/ValueSet/${id}`, status: 'active', ...more });
  const dogs = { system: ANIMALS, filter: [{ property: 'concept', op: 'is-a', value: 'dog' }] };
  await valueSet('dogs', { compose: { include: [dogs] } });
  await valueSet('all', { compose: { include: [{ system: ANIMALS }] } });
  await valueSet('few', {
    compose: { include: [{ system: ANIMALS, concept: [{ code: 'cat' }, { code: 'yeti' }] }] },
  });
  await valueSet('but-dogs', { compose: { include: [{ system: ANIMALS }], exclude: [dogs] } });
  await valueSet('both', {
    compose: { include: [{ valueSet: ['http://acme.org/ValueSet/all', 'http://acme.org/ValueSet/few'] }] },
  });
  await valueSet('loinc', { compose: { include: [{ system: LOINC }] } });
  await valueSet('round', { compose: { include: [{ valueSet: ['http://acme.org/ValueSet/round'] }] } });
  await valueSet('foreign', {
    compose: { include: [{ system: LOINC, filter: [{ property: 'CLASS', op: '=', value: 'CHEM' }] }] },
  });
  await valueSet('pattern', {
    compose: { include: [{ system: ANIMALS, filter: [{ property: 'code', op: 'regex', value: '(a+)+$' }] }] },
  });
  await valueSet('expanded', {
    expansion: { timestamp: '2024', contains: [{ system: ANIMALS, code: 'cat' }] },
  });
  await valueSet('versioned', {
    version: '2',
    compose: { include: [{ system: ANIMALS, concept: [{ code: 'cat' }] }] },
  });
});
afterAll(() => it.close());

const ACME = 'http://acme.org/ValueSet';

test.each([
  ['Observation', `code:in=${ACME}/dogs`, 'dog poodle'],
  ['Observation', 'code:in=ValueSet/dogs', 'dog poodle'],
  ['Observation', `code:in=${ACME}/all`, 'cat dog poodle'],
  ['Observation', `code:in=${ACME}/few`, 'cat unknown-animal'],
  ['Observation', `code:in=${ACME}/but-dogs`, 'cat'],
  ['Observation', `code:in=${ACME}/both`, 'cat'],
  ['Observation', `code:in=${ACME}/loinc`, 'glucose'],
  ['Observation', `code:in=${ACME}/dogs,${ACME}/loinc`, 'dog glucose poodle'],
  ['Observation', `code:in=${ACME}/expanded`, 'cat'],
  ['Observation', `code:in=${ACME}/versioned|2`, 'cat'],
  ['Observation', `code:not-in=${ACME}/all`, 'glucose unknown-animal'],
  ['Observation', `combo-code:in=${ACME}/dogs`, 'dog poodle'],
  // Of the standard: by system and code, and a code element by its code.
  ['Observation', 'category:in=http://hl7.org/fhir/ValueSet/observation-category', 'dog'],
  [
    'Observation',
    'category:not-in=http://hl7.org/fhir/ValueSet/observation-category',
    'cat glucose poodle unknown-animal',
  ],
  [
    'Observation',
    'status:in=http://hl7.org/fhir/ValueSet/observation-status|4.0.1',
    'cat dog glucose poodle unknown-animal',
  ],
  ['Patient', 'gender:in=http://hl7.org/fhir/ValueSet/administrative-gender', 'ann'],
  ['Patient', 'gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender', 'bob'],
  ['Observation', `code:below=${ANIMALS}|mammal`, 'cat dog poodle'],
  ['Observation', `code:below=${ANIMALS}|dog`, 'dog poodle'],
  ['Observation', `code:below=${ANIMALS}|bird`, ''],
  ['Observation', `code:above=${ANIMALS}|poodle`, 'dog poodle'],
  ['RelatedPerson', `relationship:below=${ROLE}|FAMMEMB`, 'mother'],
  ['RelatedPerson', `relationship:above=${ROLE}|NMTH`, 'mother'],
  ['Patient', `_has:Observation:patient:code:in=${ACME}/dogs`, 'ann'],
  [
    'Observation',
    `patient.gender:in=http://hl7.org/fhir/ValueSet/administrative-gender&code:below=${ANIMALS}|cat`,
    'cat',
  ],
])('%s?%s: %s', async (type, query, expected) => {
  const found = expected.split(' ').filter(Boolean);
  expect(await set(type, query)).toEqual(found);
  expect(await count(type, query)).toBe(found.length);
});

test.each([
  [`code:in=${ACME}/none`, /not held here/],
  [`code:in=${ACME}/versioned|1`, /not held here/],
  [`code:in=${ACME}/foreign`, /not held here as a whole/],
  [`code:in=${ACME}/pattern`, /filter "code regex" is not supported/],
  [`code:in=${ACME}/round`, /deep/],
  ['code:in=nonsense', /must be the url of a value set/],
  [`code:below=dog`, /must be system\|code/],
  [`code:below=${ANIMALS}|unicorn`, /has no code unicorn/],
  [`code:below=${LOINC}|2345-7`, /is not held here/],
  [`code:in=${Array.from({ length: 11 }, (_, i) => `${ACME}/${i}`)}`, /at most 10/],
])('is refused with the reason: %s', async (query, says) => {
  const fault = await set('Observation', query).catch((fault: unknown) => fault);
  expect(fault).toMatchObject({ status: 400 });
  expect((fault as Error).message).toMatch(says);
});
