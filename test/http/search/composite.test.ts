/** Composites (R4 search.html#composite): values that belong together, within one element or one resource. */
import { observation } from '../../support/searching.ts';
import { openTestServer, searchingByHttp, type TestServer } from '../../support/server.ts';

let it: TestServer;
const { put, set, ids, count } = searchingByHttp(() => it);

const LOINC = 'http://loinc.org';
const UCUM = 'http://unitsofmeasure.org';
const coded = (code: string, system: string | undefined = LOINC) => ({ coding: [{ system, code }] });
const quantity = (value: number, unit = 'mm[Hg]') => ({
  valueQuantity: { value, unit, system: UCUM, code: unit },
});
const part = (code: string, value: object, system: string | undefined = LOINC) => ({
  code: coded(code, system),
  ...value,
});
const pressure = (systolic: number, diastolic: number, unit?: string) =>
  observation(coded('bp'), {
    component: [part('sys', quantity(systolic, unit)), part('dia', quantity(diastolic, unit))],
  });

beforeAll(async () => {
  it = await openTestServer();
  await put('Observation', 'usual', pressure(120, 80));
  await put('Observation', 'swapped', pressure(80, 120));
  await put('Observation', 'kilo', pressure(16, 10.7, 'kPa'));
  await put('Observation', 'two-systems', {
    ...pressure(1, 2),
    component: [
      part('x', quantity(7), 'urn:a'),
      part('x', quantity(8), 'urn:b'),
      { code: { coding: [{ code: 'x' }] }, ...quantity(9) },
    ],
  });
  await put('Observation', 'answers', {
    ...observation(coded('survey'), {
      component: [
        part('q1', { valueCodeableConcept: coded('yes', 'urn:a') }),
        part('q2', { valueCodeableConcept: coded('no', 'urn:a') }),
      ],
    }),
  });
  await put('Observation', 'glucose', observation(coded('g'), quantity(5.4, 'mmol/L')));
  const sampled = { origin: { value: 5.4 }, period: 1, dimensions: 1, data: '0' };
  await put('Observation', 'samples', observation(coded('g'), { valueSampledData: sampled }));
  await put('Observation', 'text', observation(coded('s'), { valueString: 'Clear, yellow' }));
  await put('Observation', 'concept', observation(coded('s'), { valueCodeableConcept: { text: 'Clear' } }));
  await put('Observation', 'dated', observation(coded('d'), { valueDateTime: '2024-05-31' }));
  const sequence = (chromosome: string, ...spans: (readonly [number, number])[]) => ({
    coordinateSystem: 0,
    referenceSeq: {
      chromosome: coded(chromosome, 'urn:c'),
      windowStart: spans[0]?.[0],
      windowEnd: spans[0]?.[1],
    },
    variant: spans.map(([start, end]) => ({ start, end })),
  });
  await put('MolecularSequence', 'one', sequence('1', [100, 200], [500, 600]));
  await put('MolecularSequence', 'two', sequence('2', [100, 200]));
  await put('Patient', 'ann', {});
  await put('Observation', 'of-ann', { ...pressure(150, 90), subject: { reference: 'Patient/ann' } });
  const context = (code: string, value: object) => ({ code: { system: 'urn:u', code }, ...value });
  await put('Library', 'grown-up', {
    status: 'draft',
    type: coded('logic-library'),
    useContext: [
      context('age', { valueRange: { low: { value: 18, unit: 'a', system: UCUM, code: 'a' } } }),
      context('gender', { valueCodeableConcept: coded('female', 'urn:g') }),
    ],
  });
});
afterAll(() => it.close());

async function found(type: string, query: string): Promise<string[]> {
  const [name = '', value = ''] = query.split(/=(.*)/s);
  const text = `${name}=${encodeURIComponent(value)}`;
  const all = await set(type, text);
  expect(await count(type, text)).toBe(all.length);
  return all;
}

describe('R4 search.html#composite: all parts are of one element', () => {
  test.each<[string, string[]]>([
    ['component-code-value-quantity=sys$120', ['usual']],
    ['component-code-value-quantity=sys$gt100', ['of-ann', 'usual']],
    ['component-code-value-quantity=dia$gt100||mm[Hg]', ['swapped']],
    ['component-code-value-quantity=dia$ge120||mm[Hg],sys$150', ['of-ann', 'swapped']],
    ['component-code-value-quantity=sys$120||kPa', []],
    // In another unit: 120 mm[Hg] are 15.99864 kPa.
    ['component-code-value-quantity=sys$16||kPa', ['kilo', 'usual']],
    ['component-code-value-quantity=sys$ap120||mm[Hg]', ['kilo', 'usual']],
    ['component-code-value-concept=q1$yes', ['answers']],
    ['component-code-value-concept=q1$no', []],
    [`component-code-value-concept=${LOINC}|q2$urn:a|no`, ['answers']],
    [`component-code-value-concept=${LOINC}|q2$urn:b|no`, []],
    ['component-code-value-concept=q2$urn:a|', ['answers']],
    ['component-code-value-concept=q1$urn:b|', []],
  ])('%s', async (query, all) => expect(await found('Observation', query)).toEqual(all));

  test.each<[string, string[]]>([
    ['component-code-value-quantity=x$7', ['two-systems']],
    ['component-code-value-quantity=urn:a|x$7', ['two-systems']],
    ['component-code-value-quantity=urn:a|x$8', []],
    ['component-code-value-quantity=urn:b|x$8', ['two-systems']],
    ['component-code-value-quantity=|x$9', ['two-systems']],
    ['component-code-value-quantity=|x$8', []],
    ['component-code-value-quantity=urn:b|$8', ['two-systems']],
    ['component-code-value-quantity=urn:b|$7', []],
  ])('%s: the system is that of this code', async (query, all) => {
    expect(await found('Observation', query)).toEqual(all);
  });

  test.each<[string, string, string[]]>([
    ['MolecularSequence', 'chromosome-variant-coordinate=1$100$200', ['one']],
    ['MolecularSequence', 'chromosome-variant-coordinate=1$100$600', []],
    ['MolecularSequence', 'chromosome-variant-coordinate=1$ge100$le600', ['one']],
    ['MolecularSequence', 'chromosome-variant-coordinate=1$ge300$lt600', []],
    ['MolecularSequence', 'chromosome-variant-coordinate=urn:c|2$lt101$gt199,1$500$600', ['one', 'two']],
    ['MolecularSequence', 'chromosome-window-coordinate=2$100$200', ['two']],
    ['MolecularSequence', 'chromosome-window-coordinate=1$500$600', []],
    ['Library', 'context-type-quantity=age$gt30||a', ['grown-up']],
    ['Library', 'context-type-quantity=age$ge216||mo', ['grown-up']],
    ['Library', 'context-type-quantity=gender$gt1', []],
    ['Library', 'context-type-value=gender$female', ['grown-up']],
    ['Library', 'context-type-value=age$female', []],
  ])('%s?%s', async (type, query, all) => expect(await found(type, query)).toEqual(all));
});

describe('R4 search.html#composite: over the whole resource both parts are of it', () => {
  test.each<[string, string[]]>([
    [`code-value-quantity=${LOINC}|g$5.4||mmol/L`, ['glucose']],
    ['code-value-quantity=g$5.4', ['glucose']],
    ['code-value-quantity=g$gt5400||umol/L,g$le5400||umol/L', ['glucose']],
    ['code-value-quantity=bp$120', []],
    ['value-quantity=5.4', ['glucose', 'samples']],
    ['code-value-string=s$clear', ['text']],
    ['value-string=clear', ['concept', 'text']],
    ['code-value-string=s$clear\\, Y', ['text']],
    ['code-value-date=d$ge2024-05', ['dated']],
    ['code-value-date=d$sa2024-06', []],
    ['combo-code-value-quantity=g$5.4', ['glucose']],
    ['combo-code-value-quantity=dia$120,g$5.4', ['glucose', 'swapped']],
    ['combo-code-value-quantity=bp$120', []],
    ['combo-code-value-concept=q1$yes', ['answers']],
    ['combo-code-value-concept=q1$urn:a|', ['answers']],
  ])('%s', async (query, all) => expect(await found('Observation', query)).toEqual(all));
});

describe('R4 search.html#chaining, #has: composites at the other end', () => {
  test.each<[string, string, string[]]>([
    ['Patient', '_has:Observation:patient:component-code-value-quantity=sys$gt140', ['ann']],
    ['Patient', '_has:Observation:patient:component-code-value-quantity=dia$gt140', []],
    ['Patient', '_has:Observation:patient:component-code-value-quantity=sys$ge20||kPa', []],
    ['Patient', '_has:Observation:patient:component-code-value-quantity=sys$ge19||kPa', ['ann']],
    ['Patient', '_has:Observation:patient:combo-code-value-quantity=sys$gt140', ['ann']],
    ['Patient', '_has:Observation:patient:code-value-quantity=g$5.4', []],
    ['Observation', 'patient._has:Observation:patient:component-code-value-quantity=sys$150', ['of-ann']],
  ])('%s?%s', async (type, query, all) => expect(await found(type, query)).toEqual(all));
});

test('more than few by their value, fewer of them by code: in order and on pages', async () => {
  const entries = Array.from({ length: 3200 }, (_, i) => ({
    method: 'PUT' as const,
    type: 'Observation',
    id: `many-${i}`,
    body: JSON.stringify({
      resourceType: 'Observation',
      id: `many-${i}`,
      ...observation(coded(i % 32 ? 'often' : 'seldom'), quantity(1000 + i, 'm')),
      effectiveDateTime: `2026-01-${String((i % 28) + 1).padStart(2, '0')}`,
    }),
  }));
  await it.records.transaction(it.operator, entries);
  expect(await count('Observation', 'value-quantity=ge1000||m')).toBe(3200);
  expect(new Set(await ids('Observation', 'value-quantity=ge1||km&_count=1000')).size).toBe(3200);
  expect(await ids('Observation', 'code-value-quantity=seldom$ge1000&_count=30')).toHaveLength(100);
  expect(await ids('Observation', 'combo-code-value-quantity=seldom$ge1000&_count=30')).toHaveLength(100);
  expect(await ids('Observation', 'code-value-quantity=often$ge4199&_count=30')).toEqual(['many-3199']);
});
