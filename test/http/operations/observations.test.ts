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

interface Statistics {
  readonly code: { readonly coding: readonly [{ readonly code: string }] };
  readonly component: readonly [{ readonly valueQuantity: { readonly value: number } }];
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

  test('of equally new ones all, however many max asks for', async () => {
    const at = '2025-03-01T10:00:00Z';
    for (const n of [1, 2, 3]) await observe(`tie-${n}`, { codes: ['tie'], at, patient: 'tom' });
    await observe('tie-later', { codes: ['tie'], at: '2025-03-02', patient: 'tom' });
    await observe('tie-earlier', { codes: ['tie'], at: '2025-02-28', patient: 'tom' });
    const of = async (max: number) => ids(await lastn(`patient=tom&code=tie&max=${max}`).expect(200));
    expect(await of(1)).toEqual(['tie-later']);
    const tied = ['tie-1', 'tie-2', 'tie-3', 'tie-later'];
    expect((await of(2)).sort()).toEqual(tied);
    expect((await of(3)).sort()).toEqual(tied);
    expect(await of(5)).toHaveLength(5);
    expect((await of(5)).at(-1)).toBe('tie-earlier');
  });

  test('the same time is the same instant, however it is written', async () => {
    await observe('zone-1', { codes: ['zone'], at: '2025-03-01T12:00:00+02:00', patient: 'tom' });
    await observe('zone-2', { codes: ['zone'], at: '2025-03-01T10:00:00Z', patient: 'tom' });
    expect(ids(await lastn('patient=tom&code=zone').expect(200))).toHaveLength(2);
  });

  // R4: the table of observations a, b and c, and the groups that they make
  test.each<[string, string[][], number]>([
    ['separate', [['a'], ['b'], ['c']], 3],
    ['partly', [['a'], ['b'], ['a', 'c']], 2],
    ['joined', [['a'], ['b'], ['a', 'b']], 1],
    ['by-others', [['a', 'b'], ['b', 'c'], ['c', 'd'], ['e']], 2],
  ])('groups by code are as told: %s', async (patient, codes, groups) => {
    for (const [n, own] of codes.entries())
      await observe(`${patient}-${n}`, { codes: own, at: `2025-01-0${n + 1}`, patient });
    expect(ids(await lastn(`patient=${patient}&category=vital-signs`).expect(200))).toHaveLength(groups);
  });

  test('text alone groups by the text, codes of another system are others, and so are other subjects', async () => {
    for (const [n, text] of ['textM', 'Text', 't e x t', 'Text'].entries())
      await observe(`text-${n}`, { codes: [], at: '2025-01-01', patient: 'tess', more: { code: { text } } });
    await observe('system', {
      ...{ codes: [], at: '2025-01-02', patient: 'tess' },
      more: { code: { coding: [{ system: 'http://x', code: 'Text' }], text: 'Text' } },
    });
    await observe('other', { codes: ['Text'], at: '2025-01-02', patient: 'tess' });
    const found = ids(await lastn('patient=tess&category=vital-signs').expect(200));
    expect(found.sort()).toEqual(['other', 'system', 'text-0', 'text-1', 'text-2', 'text-3']);
    const both = ids(await lastn('patient=ann,bob&code=8867-4&status=final').expect(200));
    expect(both).toEqual(['bobs', 'rate-7']);
  });

  test('no match is an empty searchset, without an error', async () => {
    const { body } = await lastn('patient=nobody&category=vital-signs').expect(200);
    expect(body).toMatchObject({ resourceType: 'Bundle', type: 'searchset' });
    expect(body.entry).toBeUndefined();
    const [{ relation, url }] = body.link;
    expect([relation, url]).toEqual([
      'self',
      `${app.base}/Observation/$lastn?patient=nobody&category=vital-signs`,
    ]);
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
  const count = { name: 'statistic', valueCode: 'count' };
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
    // at 0.2, 0.4, 0.6 and 0.8 of the seven steps from the least to the greatest
    ['5-1', 4, '/min'],
    ['5-2', 4, '/min'],
    ['5-3', 5, '/min'],
    ['5-4', 6.2, '/min'],
    // cubes of the differences: -27 - 3 + 8 + 64 = 42; fourth powers: 81 + 3 + 16 + 256 = 356; mean square 4
    ['skew', 42 / 8 / 8, '1'],
    ['kurtosis', 356 / 8 / 16, '1'],
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

  test('regression: least squares by days since the period began, as gradient and intercept', async () => {
    // Differences of days 0 to 7 from 3.5 by those of the values from 5: 10.5 + 2.5 + 1.5 + 0.5 + 5 + 14 = 34; the squares of
    // those of the days: 42.
    const { body } = await stats(subject, coding, period, { name: 'statistic', valueCode: 'regression' });
    const [gradient, intercept] = body.parameter[0].resource.component;
    expect([gradient.code.text, intercept.code.text]).toEqual(['gradient', 'intercept']);
    expect(gradient.valueQuantity.value).toBeCloseTo(34 / 42, 9);
    expect(gradient.valueQuantity.code).toBe('(/min)/d');
    expect(intercept.valueQuantity.value).toBeCloseTo(5 - (34 / 42) * 3.5, 9);
    expect(intercept.valueQuantity.code).toBe('/min');
  });

  test('the result says whose it is, of which code and of which time', async () => {
    const { body } = await stats(subject, coding, period, { name: 'statistic', valueCode: 'count' });
    expect(body.parameter).toHaveLength(1);
    expect(body.parameter[0].resource).toMatchObject({
      ...{ subject: { reference: 'Patient/ann' }, code: { coding: [{ system: LOINC, code: '8867-4' }] } },
      effectivePeriod: { start: '2026-01-01', end: '2026-01-31' },
    });
  });

  test('what has no number to give says so', async () => {
    const lone = { name: 'subject', valueUri: 'Patient/bob' };
    const wide = { name: 'period', valuePeriod: { start: '2026-01-01' } };
    const wanted = ['variance', 'skew', 'regression'].map((valueCode) => ({ name: 'statistic', valueCode }));
    const { body } = await stats(lone, coding, wide, ...wanted).expect(200);
    for (const { valueQuantity, dataAbsentReason } of body.parameter[0].resource.component) {
      expect(valueQuantity).toBeUndefined();
      expect(dataAbsentReason.coding[0].code).toBe('not-a-number');
    }
  });

  test('what is measured in several units is not mixed; what is in none of UCUM, or "<5", is not counted', async () => {
    const weigh = (id: string, value: number, unit: string, more: object = {}) =>
      observe(id, { codes: ['29463-7'], at: '2026-01-02', value, unit, patient: 'will', more });
    await weigh('kg-1', 70, 'kg');
    await weigh('kg-2', 72, 'kg');
    await weigh('lb', 150, '[lb_av]', { effectiveDateTime: '2026-01-01' });
    await weigh('below', 5, 'kg', {
      valueQuantity: { value: 5, comparator: '<', system: UCUM, code: 'kg' },
    });
    await weigh('stone', 11, 'kg', { valueQuantity: { value: 11, unit: 'stone' } });
    const { body } = await stats(
      { name: 'subject', valueUri: 'Patient/will' },
      { name: 'coding', valueCoding: { system: LOINC, code: '29463-7' } },
      period,
      ...['average', 'variance', 'count', 'total-count'].map((valueCode) => ({
        ...{ name: 'statistic', valueCode },
      })),
    ).expect(200);
    const rows = body.parameter.map(
      ({ resource }: { resource: { component: { valueQuantity?: { value: number; code: string } }[] } }) =>
        resource.component.map(({ valueQuantity }) => valueQuantity && Object.values(valueQuantity)),
    );
    expect(rows).toEqual([
      [
        [71, 'kg', UCUM, 'kg'],
        [2, 'kg2', UCUM, 'kg2'],
        [2, '1', UCUM, '1'],
        [5, '1', UCUM, '1'],
      ],
      [[150, '[lb_av]', UCUM, '[lb_av]'], undefined, [1, '1', UCUM, '1'], [5, '1', UCUM, '1']],
    ]);
  });

  test('of a panel each part by itself: its components, and its members', async () => {
    const quantity = (value: number) => ({ value, unit: 'mmHg', system: UCUM, code: 'mm[Hg]' });
    const part = (code: string, value: number) => ({
      ...{ code: { coding: [{ system: LOINC, code }] }, valueQuantity: quantity(value) },
    });
    const patient = 'pia';
    await observe('mean-pressure', {
      ...{ codes: ['8478-0'], at: '2026-01-02', value: 93, unit: 'mm[Hg]', patient },
    });
    await observe('pressure-1', {
      ...{ codes: ['85354-9'], at: '2026-01-02', patient },
      more: {
        component: [part('8480-6', 120), part('8462-4', 80)],
        hasMember: [{ reference: 'Observation/mean-pressure' }],
      },
    });
    await observe('pressure-2', {
      ...{ codes: ['85354-9'], at: '2026-01-03', patient },
      more: { component: [part('8480-6', 130), part('8462-4', 90)] },
    });
    const average = async (code: string) => {
      const { body } = await stats(
        { name: 'subject', valueUri: 'Patient/pia' },
        { name: 'coding', valueCoding: { system: LOINC, code } },
        ...[period, { name: 'statistic', valueCode: 'average' }],
      ).expect(200);
      return Object.fromEntries(
        body.parameter.map(({ resource }: { resource: Statistics }) => [
          resource.code.coding[0].code,
          resource.component[0].valueQuantity.value,
        ]),
      );
    };
    expect(await average('85354-9')).toEqual({ '8480-6': 125, '8462-4': 85, '8478-0': 93 });
    expect(await average('8480-6')).toEqual({ '8480-6': 125 });
  });

  test('what a modifier extension may change is left out (R4: it "must be accounted for")', async () => {
    const more = { modifierExtension: [{ url: 'https://example.org/doubtful', valueBoolean: true }] };
    await observe('sure', { codes: ['8867-4'], at: '2026-01-02', value: 60, patient: 'mo' });
    await observe('doubtful', { codes: ['8867-4'], at: '2026-01-02', value: 600, patient: 'mo', more });
    const mo = { name: 'subject', valueUri: 'Patient/mo' };
    const { body } = await stats(mo, coding, period, { name: 'statistic', valueCode: 'maximum' });
    expect(body.parameter[0].resource.component[0].valueQuantity.value).toBe(60);
  });

  test('shows only what the caller may search', async () => {
    const token = await app.app.issueToken({ scope: 'system/Observation.r', client: 'test', minutes: 5 });
    const sent = stats(subject, coding, period, { name: 'statistic', valueCode: 'count' });
    await sent.set('Authorization', `Bearer ${token}`).expect(403);
  });

  test('the observations themselves, where they are asked for', async () => {
    const given = [subject, coding, period, { name: 'statistic', valueCode: 'count' }];
    const { body } = await stats(
      ...given,
      { name: 'include', valueBoolean: true },
      { name: 'limit', valuePositiveInt: 3 },
    ).expect(200);
    expect(body.parameter.filter(({ name }: { name: string }) => name === 'source')).toHaveLength(3);
    // R4: without include, limit is ignored
    const { body: without } = await stats(...given, { name: 'limit', valuePositiveInt: 3 }).expect(200);
    expect(without.parameter).toHaveLength(1);
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
    [[subject, period, { name: 'code', valueString: '8867-4' }, count], /code needs its system/],
    [[subject, coding, period, { name: 'duration', valueDecimal: 24 }, count], /duration.*or a period/],
    [[subject, coding, { name: 'duration', valueDecimal: -1 }, count], /number of hours/],
    [[subject, coding, { name: 'period', valuePeriod: {} }, count], /start, an end, or both/],
    [[{ name: 'subject', valueUri: 'ann' }, coding, period, count], /subject is a reference/],
    [[subject, coding, period, count, { name: 'limit', valuePositiveInt: 0 }], /positiveInt/],
    [[subject, coding, period, count, { name: 'mood', valueString: 'x' }], /no parameter mood/],
    [[subject, subject, coding, period, count], /given 2 times/],
    [[{ name: 'subject', valueString: 'Patient/ann' }, coding, period, count], /valueUri/],
  ])('a call that lacks something, or asks for what there is not, is 400 (%#)', async (parameters, says) => {
    const { body } = await stats(...parameters).expect(400);
    expect(body.issue[0].diagnostics).toMatch(says);
  });
});
