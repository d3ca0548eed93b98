/** `_text` and `_content` (R4 search.html#text): the grammar that the standard shows, over PostgreSQL. */
import { openTestRecords, type TestRecords } from '../support/records.ts';
import { searching } from '../support/searching.ts';

let it: TestRecords;
const { put, set, count } = searching(() => it);

const narrative = (inner: string) => ({
  text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>` },
});

beforeAll(async () => {
  it = await openTestRecords();
  const condition = (more: object) => ({ subject: { reference: 'Patient/p' }, ...more });
  await put('Condition', 'bone', condition(narrative('<p class="span">Deep <b>Bone</b> metastases</p>')));
  await put('Condition', 'liver', condition(narrative('Liver: metastases &amp; f&#xe9;vrier')));
  await put('Condition', 'noted', condition({ note: [{ text: 'Bone healed, Möller said "well-done"' }] }));
  await put('Condition', 'accented', condition({ code: { text: 'Böne' } }));
});
afterAll(() => it.close());

test.each([
  ['_text=bone', 'bone'],
  ['_text=BONE', 'bone'],
  ['_text=bon', ''],
  ['_text=span', ''],
  ['_text=xhtml', ''],
  ['_text=amp', ''],
  ['_text=fevrier', 'liver'],
  ['_text=(bone OR liver) and metastases', 'bone liver'],
  ['_text=bone liver', ''],
  ['_text=bone or liver deep', 'bone'],
  ['_text=metastases not liver', 'bone'],
  ['_text="deep bone"', 'bone'],
  ['_text="bone deep"', ''],
  ['_text=bone,liver', 'bone liver'],
  ['_content=bone', 'accented bone noted'],
  ['_content=moller', 'noted'],
  ['_content=well-done', 'noted'],
  ['_content=done-well', ''],
  ['_content=not bone', 'liver'],
  ['_content=note', ''],
  ['_content=bone&_text=bone', 'bone'],
  ['_content=bone&_sort=-code', 'accented bone noted'],
])('%s: %s', async (query, expected) => {
  const found = expected.split(' ').filter(Boolean);
  expect(await set('Condition', query)).toEqual(found);
  expect(await count('Condition', query)).toBe(found.length);
});
