/** What shapes the result of a search (R4 search.html#return). */
import { startApp, type TestApp } from '../app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  const entry = Array.from({ length: 25 }, (_, i) => ({
    request: { method: 'PUT', url: `Patient/p${i}` },
    resource: {
      resourceType: 'Patient',
      id: `p${i}`,
      text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">p</div>' },
      gender: i % 2 ? 'male' : 'female',
      name: [{ family: `F${i}` }],
      contact: [{ gender: 'other' }],
    },
  }));
  await app
    .send('post', '/')
    .type('application/fhir+json')
    .send({ resourceType: 'Bundle', type: 'transaction', entry })
    .expect(200);
});
afterAll(() => app.close());

const get = async (query: string, status = 200) =>
  (await app.send('get', `/Patient?${query}`).expect(status)).body;

describe('R4 search.html#total', () => {
  test.each([
    ['', undefined, 20],
    ['_total=none', undefined, 20],
    ['_total=accurate', 25, 20],
    ['_total=estimate', 25, 20],
    ['_count=25', 25, 25],
    ['_total=none&_count=25', 25, 25],
    ['_id=nobody', 0, 0],
    ['_count=0', 25, 0],
    ['_count=0&_total=none', 25, 0],
    ['_count=0&_total=estimate', 25, 0],
    ['_summary=count', 25, 0],
    ['_summary=count&_count=10&_total=none', 25, 0],
    ['gender=male&_count=5', undefined, 5],
    ['gender=male&_count=5&_total=accurate', 12, 5],
    ['family:exact=F7', 1, 1],
    ['family:exact=F7&_total=accurate', 1, 1],
    ['gender:missing=false&_count=5', undefined, 5],
    ['gender:missing=false&_count=5&_total=accurate', 25, 5],
    ['gender:missing=true&_summary=count', 0, 0],
    ['_sort=family&_count=5', undefined, 5],
    ['_sort=family&_count=5&_total=accurate', 25, 5],
    ['_sort=family&_count=0', 25, 0],
    ['_sort=family&_count=30', 25, 25],
  ])('%s: total %s, %i entries', async (query, total, entries) => {
    const body = await get(query);
    expect(body.total).toBe(total);
    expect(body.entry ?? []).toHaveLength(entries);
  });

  test('all pages tell the number that was counted at first', async () => {
    const { body } = await app.send('get', '/Patient?_total=accurate&_count=10').expect(200);
    const next = body.link.find(({ relation }: { relation: string }) => relation === 'next').url;
    const { body: second } = await app.send('get', next.slice(app.base.length)).expect(200);
    expect(second.total).toBe(25);
  });
});

describe('R4 search.html#summary', () => {
  test.each([
    ['true', true, false, false],
    ['text', false, true, false],
    ['data', true, false, true],
    ['false', true, true, true],
  ])('%s: elements of the summary %s, text %s, all others %s', async (summary, short, text, others) => {
    const { resource } = (await get(`_id=p1&_summary=${summary}`)).entry[0];
    expect(resource.gender !== undefined).toBe(short);
    expect(resource.text !== undefined).toBe(text);
    expect(resource.contact !== undefined).toBe(others);
    const tags = (resource.meta.tag ?? []).map(({ code }: { code: string }) => code);
    expect(tags.includes('SUBSETTED')).toBe(summary !== 'false');
  });
});

describe('R4 search.html#contained and others', () => {
  test('_contained=false is what is done', async () => {
    expect((await get('_contained=false&_count=1')).entry).toHaveLength(1);
  });

  test.each([
    ['_contained=yes', 'value', /false, true or both/],
    ['_containedType=contained', 'not-supported', /give _contained/],
    ['_containedType=box', 'value', /container or contained/],
    ['_total=all', 'value', /none, estimate or accurate/],
    ['_query=current', 'not-supported', /names a query/],
    ['_count=-1', 'value', /whole number/],
  ])('%s is 400, with the reason', async (query, code, says) => {
    const { issue } = await get(query, 400);
    expect(issue[0].code).toBe(code);
    expect(issue[0].diagnostics).toMatch(says);
  });

  test('R4 search.html#escaping: an empty value asks for nothing', async () => {
    const { entry, link } = await get('name=&gender=&_sort=&_total=&_count=1&shoe=');
    expect(entry).toHaveLength(1);
    expect(link[0].url).toBe(`${app.base}/Patient?_count=1`);
  });

  test('very long lists come by POST', async () => {
    const ids = Array.from({ length: 1000 }, (_, i) => `p${i}`);
    const { body } = await app
      .send('post', '/Patient/_search')
      .type('form')
      .send({ _id: ids.join(','), _count: 100 })
      .expect(200);
    expect(body.total).toBe(25);
  });
});
