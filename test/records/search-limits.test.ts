/** What a search may cost, and who may still see what it found. */
import { parseSearch } from '../../src/search/parse.ts';
import { BASE_URL, openTestRecords, type TestRecords } from '../support/records.ts';
import { revokedMeanwhile } from '../support/revoked.ts';
import { observation, searching } from '../support/searching.ts';

let it: TestRecords;
beforeAll(async () => {
  it = await openTestRecords();
});
afterAll(() => it.close());

const { put, pages, set, count } = searching(() => it);

describe('no search grows beyond what it lists', () => {
  test('many patients and many codes: no statement grows with their product', async () => {
    const twice = { subject: { reference: 'Patient/wide-1' }, effectiveDateTime: '2024-02-01' };
    await put('Patient', 'wide-1', {});
    await put('Patient', 'wide-2', {});
    // Two codes of one list on one resource: found twice, it still comes once.
    const both = { coding: [{ system: 'http://wide', code: 'w1' }, { code: 'w2' }] };
    for (const id of ['wide-a', 'wide-b', 'wide-c']) await put('Observation', id, observation(both, twice));
    const other = { subject: { reference: 'Patient/wide-2' }, effectiveDateTime: '2024-02-02' };
    await put(
      'Observation',
      'wide-d',
      observation({ coding: [{ system: 'http://wide', code: 'w1' }] }, other),
    );
    const codes = Array.from({ length: 19 }, (_, i) => `http://wide|w${i}`).join(',');
    const patients = Array.from({ length: 1000 }, (_, i) => `wide-${i}`);
    const member = patients.map((id) => ({ entity: { reference: `Patient/${id}` } }));
    await put('Group', 'wide', { type: 'person', actual: true, member });
    const query = `code=${codes},|w2&patient=${patients}`;
    const all = ['wide-a', 'wide-b', 'wide-c', 'wide-d'];
    for (const more of [
      '',
      '&status=final',
      '&_sort=_lastUpdated',
      '&_sort=date',
      '&date=ge2024',
      '&_id=wide-a,wide-b,wide-c,wide-d',
    ]) {
      const found = await pages('Observation', `${query}${more}&_count=3`);
      expect(found.map((page) => page.length)).toEqual([3, 1]);
      expect(await set('Observation', `${query}${more}`)).toEqual(all);
      expect(await count('Observation', `${query}${more}`)).toBe(4);
    }
  });

  test('2,000 values, beside codes that are walked side by side', async () => {
    const codes = Array.from({ length: 20 }, (_, i) => `http://many|many-${String(i).padStart(2, '0')}`);
    const dates = Array.from({ length: 990 }, (_, i) => `ne${1000 + i}`);
    const more = `&date=${dates}&date=${dates}`;
    const code = { coding: [{ system: 'http://many', code: 'many-07' }] };
    await put('Observation', 'many', observation(code, { effectiveDateTime: '2024' }));
    expect(await set('Observation', `code=${codes}${more}`)).toEqual(['many']);
    expect(await count('Observation', `code=${codes}${more}`)).toBe(1);
  });

  test('a page ends at 32 MB of contents, and every match still comes once', async () => {
    const data = 'QUJD'.repeat(2_250_000);
    const large = Array.from({ length: 6 }, (_, i) => `large-${i}`);
    for (const id of large) await put('Person', id, { photo: { contentType: 'image/png', data } });
    for (const query of ['_count=1000', '_count=1000&_sort=_lastUpdated', `_count=1000&_id=${large}`]) {
      const found = await pages('Person', query);
      expect(found.map((page) => page.length)).toEqual([4, 2]);
      expect(
        found
          .flat()
          .map(({ id }) => id)
          .sort(),
      ).toEqual(large);
    }
    expect((await pages('Person', '_count=3')).map((page) => page.length)).toEqual([3, 3]);
  });
});

describe('R4 search.html#chaining: a chain that leads to more than are searched for one by one', () => {
  const many = Array.from({ length: 1100 }, (_, i) => `many-${i}`);
  const entriesOf = (type: string, of: (id: string, i: number) => object) =>
    many.map((id, i) => ({
      method: 'PUT' as const,
      type,
      id,
      body: JSON.stringify({ resourceType: type, id, ...of(id, i) }),
    }));

  beforeAll(async () => {
    await put('Practitioner', 'panel', { name: [{ family: 'Panel' }] });
    const generalPractitioner = [{ reference: 'Practitioner/panel' }];
    await it.records.transaction(
      it.operator,
      entriesOf('Patient', () => ({ generalPractitioner, name: [{ family: 'Manyfold' }] })),
    );
    await it.records.transaction(
      it.operator,
      entriesOf('Device', () => ({ owner: { reference: 'Organization/owner' }, status: 'active' })),
    );
    const about = (subject: string, device: string) =>
      observation(
        { text: 'chained' },
        { subject: { reference: subject }, device: { reference: device }, effectiveDateTime: '2024-05-05' },
      );
    await put('Observation', 'chained-a', about('Patient/many-3', 'Device/many-7'));
    await put('Observation', 'chained-b', about('Patient/many-1099', 'Device/many-1099'));
    await put('Observation', 'chained-c', about('Patient/somebody', 'Device/something'));
    await put('Observation', 'chained-d', {
      ...about('Patient/many-3', 'Device/something'),
      status: 'amended',
    });
  });

  test.each([
    ['patient.general-practitioner=Practitioner/panel', 'a b d'],
    ['subject:Patient.name=manyfold', 'a b d'],
    ['patient.general-practitioner=Practitioner/panel&status=amended', 'd'],
    ['patient.general-practitioner=Practitioner/panel&date=lt2024', ''],
    ['patient.general-practitioner=Practitioner/nobody', ''],
    ['device:Device.organization=Organization/owner', 'a b'],
    ['device:Device.organization=Organization/owner&subject:Patient.name=manyfold', 'a b'],
  ])('%s', async (query, expected) => {
    const wanted = expected
      .split(' ')
      .filter(Boolean)
      .map((id) => `chained-${id}`);
    for (const more of ['', '&_sort=_lastUpdated', '&_count=1'])
      expect(await set('Observation', query + more)).toEqual(wanted);
    expect(await count('Observation', query)).toBe(wanted.length);
  });
});

describe('R4 search.html#sort: a walk that is given up after so many rows', () => {
  const dated = (code: string, subject: string, effectiveDateTime: string) =>
    observation(
      { coding: [{ system: 'http://walked', code }] },
      { subject: { reference: `Patient/${subject}` }, effectiveDateTime },
    );

  beforeAll(async () => {
    const generalPractitioner = [{ reference: 'Practitioner/walked' }];
    await put('Practitioner', 'walked', {});
    for (let i = 0; i < 30; i++) await put('Patient', `walked-${i}`, { generalPractitioner });
    await it.records.transaction(
      it.operator,
      Array.from({ length: 2001 }, (_, i) => ({
        method: 'PUT' as const,
        type: 'Observation',
        id: `between-${i}`,
        body: JSON.stringify({
          resourceType: 'Observation',
          id: `between-${i}`,
          ...dated('many', 'somebody', '2024-01-01'),
        }),
      })),
    );
    await put('Observation', 'behind', dated('many', 'walked-3', '2023-01-01'));
    for (const id of ['old-1', 'old-2']) await put('Observation', id, dated('few', 'walked-4', '2020-01-01'));
  });

  test.each([
    'code=http://walked|many,http://walked|few&patient.general-practitioner=Practitioner/walked',
    `code=http://walked|many,http://walked|few&patient=${Array.from({ length: 30 }, (_, i) => `walked-${i}`)}`,
  ])('of several codes takes none before what is newer: %#', async (query) => {
    const found = await pages('Observation', `${query}&_count=1`);
    expect(found.flat().map(({ id }) => id)).toEqual(['behind', 'old-2', 'old-1']);
  });

  test('of many patients, one of whom comes second', async () => {
    const subject = { reference: 'Patient/somebody' };
    const member = [subject, { reference: 'Patient/walked-7' }].map((entity) => ({ entity }));
    await put('Group', 'second', { type: 'person', actual: true, member });
    const patients = Array.from({ length: 30 }, (_, i) => `Patient/walked-${i}`);
    expect(await set('Group', `member=${patients}`)).toEqual(['second']);
  });
});

describe('decision 8: a token revoked while its search is under way', () => {
  beforeAll(() => put('Observation', 'kept', observation({ text: 'kept' })));

  test.each([
    ['with matches', 'Observation', 'status=final'],
    ['of the last updated', 'Observation', '_sort=_lastUpdated'],
    ['without matches', 'Observation', '_id=nobody'],
    ['for the number of matches', 'Observation', '_id=kept&_summary=count'],
    ['with matches and their number', 'Observation', '_id=kept&_total=accurate'],
  ])('a search %s shows nothing', async (_name, type, query) => {
    const request = parseSearch(it.definitions, type, new URLSearchParams(query), BASE_URL);
    await expect(revokedMeanwhile(it, (caller) => it.records.search(caller, request))).rejects.toMatchObject({
      status: 401,
    });
  });
});
