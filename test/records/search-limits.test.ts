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
    for (const id of large)
      await put('Media', id, { status: 'completed', content: { contentType: 'image/png', data } });
    for (const query of ['_count=1000', '_count=1000&_sort=_lastUpdated', `_count=1000&_id=${large}`]) {
      const found = await pages('Media', query);
      expect(found.map((page) => page.length)).toEqual([4, 2]);
      expect(
        found
          .flat()
          .map(({ id }) => id)
          .sort(),
      ).toEqual(large);
    }
    expect((await pages('Media', '_count=3')).map((page) => page.length)).toEqual([3, 3]);
  });

  test.each([
    ['51 parameters', Array.from({ length: 51 }, (_, i) => `code=${i}`).join('&'), /at most 50/],
    ['2,001 values', Array.from({ length: 3 }, () => `code=${'a,'.repeat(667)}`).join('&'), /at most 2000/],
    ['1,001 values of one parameter', `code=${'a,'.repeat(1001)}`, /at most 1000/],
  ])('%s are too-costly, and the limit is named', (_name, query, says) => {
    const parse = () => parseSearch(it.definitions, 'Observation', new URLSearchParams(query), BASE_URL);
    expect(parse).toThrow(says);
    expect(parse).toThrow(
      expect.objectContaining({ status: 400, issues: [expect.objectContaining({ code: 'too-costly' })] }),
    );
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
