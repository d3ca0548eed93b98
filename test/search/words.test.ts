/** `_text` and `_content` (R4 search.html#text): the grammar that the standard shows, over PostgreSQL. */
import { openBeside } from '../support/records.ts';
import { openTestServer, searchingByHttp, type TestServer } from '../support/server.ts';

let it: TestServer;
const { put, set, count } = searchingByHttp(() => it);

const narrative = (inner: string) => ({
  text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>` },
});

beforeAll(async () => {
  it = await openTestServer();
  const condition = (more: object) => ({ subject: { reference: 'Patient/p' }, ...more });
  await put('Condition', 'bone', condition(narrative('<p class="span">Deep <b>Bone</b> metastases</p>')));
  await put('Condition', 'liver', condition(narrative('Liver: metastases &amp; f&#xe9;vrier')));
  await put('Condition', 'noted', condition({ note: [{ text: 'Bone healed, Möller said "well-done"' }] }));
  await put('Condition', 'accented', condition({ code: { text: 'Böne' } }));
});
afterAll(() => it.close());

const TABLE: readonly [query: string, expected: string][] = [
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
];

async function agrees(query: string, expected: string): Promise<void> {
  const found = expected.split(' ').filter(Boolean);
  expect(await set('Condition', query)).toEqual(found);
  expect(await count('Condition', query)).toBe(found.length);
}

const advance = () => it.store.words.advance();
const pending = () => it.store.words.pending();

async function kept(): Promise<void> {
  while (await advance());
}

describe('before the index of words is there', () => {
  test.each(TABLE)('%s: %s', agrees);
});

describe('by the index of words', () => {
  beforeAll(kept);
  test('it has all', async () => expect(await pending()).toEqual([]));
  test.each(TABLE)('%s: %s', agrees);
});

describe('by the index of words, and by what was written since', () => {
  beforeAll(async () => {
    for (const id of ['bone', 'noted']) {
      const { content } = await it.records.read(it.operator, 'Condition', id);
      await put('Condition', id, { subject: { reference: 'Patient/other' } });
      await put('Condition', id, JSON.parse(content as string));
    }
  });
  test('it has some', async () => expect(await pending()).toHaveLength(2));
  test.each(TABLE)('%s: %s', agrees);
});

test('what is new is found, what is changed or deleted is not, before the index has it and afterwards', async () => {
  await kept();
  await put('Condition', 'new', { subject: { reference: 'Patient/p' }, code: { text: 'fracture of bone' } });
  await put('Condition', 'noted', { subject: { reference: 'Patient/p' }, code: { text: 'fracture' } });
  await it.records.remove(it.operator, { type: 'Condition', id: 'accented' });
  for (const _ of [1, 2]) {
    await agrees('_content=bone', 'bone new');
    await agrees('_content=fracture', 'new noted');
    await agrees('_content=fracture&_text=bone', '');
    await kept();
    expect(await pending()).toEqual([]);
  }
});

test('more words than the index holds, and words longer than it keeps', async () => {
  const long = 'x'.repeat(150);
  const texts = Array.from({ length: 100_000 }, (_, i) => `w${i}`).join(' ');
  await put('Condition', 'vast', {
    subject: { reference: 'Patient/p' },
    note: [{ text: `${texts} ${long}y` }],
  });
  await put('Condition', 'long', { subject: { reference: 'Patient/p' }, note: [{ text: `${long}z` }] });
  await kept();
  await agrees('_content=w99999', 'vast');
  await agrees(`_content=${long}z`, 'long');
  await agrees(`_content=${long}`, '');
});

test('two processes keep one index', async () => {
  const other = await openBeside(it);
  for (let i = 0; i < 30; i++)
    await put('Condition', `n${i}`, { subject: { reference: 'Patient/p' }, code: { text: 'numbered' } });
  const keep = async (words: typeof it.store.words): Promise<void> => {
    while ((await words.advance()) || ((await words.pending()) ?? []).length > 0);
  };
  await Promise.all([keep(it.store.words), keep(other.store.words)]);
  expect(await count('Condition', '_content=numbered')).toBe(30);
  await other.close();
});
