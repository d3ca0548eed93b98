/** Numbers (R4 search.html#number, #prefix) and places (R4 location.html#search): by SQL and by the matcher. */
import { distance } from '../../src/search/numbers.ts';
import { openTestServer, searchingByHttp, type TestServer } from '../support/server.ts';

let it: TestServer;
const { put, set } = searchingByHttp(() => it);
const BEARS = {
  '5.35': 5.35,
  '5.4': 5.4,
  '5.4499': 5.4499,
  '5.45': 5.45,
  '-5.4': -5.4,
  '0': 0,
  '99.5': 99.5,
};
const MORE = { '100': 100, '100.4999': 100.4999, '100.5': 100.5, '105': 105, '1000': 1000 };
const VALUES: Readonly<Record<string, number>> = { ...BEARS, ...MORE };

beforeAll(async () => {
  it = await openTestServer();
  const risk = (prediction: object) => ({
    status: 'final',
    subject: { reference: 'Patient/ann' },
    prediction: [prediction],
  });
  for (const [name, probabilityDecimal] of Object.entries(VALUES))
    await put('RiskAssessment', `n${name.replace('-', 'minus')}`, risk({ probabilityDecimal }));
  const range = (low?: number, high?: number) =>
    risk({
      probabilityRange: {
        ...(low !== undefined && { low: { value: low } }),
        ...(high !== undefined && { high: { value: high } }),
      },
    });
  await put('RiskAssessment', 'to-10', range(undefined, 10));
  await put('RiskAssessment', 'from-90', range(90));
  await put('RiskAssessment', 'r90-110', range(90, 110));
  await put('RiskAssessment', 'none', { status: 'final', subject: { reference: 'Patient/ann' } });
  const place = (latitude: number, longitude: number) => ({ position: { latitude, longitude } });
  await put('Location', 'zero', place(0, 0));
  await put('Location', 'east', place(0, 0.001));
  await put('Location', 'dateline', place(0, -179.995));
  await put('Location', 'pole', place(89.999, 100));
  await put('Location', 'nowhere', { name: 'without position' });
});
afterAll(() => it.close());

const numbers = (...names: string[]): string[] =>
  names.map((name) => (/^\d/.test(name) ? `n${name}` : name)).sort();
const ALL = ['minus5.4', ...Object.keys(VALUES).filter((name) => name !== '-5.4')].map((name) => `n${name}`);
const but = (...names: string[]): string[] =>
  [...ALL, 'to-10', 'from-90', 'r90-110'].filter((name) => !numbers(...names).includes(name)).sort();

describe('R4 search.html#number: the precision that is written counts for eq and ne', () => {
  test.each<[string, string[]]>([
    ['5.4', numbers('5.35', '5.4', '5.4499')],
    ['eq5.40', numbers('5.4')],
    ['5.45', numbers('5.4499', '5.45')],
    ['+5.4', numbers('5.35', '5.4', '5.4499')],
    ['-5.4', ['nminus5.4']],
    ['5.4e0', numbers('5.35', '5.4', '5.4499')],
    ['54e-1', numbers('5.35', '5.4', '5.4499')],
    ['100', numbers('100', '100.4999', '99.5')],
    ['100.00', numbers('100')],
    ['1.00e2', numbers('100', '100.4999', '99.5')],
    ['1.0e2', numbers('100', '100.4999', '100.5', '99.5')],
    ['0', numbers('0')],
    ['ne5.4', but('5.35', '5.4', '5.4499')],
    ['ne100.00', but('100')],
  ])('probability=%s', async (value, found) => {
    expect(await set('RiskAssessment', `probability=${encodeURIComponent(value)}`)).toEqual(found);
  });
});

describe('R4 search.html#prefix: for the others the number is exact, and a Range is all between its ends', () => {
  test.each<[string, string[]]>([
    ['gt100', numbers('100.4999', '100.5', '105', '1000', 'from-90', 'r90-110')],
    ['gt100.00', numbers('100.4999', '100.5', '105', '1000', 'from-90', 'r90-110')],
    ['ge100', numbers('100', '100.4999', '100.5', '105', '1000', 'from-90', 'r90-110')],
    ['lt5.4', numbers('5.35', '0', 'to-10').concat('nminus5.4').sort()],
    ['le5.4', numbers('5.35', '5.4', '0', 'to-10').concat('nminus5.4').sort()],
    ['sa100', numbers('100.4999', '100.5', '105', '1000')],
    ['sa89.9', numbers('99.5', '100', '100.4999', '100.5', '105', '1000', 'from-90', 'r90-110')],
    ['sa90', numbers('99.5', '100', '100.4999', '100.5', '105', '1000')],
    ['eb10', numbers('5.35', '5.4', '5.4499', '5.45', '0').concat('nminus5.4').sort()],
    ['eb10.1', numbers('5.35', '5.4', '5.4499', '5.45', '0', 'to-10').concat('nminus5.4').sort()],
    ['gt110', numbers('1000', 'from-90')],
    ['ge110', numbers('1000', 'from-90', 'r90-110')],
    ['lt-6', ['to-10']],
  ])('probability=%s', async (value, found) => {
    expect(await set('RiskAssessment', `probability=${value}`)).toEqual(found);
  });

  test.each<[string, string[]]>([
    ['ap100', numbers('99.5', '100', '100.4999', '100.5', '105', 'from-90', 'r90-110')],
    ['ap110', numbers('99.5', '100', '100.4999', '100.5', '105', 'from-90', 'r90-110')],
    ['ap111.2', numbers('100.4999', '100.5', '105', 'from-90', 'r90-110')],
    ['ap-5', ['nminus5.4', 'to-10']],
    ['ap0', numbers('0', 'to-10')],
  ])('probability=%s: within a tenth of it', async (value, found) => {
    expect(await set('RiskAssessment', `probability=${value}`)).toEqual(found);
  });
});

test('R4 search.html#combining: each value of a list has its own prefix', async () => {
  expect(await set('RiskAssessment', 'probability=lt0,sa105,5.40')).toEqual([
    'n1000',
    'n5.4',
    'nminus5.4',
    'to-10',
  ]);
});

describe('R4 location.html#search: near, on the sphere', () => {
  test.each<[string, string[]]>([
    ['0|0|100|m', ['zero']],
    ['0|0|112|m', ['east', 'zero']],
    ['0|0.0005|56|m', ['east', 'zero']],
    ['0|179.995|1.2|km', ['dateline']],
    ['0|179.995|1.1|km', []],
    ['90|0|112|m', ['pole']],
    ['90|0|111|m', []],
    ['-90|0|20016|km', ['dateline', 'east', 'pole', 'zero']],
    ['1|1,90|0|1|km', ['pole']],
  ])('near=%s', async (value, found) => {
    expect(await set('Location', `near=${encodeURIComponent(value)}`)).toEqual(found);
  });

  test('the distance of a degree, and halfway round', () => {
    const at = (latitude: number, longitude: number) => ({ latitude, longitude });
    expect(distance(at(0, 0), at(0, 1))).toBeCloseTo(111_195, 0);
    expect(distance(at(0, 0), at(0, 180))).toBeCloseTo(Math.PI * 6_371_008.8, 3);
  });
});
