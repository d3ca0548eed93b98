/** Quantities (R4 search.html#quantity): values, units, and units that can be converted. */
import { canonicalUnit } from '../../src/search/units.ts';
import { observation } from '../support/searching.ts';
import { openTestServer, searchingByHttp, type TestServer } from '../support/server.ts';

let it: TestServer;
const { put, set, count } = searchingByHttp(() => it);

const UCUM = 'http://unitsofmeasure.org';
const code = { text: 'any' };
const of = (value: number, unit: string, more: object = {}) =>
  observation(code, { valueQuantity: { value, unit, system: UCUM, code: unit, ...more } });

beforeAll(async () => {
  it = await openTestServer();
  await put('Observation', 'mg', of(5.4, 'mg'));
  await put('Observation', 'g', of(0.0054, 'g', { unit: 'grams' }));
  await put('Observation', 'words', observation(code, { valueQuantity: { value: 5.4, unit: 'mg' } }));
  await put('Observation', 'human', of(5.4, 'ug', { unit: 'microgram' }));
  await put('Observation', 'local', of(5.4, 'mg', { system: 'urn:units' }));
  await put('Observation', 'bare', observation(code, { valueQuantity: { value: 5.4 } }));
  await put('Observation', 'mmol', of(5.4, 'mmol/L'));
  await put('Observation', 'umol', of(5400, 'umol/L'));
  await put('Observation', 'cel', of(37, 'Cel'));
  await put('Observation', 'kelvin', of(310.15, 'K'));
  await put('Observation', 'fahrenheit', of(98.6, '[degF]'));
  await put('Observation', 'acid', of(7.4, '[pH]'));
  await put('Observation', 'iu', of(5.4, '[iU]'));
  await put('Observation', 'kiu', of(0.0054, 'k[iU]'));
  await put('Observation', 'less', of(5, 'kPa', { comparator: '<' }));
  await put('Observation', 'at-most', of(5, 'kPa', { comparator: '<=' }));
  await put('Observation', 'more', of(5, 'kPa', { comparator: '>' }));
  await put('Observation', 'at-least', of(5, 'kPa', { comparator: '>=' }));
  await put('Observation', 'long', of(7, `${'m.'.repeat(40)}m`));
  await put('Condition', 'young', {
    subject: { reference: 'Patient/ann' },
    onsetRange: {
      low: { value: 6, unit: 'mo', system: UCUM, code: 'mo' },
      high: { value: 17, unit: 'mo', system: UCUM, code: 'mo' },
    },
  });
});
afterAll(() => it.close());

async function found(value: string): Promise<string[]> {
  const query = `value-quantity=${encodeURIComponent(value)}`;
  const ids = await set('Observation', query);
  expect(await count('Observation', query)).toBe(ids.length);
  return ids;
}

describe('R4 search.html#quantity: number, number|system|code, number||code', () => {
  test.each<[string, string[]]>([
    ['5.4', ['bare', 'human', 'iu', 'local', 'mg', 'mmol', 'words']],
    ['5.4||', ['bare', 'human', 'iu', 'local', 'mg', 'mmol', 'words']],
    [`5.4|${UCUM}|mg`, ['g', 'mg']],
    ['5.4|urn:units|mg', ['local']],
    ['5.4|urn:units|', ['local']],
    ['5.4|urn:none|mg', []],
    // Code or human unit, whatever the system; and what it is in UCUM.
    ['5.4||mg', ['g', 'local', 'mg', 'words']],
    ['5.4||microgram', ['human']],
    ['0.0054||grams', ['g']],
    ['5.4||MG', []],
  ])('value-quantity=%s', async (value, ids) => expect(await found(value)).toEqual(ids));
});

describe('R4 search.html#quantity: canonical units', () => {
  test.each<[string, string[]]>([
    ['5.40e-3||g', ['g', 'mg']],
    [`5400|${UCUM}|ug`, ['g', 'mg']],
    ['5.4||mmol/L', ['mmol', 'umol']],
    ['0.0054||mol/m3', []],
    ['5.4||mol/m3', ['mmol', 'umol']],
    ['ge5.4||mmol/L', ['mmol', 'umol']],
    ['gt5.4||mmol/L', []],
    ['le5400||umol/L', ['mmol', 'umol']],
    ['lt5400||umol/L', []],
    ['37||Cel', ['cel', 'fahrenheit', 'kelvin']],
    ['310.15||K', ['cel', 'fahrenheit', 'kelvin']],
    ['98.6||[degF]', ['cel', 'fahrenheit', 'kelvin']],
    ['gt37||Cel', []],
    ['ge310.15||K', ['cel', 'fahrenheit', 'kelvin']],
    // A tenth of what is written: 3.7 degrees on either side, whatever they are counted from.
    ['ap33.5||Cel', []],
    ['ap34||Cel', ['cel', 'fahrenheit', 'kelvin']],
    ['ap340||K', ['cel', 'fahrenheit', 'kelvin']],
  ])('value-quantity=%s', async (value, ids) => expect(await found(value)).toEqual(ids));

  test('a Range is converted by both its ends', async () => {
    const ids = (value: string) => set('Condition', `onset-age=${encodeURIComponent(value)}`);
    expect(await ids('ap1||a')).toEqual(['young']);
    expect(await ids('eq1||a')).toEqual(['young']);
    expect(await ids('eq1.0||a')).toEqual([]);
    expect(await ids('gt1.4||a')).toEqual(['young']);
    expect(await ids('gt1.5||a')).toEqual([]);
    expect(await ids('sa5||mo')).toEqual(['young']);
  });

  test.each<[string, string[]]>([
    // A unit that falls where others rise, and one that is not of any dimension, are only themselves.
    ['7.4||[pH]', ['acid']],
    ['le1||mol/L', ['mmol', 'umol']],
    ['5.4||[iU]', ['iu']],
    ['0.0054||k[iU]', ['kiu']],
    [`7||${'m.'.repeat(40)}m`, ['long']],
    ["5.4||no'unit[", []],
  ])('value-quantity=%s: what cannot be converted', async (value, ids) => {
    expect(await found(value)).toEqual(ids);
  });

  test('a unit of more than 50 characters is not read', () => {
    expect(canonicalUnit(`${'m.'.repeat(24)}m`)).toBeDefined();
    expect(canonicalUnit(`${'m.'.repeat(25)}m`)).toBeUndefined();
  });
});

describe('R4 datatypes.html#Quantity: a comparator makes the value a range', () => {
  test.each<[string, string[]]>([
    ['lt5', ['at-most', 'less']],
    ['le5', ['at-least', 'at-most', 'less']],
    ['ge5', ['at-least', 'at-most', 'more']],
    ['gt5', ['at-least', 'more']],
    ['gt4', ['at-least', 'at-most', 'less', 'more']],
    ['sa5', ['more']],
    ['eb5', ['less']],
    ['sa4.9', ['at-least', 'more']],
    ['eb5.1', ['at-most', 'less']],
    ['5', []],
    ['ne5', ['at-least', 'at-most', 'less', 'more']],
  ])('value-quantity=%s||kPa', async (value, ids) => expect(await found(`${value}||kPa`)).toEqual(ids));

  test('in another unit as well', async () => {
    expect(await found('eb5000||Pa')).toEqual(['less']);
    expect(await found('ge5000||Pa')).toEqual(['at-least', 'at-most', 'more']);
  });
});
