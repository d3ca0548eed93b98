/** Histories at the door: pages, bounds and who may still see them (R4 http.html#history). */
import { rangeOf } from '../../src/fhir/date.ts';
import type { HistoryEntry, HistoryRequest } from '../../src/records/records.ts';
import { openTestRecords, type TestRecords } from '../support/records.ts';
import { revokedMeanwhile } from '../support/revoked.ts';

let it: TestRecords;
beforeAll(async () => {
  it = await openTestRecords();
});
afterAll(() => it.close());

async function pages(request: HistoryRequest): Promise<HistoryEntry[][]> {
  const found: HistoryEntry[][] = [];
  for (let after: string | undefined, first = true; first || after; first = false) {
    const page = await it.records.history(it.operator, { ...request, after });
    found.push([...page.entries]);
    after = page.next;
  }
  return found;
}

const basic = (id: string): string => JSON.stringify({ resourceType: 'Basic', id, code: { text: id } });

test('_since and _at in the first hours of year 1, which are in no year of UTC, find all and nothing', async () => {
  await it.records.update(it.operator, { type: 'Basic', id: 'old' }, basic('old'));
  const { low, high } = rangeOf('0001-01-01T00:00:00+14:00');
  const since = await it.records.history(it.operator, { type: 'Basic', id: 'old', count: 10, since: low });
  expect(since.entries).toHaveLength(1);
  const at = await it.records.history(it.operator, {
    type: 'Basic',
    id: 'old',
    count: 10,
    at: { low, high },
  });
  expect(at.entries).toEqual([]);
});

test('a page ends at 32 MB of contents, and every version still comes once', async () => {
  const photo = { contentType: 'image/png', data: 'QUJD'.repeat(2_250_000) };
  const person = JSON.stringify({ resourceType: 'Person', id: 'large', photo });
  for (let version = 1; version <= 6; version++)
    await it.records.update(it.operator, { type: 'Person', id: 'large' }, person);
  await it.records.remove(it.operator, { type: 'Person', id: 'large' });
  const versions = async (request: HistoryRequest) =>
    (await pages(request)).map((page) => page.map(({ version }) => version));
  // The content that fills the page still stands on it.
  const expected = [
    [7, 6, 5, 4, 3],
    [2, 1],
  ];
  expect(await versions({ type: 'Person', id: 'large', count: 100 })).toEqual(expected);
  expect(await versions({ type: 'Person', id: 'large', count: 2 })).toEqual([[7, 6], [5, 4], [3, 2], [1]]);
  expect(await versions({ type: 'Person', count: 1000 })).toEqual(expected);
});

test.each([
  ['of a type', { type: 'Basic', count: 10 }],
  ['of an instance', { type: 'Basic', id: 'kept', count: 10 }],
  ['of all, without entries', { count: 10, since: Date.parse('2100-01-01') }],
  ['of what never was', { type: 'Basic', id: 'never', count: 10 }],
])('a token revoked while the history %s is read shows nothing', async (_name, request) => {
  await it.records.update(it.operator, { type: 'Basic', id: 'kept' }, basic('kept'));
  await expect(revokedMeanwhile(it, (caller) => it.records.history(caller, request))).rejects.toMatchObject({
    status: 401,
  });
});
