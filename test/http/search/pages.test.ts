/** Links between pages (R4 http.html#paging, search.html#count): sealed, and good for who asked. */
import { randomBytes } from 'node:crypto';
import type { Bundle } from 'fhir/r4.js';
import { makeSeal } from '../../../src/http/sealed.ts';
import { startApp, type TestApp } from '../app.ts';

let app: TestApp;
const FHIR = 'application/fhir+json';

beforeAll(async () => {
  app = await startApp();
  const entry = Array.from({ length: 7 }, (_, i) => ({
    request: { method: 'PUT', url: `Patient/p${i}` },
    resource: { resourceType: 'Patient', id: `p${i}`, name: [{ family: `Secret${i}` }], gender: 'male' },
  }));
  await app
    .send('post', '/')
    .type(FHIR)
    .send({ resourceType: 'Bundle', type: 'transaction', entry })
    .expect(200);
});
afterAll(() => app.close());

const get = async (path: string, status = 200): Promise<Bundle> =>
  (await app.send('get', path.replace(app.base, '')).expect(status)).body;
const link = (bundle: Bundle, relation: string): string | undefined =>
  bundle.link?.find((one) => one.relation === relation)?.url;
const ids = (bundle: Bundle) => (bundle.entry ?? []).map(({ resource }) => resource?.id);

describe('R4 http.html#paging', () => {
  test('self, first, previous and next lead forwards and back', async () => {
    const first = await get('/Patient?_sort=_id&_count=3');
    expect(ids(first)).toEqual(['p0', 'p1', 'p2']);
    expect(first.link?.map(({ relation }) => relation)).toEqual(['self', 'first', 'next']);
    const second = await get(link(first, 'next') as string);
    expect(ids(second)).toEqual(['p3', 'p4', 'p5']);
    expect(second.link?.map(({ relation }) => relation)).toEqual(['self', 'first', 'previous', 'next']);
    expect(link(second, 'first')).toBe(`${app.base}/Patient?_sort=_id&_count=3`);
    const third = await get(link(second, 'next') as string);
    expect(ids(third)).toEqual(['p6']);
    expect(third.link?.map(({ relation }) => relation)).toEqual(['self', 'first', 'previous']);
    expect(ids(await get(link(third, 'self') as string))).toEqual(['p6']);
    const back = await get(link(third, 'previous') as string);
    expect(ids(back)).toEqual(['p3', 'p4', 'p5']);
    const start = await get(link(back, 'previous') as string);
    expect(ids(start)).toEqual(['p0', 'p1', 'p2']);
    expect(link(start, 'previous')).toBeUndefined();
    expect(ids(await get(link(start, 'next') as string))).toEqual(['p3', 'p4', 'p5']);
  });

  test('one page has no links to others', async () => {
    const { link: links } = await get('/Patient?_count=7');
    expect(links?.map(({ relation }) => relation)).toEqual(['self']);
  });

  test('what has changed since the first page comes at the end, once', async () => {
    const first = await get('/Patient?gender=male&_sort=_id&_count=3');
    await app
      .send('put', '/Patient/p1')
      .type(FHIR)
      .send({ resourceType: 'Patient', id: 'p1', name: [{ family: 'Changed' }], gender: 'male' });
    await app
      .send('put', '/Patient/p5')
      .type(FHIR)
      .send({ resourceType: 'Patient', id: 'p5', name: [{ family: 'Changed' }], gender: 'female' });
    const seen: unknown[] = [];
    let page = first;
    for (let next = link(first, 'next'); next; next = link(page, 'next')) {
      page = await get(next);
      seen.push(...ids(page));
    }
    expect(seen).toEqual(['p3', 'p4', 'p6', 'p1']);
    expect(ids(await get(link(page, 'previous') as string))).toContain('p6');
  });

  test('a link shows nothing of what was asked, and knows its own path', async () => {
    const next = link(await get('/Patient?family=secret&_count=2'), 'next') as string;
    expect(next).toMatch(/\/Patient\?_page=[\w-]+$/);
    const [, page = ''] = next.split('_page=');
    expect(Buffer.from(page, 'base64url').toString('latin1')).not.toMatch(/secret/i);
    await get(`/Observation?_page=${page}`, 400);
    await get(`/Patient/_history?_page=${page}`, 400);
    await get(`/Patient?_page=${page}&gender=male`, 400);
    await get(`/Patient?_page=${page}&_format=json&_pretty=true`);
    expect((await get(`/Patient?_page=${page}&_count=1`)).entry).toHaveLength(1);
    await get(`/Patient?_page=${page}&_count=x`, 400);
    await get(`/Patient?_page=${page}&_count=1&_count=2`, 400);
  });

  test('it is useless to anyone else: 403', async () => {
    const next = link(await get('/Patient?_count=2'), 'next') as string;
    const token = await app.app.issueToken({ scope: 'system/*.cruds', client: 'other', minutes: 5 });
    const { body } = await app
      .send('get', next.slice(app.base.length))
      .set('Authorization', `Bearer ${token}`)
      .expect(403);
    expect(body.issue[0].diagnostics).toMatch(/another access token: begin again/);
  });

  test.each(['', 'AA', 'nonsense', 'A'.repeat(300), '%00', '*'])(
    'the damaged link "%s" is 400',
    async (text) => {
      const { body } = await app.send('get', `/Patient?_page=${text}x`).expect(400);
      expect(body.issue[0].diagnostics).toMatch(/damaged: begin again/);
    },
  );

  test('one bit of it that is changed damages it', async () => {
    const [url = '', page = ''] = (link(await get('/Patient?_count=2'), 'next') as string).split('_page=');
    const bytes = Buffer.from(page, 'base64url');
    for (const at of [0, 1, 12, 13, 40, bytes.length - 1]) {
      const other = Buffer.from(bytes);
      other[at] = (other[at] as number) ^ 1;
      await get(`${url}_page=${other.toString('base64url')}`, 400);
    }
  });

  test('the first page by POST, the others by GET', async () => {
    const { body } = await app
      .send('post', '/Patient/_search')
      .type('form')
      .send({ _id: Array.from({ length: 900 }, (_, i) => `p${i}`).join(','), _count: 4 })
      .expect(200);
    const second = await get(link(body, 'next') as string);
    expect(new Set([...ids(body), ...ids(second)]).size).toBe(7);
  });

  test('pages of a search within a Bundle are those of the search', async () => {
    const ask = async (url: string): Promise<Bundle> => {
      const { body } = await app
        .send('post', '/')
        .type(FHIR)
        .send({ resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url } }] })
        .expect(200);
      return body.entry[0].resource;
    };
    const first = await ask('Patient?_sort=_id&_count=5');
    const next = link(first, 'next') as string;
    expect(ids(await get(next))).toEqual(['p5', 'p6']);
    expect(ids(await ask(next))).toEqual(['p5', 'p6']);
    const several = await ask('?_type=Patient,Observation&_count=1');
    expect(link(several, 'self')).toBe(`${app.base}?_type=Patient,Observation&_count=1`);
    expect(ids(await get(link(several, 'next') as string))).toHaveLength(1);
  });
});

describe('the seal', () => {
  const state = { parameters: [['name', 'x']] as const, after: 'y', path: 'Patient' };

  test('holds for a day: 410 afterwards', () => {
    let now = 0;
    const seal = makeSeal(randomBytes(32), () => now);
    const text = seal.close(1, state);
    now = 86_399_000;
    expect(seal.open(1, 'Patient', text)).toEqual(state);
    now = 86_401_000;
    expect(() => seal.open(1, 'Patient', text)).toThrow(expect.objectContaining({ status: 410 }));
  });

  test('is that of one database', () => {
    const text = makeSeal(randomBytes(32)).close(1, state);
    expect(() => makeSeal(randomBytes(32)).open(1, 'Patient', text)).toThrow(/damaged/);
  });

  test('long states are packed', () => {
    const seal = makeSeal(randomBytes(32));
    const long = { ...state, parameters: [['_id', 'abc,'.repeat(5000)]] as const };
    expect(seal.close(1, long).length).toBeLessThan(500);
    expect(seal.open(1, 'Patient', seal.close(1, long))).toEqual(long);
  });
});
