import { startApp, type TestApp } from './app.ts';

let app: TestApp;
let id: string;
const FHIR = 'application/fhir+json';

beforeAll(async () => {
  app = await startApp();
  const created = await app.send('post', '/Patient').type(FHIR).send({ resourceType: 'Patient' }).expect(201);
  id = created.body.id;
  const patient = { resourceType: 'Patient', id, gender: 'male' };
  await app.send('put', `/Patient/${id}`).type(FHIR).send(patient).expect(200);
  await app.send('delete', `/Patient/${id}`).expect(204);
  await app.send('put', `/Patient/${id}`).type(FHIR).send(patient).expect(201);
  await app
    .send('post', '/Basic')
    .type(FHIR)
    .send({ resourceType: 'Basic', code: { text: 'x' } })
    .expect(201);
});
afterAll(() => app.close());

interface Entry {
  fullUrl: string;
  resource?: { id: string; meta: { versionId: string } };
  request: { method: string; url: string };
  response: { status: string; etag: string; lastModified: string };
}
const link = (body: { link: { relation: string; url: string }[] }, relation: string) =>
  body.link.find((each) => each.relation === relation)?.url;
/** Follows a link to this server. */
const follow = (url: string) => app.send('get', url.slice(app.base.length)).expect(200);

describe('R4 http.html#history', () => {
  test('of an instance: every version, newest first, with what was done', async () => {
    const { body } = await app.send('get', `/Patient/${id}/_history`).expect(200);
    expect(body).toMatchObject({ resourceType: 'Bundle', type: 'history', total: 4 });
    expect(link(body, 'self')).toBe(`${app.base}/Patient/${id}/_history`);
    const entries = body.entry as Entry[];
    expect(entries.map(({ response }) => response.etag)).toEqual(['W/"4"', 'W/"3"', 'W/"2"', 'W/"1"']);
    expect(entries.map(({ request }) => request.method)).toEqual(['POST', 'DELETE', 'PUT', 'POST']);
    expect(entries.map(({ resource }) => resource?.meta.versionId)).toEqual(['4', undefined, '2', '1']);
    expect(new Set(entries.map(({ fullUrl }) => fullUrl))).toEqual(new Set([`${app.base}/Patient/${id}`]));
    for (const { response } of entries) expect(response.lastModified).toMatch(/^\d{4}-.*Z$/);
  });

  test('pages by _count: following next gives every version once', async () => {
    const seen: string[] = [];
    let { body } = await app.send('get', `/Patient/${id}/_history?_count=3`).expect(200);
    for (let pages = 0; pages < 5; pages++) {
      seen.push(...body.entry.map(({ response }: Entry) => response.etag));
      const next = link(body, 'next');
      if (next === undefined) break;
      expect(next).toMatch(/_history\?_page=[\w-]+$/);
      ({ body } = await follow(next));
    }
    expect(seen).toEqual(['W/"4"', 'W/"3"', 'W/"2"', 'W/"1"']);
  });

  test('of a type and of all', async () => {
    const type = await app.send('get', '/Patient/_history').expect(200);
    expect(type.body.entry).toHaveLength(4);
    const all = await app.send('get', '/_history').expect(200);
    expect(all.body.entry).toHaveLength(5);
    const none = await app.send('get', '/Group/_history').expect(200);
    expect(none.body.entry).toBeUndefined();
    await app.send('head', '/_history').expect(200);
  });

  test('_since leaves out what is before', async () => {
    const { body } = await app.send('get', '/_history?_since=2000-01-01T00:00:00Z').expect(200);
    expect(body.entry).toHaveLength(5);
    const future = await app.send('get', '/_history?_since=2100-01-01T00:00:00Z').expect(200);
    expect(future.body.entry).toBeUndefined();
  });

  test('_at gives what was current in that time', async () => {
    const before = await app.send('get', `/Patient/${id}/_history?_at=2000`).expect(200);
    expect(before.body.entry).toBeUndefined();
    const now = new Date().getUTCFullYear();
    const { body } = await app.send('get', `/Patient/${id}/_history?_at=${now}`).expect(200);
    expect(body.entry).toHaveLength(4);
  });

  test('_list gives versions of what the list holds', async () => {
    const list = {
      resourceType: 'List',
      status: 'current',
      mode: 'working',
      entry: [{ item: { reference: `Patient/${id}` } }],
    };
    const { body: made } = await app.send('post', '/List').type(FHIR).send(list).expect(201);
    const { body } = await app.send('get', `/_history?_list=${made.id}`).expect(200);
    expect(body.entry).toHaveLength(4);
  });

  test.each([
    '_count=0',
    '_count=x',
    '_count=1&_count=2',
    '_since=yesterday',
    '_since=2021-02-30',
    '_at=2024&_at=2025',
    '_list=a_b',
    '_sort=_lastUpdated',
    '_page=nonsense',
    '_elements=id',
  ])('%s is 400', async (query) => {
    const { body } = await app.send('get', `/_history?${query}`).expect(400);
    expect(body.resourceType).toBe('OperationOutcome');
  });

  test('_elements and _summary hold for each entry', async () => {
    const { body } = await app.send('get', `/Patient/${id}/_history?_elements=gender`).expect(200);
    expect(body.entry[0].resource).toMatchObject({ gender: 'male', meta: { tag: [{ code: 'SUBSETTED' }] } });
  });

  test('an instance that never was is 404', () => app.send('get', '/Patient/never/_history').expect(404));
});
