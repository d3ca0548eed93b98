/** `_filter` (R4 search_filter.html), each rule by its section, over PostgreSQL. */
import { Refusal } from '../../src/fhir/outcome.ts';
import { openTestRecords, type TestRecords } from '../support/records.ts';
import { observation, searching } from '../support/searching.ts';

let it: TestRecords;
const { put, set, count } = searching(() => it);

const LOINC = 'http://loinc.org';
const coded = (...codes: string[]) => ({ coding: codes.map((code) => ({ system: LOINC, code })) });
const filter = (text: string): string => `_filter=${encodeURIComponent(text)}`;
const found = (type: string, text: string): Promise<string[]> => set(type, filter(text));

/** Ends within what the index has of it in pieces, and not at its end. */
const long = (end: string): string => `${'ab '.repeat(248)}abend${'xy '.repeat(100)}${end}`;

beforeAll(async () => {
  it = await openTestRecords();
  await put('Patient', 'pia', {
    name: [{ family: 'Petersen', given: ['Pia', 'Åse'] }],
    gender: 'female',
    birthDate: '2014-10-10',
    active: true,
    identifier: [
      { system: 'urn:a', value: '1' },
      { system: 'urn:a', value: '2' },
    ],
  });
  await put('Patient', 'tom', {
    name: [{ family: 'Trumpet', given: ['Tom'] }],
    gender: 'male',
    birthDate: '1980',
    identifier: [{ system: 'urn:a', value: '1' }],
  });
  await put('Patient', 'zoe', { name: [{ family: '100% a_b\\c' }], birthDate: '1980-03' });
  await put('Patient', 'long', { name: [{ text: long('Ende') }] });
  const about = (id: string) => ({ subject: { reference: `Patient/${id}` } });
  await put(
    'Observation',
    'sodium',
    observation(coded('2951-2'), { ...about('pia'), ...value(150), effectiveDateTime: '2024-05-31' }),
  );
  await put(
    'Observation',
    'glucose',
    observation(coded('2339-0', 'other'), {
      ...about('tom'),
      ...value(90),
      effectivePeriod: { start: '2024-05-30', end: '2024-06-02' },
    }),
  );
  await put(
    'Observation',
    'panel',
    observation(coded('panel'), { hasMember: [{ reference: 'Observation/sodium' }] }),
  );
  await put(
    'Observation',
    'derived',
    observation(coded('derived'), { derivedFrom: [{ reference: 'Observation/glucose' }] }),
  );
  await put('RiskAssessment', 'risk', {
    status: 'final',
    subject: { reference: 'Patient/tom' },
    prediction: [{ probabilityDecimal: 5.4 }],
  });
  const characteristic = (code: string, of: string) => ({
    code: { coding: [{ code }] },
    valueCodeableConcept: { coding: [{ code: of }] },
    exclude: false,
  });
  await put('Group', 'both', {
    type: 'person',
    actual: false,
    characteristic: [characteristic('gender', 'male'), characteristic('smoker', 'yes')],
  });
  await put('Group', 'crossed', {
    type: 'person',
    actual: false,
    characteristic: [characteristic('gender', 'yes'), characteristic('smoker', 'male')],
  });
  await put('ValueSet', 'vs', {
    status: 'active',
    url: 'http://a/vs',
    compose: { include: [{ system: LOINC, concept: [{ code: '2951-2' }] }] },
  });
  const concept = [{ code: 'top', concept: [{ code: 'mid', concept: [{ code: 'low' }] }] }];
  await put('CodeSystem', 'cs', { status: 'active', content: 'complete', url: 'urn:cs', concept });
  await put('Condition', 'mid', {
    subject: { reference: 'Patient/pia' },
    code: { coding: [{ system: 'urn:cs', code: 'mid' }] },
  });
  await put('Questionnaire', 'q', { status: 'draft', url: 'http://a/q/1' });
});
afterAll(() => it.close());

const value = (of: number) => ({
  valueQuantity: { value: of, unit: 'mmol/L', system: 'http://unitsofmeasure.org', code: 'mmol/L' },
});

describe('R4 search_filter.html#intro', () => {
  test.each([
    ['Patient', 'name co "pet"', ['pia', 'tom']],
    ['Patient', 'given eq "pia" and birthdate ge 2014-10-10', ['pia']],
    ['Observation', 'code eq http://loinc.org|2951-2', ['sodium']],
    ['Observation', 'subject.name co "pet"', ['glucose', 'sodium']],
    ['Observation', 'related[type eq "has-component"].target pr true', ['panel']],
    ['Observation', 'related[type eq has-component].target re Observation/sodium', ['panel']],
    [
      'Observation',
      'related[type eq has-member or type eq derived-from].target pr true',
      ['derived', 'panel'],
    ],
    ['Group', 'characteristic[code eq gender].value eq male', ['both']],
  ])('%s: %s', async (type, text, ids) => expect(await found(type, text)).toEqual(ids));
});

describe('R4 search_filter.html#intro, the grammar', () => {
  test.each([
    // from left to right, without precedence
    ['gender eq male or gender eq female and active eq true', ['pia']],
    ['gender eq male or (gender eq female and active eq true)', ['pia', 'tom']],
    ['not (gender eq male)', ['long', 'pia', 'zoe']],
    ['not(gender eq male) and birthdate lt 2000', ['zoe']],
    ['not not (gender eq male)', ['tom']],
    ['  ( ( given EQ "tom" ) )  ', ['tom']],
    ['given eq "\\u0074om"', ['tom']],
    ['family eq "petersen)" or family eq trumpet', ['tom']],
    ['_has:Observation:patient:code pr true', undefined],
    ['given', undefined],
    ['given eq', undefined],
    ['given eq "tom', undefined],
    ['given eq "\\x"', undefined],
    ['given eq tom and', undefined],
    ['given eq tom or or given eq pia', undefined],
    ['given eq tom given eq pia', undefined],
    ['(given eq tom', undefined],
    ['given eq tom)', undefined],
    ['general-practitioner[name eq x] re Practitioner/1', undefined],
    ['nonsense eq tom', undefined],
    ['given.name eq tom', undefined],
    ['given:exact eq tom', undefined],
  ])('%s', async (text, ids) => {
    if (ids) expect(await found('Patient', text)).toEqual(ids);
    else await expect(found('Patient', text)).rejects.toMatchObject({ status: 400 });
  });

  test.each([
    [`${'('.repeat(30)}given eq x${')'.repeat(30)}`],
    [`${'not '.repeat(30)}given eq x`],
    [Array.from({ length: 300 }, () => 'given eq x').join(' or ')],
    ['x'.repeat(100_000)],
    [`${'link.'.repeat(8)}name eq x`],
  ])('%.40s… is too costly', async (text) => {
    const refused = await found('Patient', text).catch((fault) => fault);
    expect(refused).toBeInstanceOf(Refusal);
    expect(refused).toMatchObject({ status: 400, issues: [{ code: 'too-costly' }] });
  });
});

describe('R4 search_filter.html#ops', () => {
  test.each([
    ['Patient', 'family eq PETERSEN', ['pia']],
    ['Patient', 'family eq Petersé', []],
    ['Patient', 'given ne pia', ['pia', 'tom']],
    ['Patient', 'family sw trum', ['tom']],
    ['Patient', 'family ew pet', ['tom']],
    ['Patient', 'family gt petersen', ['tom']],
    ['Patient', 'family ge petersen', ['pia', 'tom']],
    ['Patient', 'family lt b', ['zoe']],
    ['Patient', 'family le "100% A_B\\\\c"', ['zoe']],
    ['Patient', 'name ew ende', ['long']],
    ['Patient', 'name ew abend', []],
    ['Patient', 'name co abend', ['long']],
    ['Patient', 'family co %', ['zoe']],
    ['Patient', 'family co _', ['zoe']],
    ['Patient', 'family co "\\\\"', ['zoe']],
    ['Patient', 'family eq "%"', []],
    ['Patient', 'family ew "b\\\\c"', ['zoe']],
    ['Patient', 'family pr false', ['long']],
    ['Patient', 'birthdate eq 1980', ['tom', 'zoe']],
    ['Patient', 'birthdate ne 1980', ['pia']],
    ['Patient', 'birthdate co 1980-03', ['tom', 'zoe']],
    ['Patient', 'birthdate po 1980-04', ['tom']],
    ['Patient', 'birthdate sa 1980', ['pia']],
    ['Patient', 'birthdate eb 1980-04', ['zoe']],
    ['Observation', 'date po 2024-06-01', ['glucose']],
    ['Observation', 'date co 2024-05-31', ['glucose', 'sodium']],
    ['Patient', 'gender ne male', ['pia']],
    ['Patient', 'identifier ne urn:a|1', ['pia']],
    ['Patient', 'identifier ne urn:a|1 or identifier ne urn:a|2', ['pia', 'tom']],
    ['Patient', 'not (identifier eq urn:a|1)', ['long', 'zoe']],
    ['Observation', 'code eq loinc|2951-2', ['sodium']],
    ['Observation', 'code ne loinc|2339-0', ['derived', 'glucose', 'panel', 'sodium']],
    ['Observation', 'code in http://a/vs', ['sodium']],
    ['Observation', 'code ni http://a/vs', ['derived', 'glucose', 'panel']],
    ['Condition', 'code ss urn:cs|top', ['mid']],
    ['Condition', 'code ss urn:cs|low', []],
    ['Condition', 'code sb urn:cs|low', ['mid']],
    ['Observation', 'subject re Patient/pia', ['sodium']],
    ['Observation', 'value-quantity gt 100|ucum|mmol/L', ['sodium']],
    ['Observation', 'value-quantity ap 95', ['glucose']],
    [
      'Observation',
      'code-value-quantity eq "loinc|x$1" or code-value-quantity eq http://loinc.org|2951-2$gt100',
      ['sodium'],
    ],
    ['RiskAssessment', 'probability eq 5.4', ['risk']],
    ['RiskAssessment', 'probability lt 5', []],
    ['Questionnaire', 'url sw http://a/', ['q']],
    ['Questionnaire', 'url ne http://a/q/1', []],
    ['Patient', '_id eq pia or _id eq tom', ['pia', 'tom']],
    ['Patient', '_lastUpdated lt 2000', []],
    ['Questionnaire', '_profile ne http://a', []],
  ])('%s: %s', async (type, text, ids) => {
    expect(await found(type, text)).toEqual(ids);
    expect(await count(type, filter(text))).toBe(ids.length);
  });

  test.each([
    ['Observation', 'subject eq Patient/pia', /re, pr/],
    ['Patient', 'birthdate sw 19', /eq, ne, gt/],
    ['Patient', 'gender gt male', /eq, ne, ss/],
    ['RiskAssessment', 'probability co 5', /eq, ne, gt/],
    ['Patient', 'name zz x', /eq, ne, co/],
    ['Patient', '_id ss x', /eq, ne, pr/],
    ['Patient', 'birthdate gt ge1980', /must be a date/],
    ['Observation', 'value-quantity gt ge5', /must be a number/],
    ['Patient', 'name pr maybe', /true or false/],
    ['Patient', 'nam eq x', /did you mean "name"/],
  ])('%s: %s is refused, saying what is possible', async (type, text, says) => {
    const refused = await found(type, text).catch((fault) => fault);
    expect(refused).toMatchObject({ status: 400, issues: [{ diagnostics: expect.stringMatching(says) }] });
  });
});

describe('R4 search_filter.html, with the rest of search', () => {
  test.each([
    ['Observation', 'subject._filter=name co "pet" and gender eq male', ['glucose']],
    ['Patient', '_has:Observation:patient:_filter=code eq loinc|2951-2 and value-quantity gt 100', ['pia']],
    ['Patient', '_has:Observation:patient:_filter=code eq loinc|2951-2 and value-quantity lt 100', []],
    ['Observation', '_filter=subject[gender eq male].name co "pet"', ['glucose']],
    ['Observation', '_filter=subject[gender eq male].name co "sen"', []],
    ['Observation', '_filter=subject:Patient.name co "pet" and code ne loinc|other', ['glucose', 'sodium']],
    ['Observation', '_filter=subject.given eq tom or code ne loinc|panel', ['derived', 'glucose', 'sodium']],
    ['Observation', '_filter=not (subject.given eq tom) and code ne loinc|derived&code=panel', ['panel']],
  ])('%s?%s', async (type, query, ids) => expect(await set(type, query.replaceAll('+', '%2B'))).toEqual(ids));
});
