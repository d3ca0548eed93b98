/** What searches find, by either plan of the store: names by the sections of R4 search.html. */
import { parseSearch } from '../../src/search/parse.ts';
import { BASE_URL, openTestRecords, type TestRecords } from '../support/records.ts';
import { observation, searching } from '../support/searching.ts';

let it: TestRecords;
beforeAll(async () => {
  it = await openTestRecords();
});
afterAll(() => it.close());

const { put, pages, ids, set, count } = searching(() => it);
const loinc = (code: string): object => ({ coding: [{ system: 'http://loinc.org', code }] });

describe('3.1.1.4.6 date: what a prefix means against what the resource says', () => {
  const dates: Record<string, object> = {
    year: { effectiveDateTime: '1990' },
    month: { effectiveDateTime: '1990-06' },
    day: { effectiveDateTime: '1990-06-15' },
    second: { effectiveDateTime: '1990-06-15T12:00:00Z' },
    zone: { effectiveDateTime: '1990-06-16T01:00:00+02:00' },
    open: { effectivePeriod: { start: '1990-06-15' } },
    until: { effectivePeriod: { end: '1990-06-15' } },
    span: { effectivePeriod: { start: '1989-12-31', end: '1991-01-01' } },
    later: { effectiveDateTime: '1991-02-03' },
    none: {},
  };
  beforeAll(async () => {
    for (const [id, date] of Object.entries(dates))
      await put('Observation', `date-${id}`, observation(loinc('date'), date));
  });

  test.each([
    ['1990', 'day month second year zone'],
    ['1990-06', 'day month second zone'],
    ['1990-06-15', 'day second zone'],
    ['1990-06-15T12:00Z', 'second'],
    ['1990-06-15T12:00:00Z', 'second'],
    ['ne1990', 'later open span until'],
    ['ge1990', 'day later month open second span year zone'],
    ['gt1990', 'later open span'],
    ['le1990', 'day month second span until year zone'],
    ['lt1990', 'span until'],
    ['sa1990', 'later'],
    ['sa1990-06-14', 'day later open second zone'],
    ['eb1990', ''],
    ['eb1990-06-16', 'day second until zone'],
    ['ge1990-06-15', 'day later month open second span year zone'],
    ['lt1990-06-15', 'month span until year'],
    ['gt1990-06-15T12:00:00Z', 'day later month open span until year zone'],
    ['1990-06-15,1991-02-03', 'day later second zone'],
    ['sa1990,eb1990-06-16', 'day later second until zone'],
  ])('date=%s finds %s', async (value, expected) => {
    const wanted = expected.split(' ').filter(Boolean);
    const found = await set('Observation', `code=date&date=${encodeURIComponent(value)}`);
    expect(found.map((id) => id.slice(5))).toEqual(wanted);
    expect(await count('Observation', `code=date&date=${encodeURIComponent(value)}`)).toBe(found.length);
  });

  test.each([
    ['lt0001-01-01T00:00:00+10:00', ['date-until']],
    ['eb0001-01-01T00:00:00+14:00', []],
    // What has no beginning began before any date.
    ['ap0185', ['date-until']],
    ['sa9999-12-31T23:59:59-14:00', []],
  ])('date=%s is before or after all years of UTC', async (value, expected) => {
    const query = `status=final&code=date&date=${encodeURIComponent(value)}`;
    expect(await ids('Observation', query)).toEqual(expected);
    expect(await count('Observation', query)).toBe(expected.length);
  });

  test('two parameters must both hold', async () => {
    expect(await set('Observation', 'code=date&date=ge1990-06-15&date=lt1990-07&date=ne1990-06')).toEqual([
      'date-open',
      'date-span',
      'date-year',
    ]);
  });

  test.each(['2021-02-30', '1990-13', 'xx1990', 'ge', '90', '1990-06-15T12', "1990' or 1=1"])(
    'date=%s is refused',
    (value) => {
      expect(() => parseSearch(it.definitions, 'Observation', [['date', value]], BASE_URL)).toThrow(/date/);
    },
  );
});

describe('3.1.1.4.8 token', () => {
  beforeAll(async () => {
    await put(
      'Observation',
      'token-both',
      observation({ coding: [{ system: 'http://a', code: 'x' }, { code: 'y' }] }),
    );
    await put('Observation', 'token-other', observation({ coding: [{ system: 'http://b', code: 'x' }] }));
    await put('Observation', 'token-bare', observation({ coding: [{ code: 'x' }] }));
    await put('Patient', 'token-patient', {
      active: true,
      gender: 'female',
      identifier: [{ system: 'urn:mrn', value: 'A|1,2$3\\4' }],
      telecom: [{ system: 'phone', value: '555-0100' }],
    });
  });

  test.each([
    ['Observation', 'code=x', 'token-bare token-both token-other'],
    ['Observation', 'code=http://a|x', 'token-both'],
    ['Observation', 'code=|x', 'token-bare'],
    ['Observation', 'code=http://b|', 'token-other'],
    ['Observation', 'code=http://b|x,|y', 'token-both token-other'],
    ['Observation', 'code=x&code=y', 'token-both'],
    ['Observation', 'code=http://a|y', ''],
    ['Observation', 'code=http://a|&code=y', 'token-both'],
    ['Observation', 'code=http://a|,http://b|&_sort=_lastUpdated', 'token-both token-other'],
    ['Observation', 'code=x&status=final&_sort=_lastUpdated', 'token-bare token-both token-other'],
    ['Observation', 'code=X', ''],
    ['Patient', 'identifier=urn:mrn|A%5C|1%5C,2%5C$3%5C%5C4', 'token-patient'],
    ['Patient', 'identifier=A%5C|1%5C,2%5C$3%5C%5C4', 'token-patient'],
    ['Patient', 'gender=female&active=true', 'token-patient'],
    ['Patient', 'gender=male,female', 'token-patient'],
    ['Patient', 'phone=555-0100', 'token-patient'],
  ])('%s?%s finds "%s"', async (type, query, expected) => {
    const wanted = expected.split(' ').filter(Boolean);
    expect(await set(type, query)).toEqual(wanted);
    expect(await count(type, query)).toBe(wanted.length);
  });
});

describe('3.1.1.4.5 reference', () => {
  beforeAll(async () => {
    await put('Patient', 'ref-p', {});
    await put('Patient', 'ref-q', {});
    await put('Observation', 'ref-1', observation(loinc('ref'), { subject: { reference: 'Patient/ref-p' } }));
    await put('Observation', 'ref-2', observation(loinc('ref'), { subject: { reference: 'Group/ref-p' } }));
    await put(
      'Observation',
      'ref-3',
      observation(loinc('ref'), { subject: { reference: `${BASE_URL}/Patient/ref-p` } }),
    );
    await put(
      'Observation',
      'ref-4',
      observation(loinc('ref'), { subject: { reference: 'http://elsewhere/fhir/Patient/ref-p' } }),
    );
    await put(
      'Observation',
      'ref-5',
      observation(loinc('ref'), {
        subject: { reference: 'Patient/ref-q' },
        performer: [{ reference: 'Patient/ref-p' }, { reference: 'Practitioner/dr' }],
      }),
    );
    await put(
      'Observation',
      'ref-6',
      observation(loinc('ref'), { subject: { reference: 'Patient/ref-p/_history/1' } }),
    );
  });

  test.each([
    ['patient=ref-p', 'ref-1 ref-3 ref-6'],
    ['patient=Patient/ref-p', 'ref-1 ref-3 ref-6'],
    ['subject=Patient/ref-p', 'ref-1 ref-3 ref-6'],
    ['subject:Patient=ref-p', 'ref-1 ref-3 ref-6'],
    ['subject=ref-p', 'ref-1 ref-2 ref-3 ref-6'],
    ['subject=Group/ref-p', 'ref-2'],
    [`subject=${BASE_URL}/Patient/ref-p`, 'ref-1 ref-3 ref-6'],
    ['subject=http://elsewhere/fhir/Patient/ref-p', 'ref-4'],
    ['performer=Patient/ref-p', 'ref-5'],
    ['performer=dr', 'ref-5'],
    ['patient=ref-p,ref-q', 'ref-1 ref-3 ref-5 ref-6'],
    ['patient=ref-q&performer=Patient/ref-p', 'ref-5'],
    ['patient=nobody', ''],
    ['subject=ref-p&patient=ref-p', 'ref-1 ref-3 ref-6'],
    ['patient=ref-p&patient=ref-q', ''],
    [
      'subject=ref-p,Patient/ref-q,http://elsewhere/fhir/Patient/ref-p',
      'ref-1 ref-2 ref-3 ref-4 ref-5 ref-6',
    ],
  ])('Observation?%s finds "%s"', async (query, expected) => {
    const wanted = expected.split(' ').filter(Boolean);
    for (const more of [
      '',
      '&code=ref',
      '&code=http://loinc.org|ref',
      '&status=final',
      '&_sort=_lastUpdated',
    ])
      expect(await set('Observation', query + more)).toEqual(wanted);
    expect(await count('Observation', query)).toBe(wanted.length);
  });
});

describe('3.1.1.4.7 string: without case and accents, from the beginning', () => {
  beforeAll(async () => {
    await put('Patient', 'name-1', { name: [{ family: 'Søndergaard', given: ['Bjørn', 'Ægir'] }] });
    await put('Patient', 'name-2', { name: [{ text: 'İbrahim YILMAZ' }] });
    await put('Patient', 'name-3', { name: [{ family: 'Παπαδάκης' }, { family: 'Papadakis' }] });
    await put('Patient', 'name-4', { name: [{ family: '王', given: ['秀英'] }] });
    await put('Patient', 'name-5', { name: [{ family: "O'Brien, Jr" }] });
  });

  test.each([
    ['name=sonder', 'name-1'],
    ['name=BJORN', 'name-1'],
    ['name=aeg', 'name-1'],
    ['name=ergaard', ''],
    ['name=ibrahim y', 'name-2'],
    ['name=παπαδ', 'name-3'],
    ['family=papa', 'name-3'],
    ['given=papa', ''],
    ['name=王', 'name-4'],
    ['family=o%27brien%5C, j', 'name-5'],
    ['name=sonder,王', 'name-1 name-4'],
    ['name=sonder&given=bj', 'name-1'],
    ['name=%25', ''],
    ['name=_', ''],
  ])('Patient?%s finds "%s"', async (query, expected) => {
    expect(await set('Patient', query)).toEqual(expected.split(' ').filter(Boolean));
  });
});

describe('3.1.1.3 and 3.1.1.5: order, pages, numbers', () => {
  const all = Array.from({ length: 23 }, (_, i) => `page-${String(i).padStart(2, '0')}`);
  beforeAll(async () => {
    await put('Patient', 'page-p', {});
    // Dates repeat, and some have none: the order must be total all the same.
    for (const [i, id] of all.entries())
      await put(
        'Observation',
        id,
        observation(loinc('page'), {
          subject: { reference: i % 2 ? 'Patient/page-p' : 'Patient/page-q' },
          ...(i % 5 === 4 ? {} : { effectiveDateTime: `2024-01-${String(1 + (i % 4)).padStart(2, '0')}` }),
        }),
      );
  });

  test.each([
    'code=page',
    'code=page,other',
    'code=page&_sort=date',
    'code=page&_sort=-date',
    'code=page&_sort=_lastUpdated',
    'code=page&_sort=-_lastUpdated',
    'code=page&status=final',
    'code=page&patient=page-p,page-q',
    'code=page&patient=page-p,page-q&_sort=_lastUpdated',
    `_id=${all.join(',')}`,
    `_id=${all.join(',')}&_sort=_lastUpdated`,
  ])('each match comes once, on pages of 4: %s', async (query) => {
    const found = await pages('Observation', `${query}&_count=4`);
    expect(found.slice(0, -1).every((page) => page.length === 4)).toBe(true);
    expect(
      found
        .flat()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(all);
    expect(await ids('Observation', `${query}&_count=1000`)).toEqual(found.flat().map(({ id }) => id));
    expect(await count('Observation', query)).toBe(23);
  });

  test("3.1.1.5.1: _sort=date and -date are each other's reverse, and those without a date come last", async () => {
    const up = await ids('Observation', 'code=page&_sort=date');
    const down = await ids('Observation', 'code=page&_sort=-date');
    expect(down.slice(0, -4)).toEqual(up.slice(0, -4).reverse());
    expect(await ids('Observation', 'code=page&_sort=date&_count=4')).toEqual(up);
    expect(up.slice(-4).sort()).toEqual(down.slice(-4).sort());
    expect(down.slice(-4).sort()).toEqual(['page-04', 'page-09', 'page-14', 'page-19']);
  });

  test('_lastUpdated finds by the time of writing, to the millisecond', async () => {
    const { updated } = await it.records.read(it.operator, 'Observation', 'page-07');
    const plus = encodeURIComponent(updated);
    expect(await ids('Observation', `_lastUpdated=${plus}`)).toContain('page-07');
    expect(await ids('Observation', `code=page&_lastUpdated=gt${plus}&_count=100`)).not.toContain('page-07');
    expect(await ids('Observation', `code=page&_lastUpdated=ge${plus}&_count=100`)).toContain('page-07');
    expect(await ids('Observation', `code=page&_lastUpdated=lt${plus}&_count=100`)).not.toContain('page-07');
    expect(await ids('Observation', 'code=page&_lastUpdated=lt2000')).toEqual([]);
  });

  test('a system with more codes than are walked side by side', async () => {
    const codes = Array.from({ length: 25 }, (_, i) => `many-${String(i).padStart(2, '0')}`);
    for (const code of codes)
      await put('Observation', code, observation({ coding: [{ system: 'http://many', code }] }));
    for (const more of ['', '&_sort=_lastUpdated', '&_sort=date', '&status=final'])
      expect(await set('Observation', `code=http://many|${more}&_count=10`)).toEqual(codes);
    expect(await count('Observation', 'code=http://many|')).toBe(25);
    expect(await set('Observation', `code=${codes.join(',')}`)).toEqual(codes);
  });

  test('page links go on from what was dated before year 1 or after 9999 in UTC', async () => {
    const dates = {
      early: '0001-01-01T00:00:00+14:00',
      dawn: '0001-01-01',
      late: '9999-12-31T23:00:00-14:00',
    };
    for (const [id, effectiveDateTime] of Object.entries(dates))
      await put('Observation', id, observation(loinc('edge'), { effectiveDateTime }));
    expect(await ids('Observation', 'code=edge&_count=1')).toEqual(['late', 'dawn', 'early']);
    expect(await ids('Observation', 'code=edge&_count=1&_sort=date')).toEqual(['early', 'dawn', 'late']);
  });

  test('what was deleted, or has changed, is found no more', async () => {
    await put('Observation', 'gone', observation(loinc('gone')));
    await put('Observation', 'moved', observation(loinc('gone')));
    expect(await set('Observation', 'code=gone')).toEqual(['gone', 'moved']);
    await it.records.remove(it.operator, { type: 'Observation', id: 'gone' });
    await put('Observation', 'moved', observation(loinc('elsewhere')));
    expect(await set('Observation', 'code=gone')).toEqual([]);
    expect(await count('Observation', 'code=gone')).toBe(0);
    expect(await set('Observation', 'code=elsewhere')).toEqual(['moved']);
    expect(await set('Observation', '_id=gone')).toEqual([]);
  });
});

describe('what is refused says what is possible', () => {
  test.each([
    ['Patient', 'nmae=x', /did you mean "name"/],
    ['Patient', 'code=x', /no search parameter "code"/],
    ['Patient', 'name:fuzzy=x', /":fuzzy", which it cannot have: possible are :missing, :exact, :contains/],
    ['Patient', 'name:exact:missing=x', /two modifiers/],
    ['Patient', 'name:missing=maybe', /true or false/],
    ['Observation', 'subject:Practitioner.name=x', /cannot lead to Practitioner: possible are/],
    ['Observation', 'code.name=x', /is a chain, and code is no reference but a token/],
    ['Observation', 'subject.shoe=x', /no search parameter "shoe"/],
    ['Observation', '_has:Nothing:target:agent=x', /_has:Type:reference:parameter/],
    ['Observation', 'value-quantity=5|6', /number\|system\|code/],
    ['RiskAssessment', 'probability=low', /must be a number/],
    ['Location', 'near=95|0', /latitude\|longitude\|distance\|units/],
    ['Observation', 'subject=Practitioner/1', /cannot refer to Practitioner: possible are/],
    ['Observation', 'subject=a/b/c', /an id, Type\/id, Type\/id\/_history\/version or a url/],
    ['Observation', 'code=|', /code, system\|code/],
    ['Observation', '_count=ten', /whole number/],
    ['Observation', '_count=1&_count=2', /twice/],
    ['Observation', '_sort=shoe', /cannot be shoe for Observation: possible are .*code/],
    ['Patient', '_sort=date', /cannot be date for Patient: possible are .*birthdate/],
    ['Practitioner', '_sort=date', /cannot be date for Practitioner/],
    ['Observation', '_summary=all', /_summary must be/],
    ['Observation', '__proto__=1', /no search parameter/],
    ['Observation', 'constructor=1', /no search parameter/],
    ['Observation', '_query=x', /names a query, and this server has none/],
  ])('%s?%s', (type, query, says) => {
    const parse = () => parseSearch(it.definitions, type, new URLSearchParams(query), BASE_URL);
    expect(parse).toThrow(says);
  });
});
