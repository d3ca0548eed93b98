/** Observation/$lastn and $stats (R4 observation-operation-lastn.html, observation-operation-stats.html). */
import { startApp, type TestApp } from '../app.ts';

const FHIR = 'application/fhir+json';
const LOINC = 'http://loinc.org';
const UCUM = 'http://unitsofmeasure.org';
let app: TestApp;

async function observe(
  id: string,
  {
    codes,
    at,
    value,
    unit = '/min',
    patient = 'ann',
    more = {},
  }: {
    readonly codes: readonly string[];
    readonly at?: string;
    readonly value?: number;
    readonly unit?: string;
    readonly patient?: string;
    readonly more?: object;
  },
): Promise<void> {
  const resource = {
    ...{ resourceType: 'Observation', id, status: 'final', subject: { reference: `Patient/${patient}` } },
    category: [{ coding: [{ code: 'vital-signs' }] }],
    code: { coding: codes.map((code) => ({ system: LOINC, code })) },
    effectiveDateTime: at,
    ...(value !== undefined && { valueQuantity: { value, unit, system: UCUM, code: unit } }),
    ...more,
  };
  await app.send('put', `/Observation/${id}`).type(FHIR).send(resource).expect(201);
}

const ids = ({ body }: { body: { entry?: { resource: { id: string } }[] } }): string[] =>
  (body.entry ?? []).map(({ resource }) => resource.id);

beforeAll(async () => {
  app = await startApp();
  for (const [i, value] of [2, 4, 4, 4, 5, 5, 7, 9].entries())
    await observe(`rate-${i}`, { codes: ['8867-4'], at: `2026-01-0${i + 1}T00:00:00Z`, value });
  await observe('none', {
    codes: ['8867-4'],
    at: '2026-01-05T12:00:00Z',
    more: { dataAbsentReason: { text: 'lost' } },
  });
  await observe('wrong', {
    codes: ['8867-4'],
    at: '2026-01-09',
    value: 1000,
    more: { status: 'entered-in-error' },
  });
  await observe('bobs', { codes: ['8867-4'], at: '2026-02-01', value: 100, patient: 'bob' });
  // Codes that stand together are one kind.
  await observe('both', { codes: ['a', 'b'], at: '2025-01-01' });
  await observe('one-a', { codes: ['a'], at: '2025-01-02' });
  await observe('one-b', { codes: ['b'], at: '2025-01-03' });
  await observe('tied', { codes: ['b'], at: '2025-01-03' });
  await observe('undated', { codes: ['c'] });
  await observe('text', { codes: [], at: '2024-01-01', more: { code: { text: 'Words' } } });
});
afterAll(() => app.close());

describe('R4 observation-operation-lastn.html', () => {
  const lastn = (query: string) => app.send('get', `/Observation/$lastn?${query}`);

  test('the last of each kind, newest first; codes that stand together are one kind', async () => {
    const found = ids(await lastn('patient=ann&category=vital-signs').expect(200));
    expect(found).toHaveLength(4 + 1);
    expect(found).toContain('wrong');
    expect(found).toContain('undated');
    expect(found).toContain('text');
    expect(found).not.toContain('both');
    expect(found).not.toContain('one-a');
    // what was made at the same time as the last one is a last one as well
    expect(found).toEqual(expect.arrayContaining(['one-b', 'tied']));
  });

  test('max of each', async () => {
    expect(ids(await lastn('patient=ann&code=8867-4&max=3&status=final').expect(200))).toEqual([
      'rate-7',
      'rate-6',
      'rate-5',
    ]);
    expect(ids(await lastn('patient=bob&code=8867-4&max=3').expect(200))).toEqual(['bobs']);
  });

  test('by POST, and narrowed by any search parameter', async () => {
    const parameter = [
      { name: 'subject', valueString: 'Patient/ann' },
      { name: 'code', valueString: `${LOINC}|8867-4` },
      { name: 'date', valueString: 'lt2026-01-03' },
      { name: 'max', valuePositiveInt: 1 },
    ];
    const sent = app.send('post', '/Observation/$lastn').type(FHIR);
    expect(ids(await sent.send({ resourceType: 'Parameters', parameter }).expect(200))).toEqual(['rate-1']);
  });

  test.each([
    ['category=vital-signs', /subject/],
    ['patient=ann', /category/],
    ['patient=ann&category=x&max=0', /positiveInt/],
    ['patient=ann&category=x&max=1&max=2', /once/],
    ['patient=ann&category=x&shoe=1', /no search parameter "shoe"/],
    ['patient=ann&category=x&_count=1', /_count/],
  ])('%s is 400', async (query, says) => {
    const { body } = await lastn(query).expect(400);
    expect(body.issue[0].diagnostics).toMatch(says);
  });

  test('shows only what the caller may search', async () => {
    const token = await app.app.issueToken({ scope: 'system/Observation.r', client: 'test', minutes: 5 });
    await lastn('patient=ann&category=vital-signs').set('Authorization', `Bearer ${token}`).expect(403);
  });
});

describe('R4 observation-operation-stats.html', () => {
  const subject = { name: 'subject', valueUri: 'Patient/ann' };
  const coding = { name: 'coding', valueCoding: { system: LOINC, code: '8867-4' } };
  const period = { name: 'period', valuePeriod: { start: '2026-01-01', end: '2026-01-31' } };
  const stats = (...parameter: object[]) =>
    app.send('post', '/Observation/$stats').type(FHIR).send({ resourceType: 'Parameters', parameter });

  // Of 2, 4, 4, 4, 5, 5, 7, 9 by hand: sum 40, squares of the differences from the mean 5: 32.
  test.each<[code: string, value: number, unit: string]>([
    ['average', 5, '/min'],
    ['maximum', 9, '/min'],
    ['minimum', 2, '/min'],
    ['count', 8, '1'],
    ['total-count', 9, '1'],
    ['median', 4.5, '/min'],
    ['sum', 40, '/min'],
    ['variance', 32 / 7, '(/min).(/min)'],
    ['std-dev', Math.sqrt(32 / 7), '/min'],
    ['4-lower', 4, '/min'],
    ['4-upper', 5.5, '/min'],
    ['4-dev', 0.75, '/min'],
    ['20-percent', 4, '/min'],
    ['80-percent', 6.2, '/min'],
  ])('%s', async (code, value, unit) => {
    const { body } = await stats(subject, coding, period, { name: 'statistic', valueCode: code }).expect(200);
    const [{ name, resource }] = body.parameter;
    expect(name).toBe('statistics');
    expect(resource).toMatchObject({
      resourceType: 'Observation',
      status: 'final',
      effectivePeriod: { start: '2026-01-01' },
    });
    const [component] = resource.component;
    expect(component.code.coding[0].code).toBe(code);
    expect(component.valueQuantity.value).toBeCloseTo(value, 9);
    expect(component.valueQuantity.code).toBe(unit);
  });

  test('the observations themselves, where they are asked for', async () => {
    const given = [subject, coding, period, { name: 'statistic', valueCode: 'count' }];
    const { body } = await stats(
      ...given,
      { name: 'include', valueBoolean: true },
      { name: 'limit', valuePositiveInt: 3 },
    ).expect(200);
    expect(body.parameter.filter(({ name }: { name: string }) => name === 'source')).toHaveLength(3);
  });

  test('by GET', async () => {
    const query = `subject=Patient/bob&code=8867-4&system=${LOINC}&duration=100000&statistic=average,count`;
    const { body } = await app.send('get', `/Observation/$stats?${query}`).expect(200);
    const [{ resource }] = body.parameter;
    expect(
      resource.component.map(
        ({ valueQuantity }: { valueQuantity: { value: number } }) => valueQuantity.value,
      ),
    ).toEqual([100, 1]);
  });

  test.each([
    [[coding, period, { name: 'statistic', valueCode: 'count' }], /subject/],
    [[subject, period, { name: 'statistic', valueCode: 'count' }], /coding/],
    [[subject, coding, { name: 'statistic', valueCode: 'count' }], /duration.*period/],
    [[subject, coding, period], /statistic/],
    [
      [subject, coding, period, { name: 'statistic', valueCode: 'mood' }],
      /no statistic: possible are average/,
    ],
  ])('a call that lacks something, or asks for what there is not, is 400 (%#)', async (parameters, says) => {
    const { body } = await stats(...parameters).expect(400);
    expect(body.issue[0].diagnostics).toMatch(says);
  });
});
