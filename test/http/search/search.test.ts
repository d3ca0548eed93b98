import { randomBytes } from 'node:crypto';
import { startApp, type TestApp } from '../app.ts';

let app: TestApp;
const FHIR = 'application/fhir+json';
const ids: string[] = [];

beforeAll(async () => {
  app = await startApp();
  for (const family of ['Ash', 'Birch', 'Cedar', 'Dogwood', 'Elm']) {
    const patient = { resourceType: 'Patient', name: [{ family }], contact: [{ gender: 'other' }] };
    const { body } = await app.send('post', '/Patient').type(FHIR).send(patient).expect(201);
    ids.push(body.id);
  }
});
afterAll(() => app.close());

const link = (body: { link: { relation: string; url: string }[] }, relation: string) =>
  body.link.find((each) => each.relation === relation)?.url;
const found = (body: { entry?: { resource: { id: string } }[] }) =>
  (body.entry ?? []).map(({ resource }) => resource.id);

describe('R4 http.html#search', () => {
  test('answers a searchset with fullUrl, match and self link', async () => {
    const { body, headers } = await app.send('get', `/Patient?_id=${ids[0]}`).expect(200);
    expect(headers['content-type']).toBe('application/fhir+json; charset=utf-8');
    expect(body).toMatchObject({
      resourceType: 'Bundle',
      type: 'searchset',
      entry: [
        { fullUrl: `${app.base}/Patient/${ids[0]}`, search: { mode: 'match' }, resource: { id: ids[0] } },
      ],
    });
    expect(link(body, 'self')).toBe(`${app.base}/Patient?_id=${ids[0]}`);
    expect(link(body, 'next')).toBeUndefined();
  });

  test('following next gives every match once', async () => {
    const seen: string[] = [];
    let path: string | undefined = '/Patient?_sort=_lastUpdated&_count=2&_format=json';
    while (path !== undefined && seen.length < 10) {
      const { body } = await app.send('get', path).expect(200);
      seen.push(...found(body));
      const next: string | undefined = link(body, 'next');
      path = next?.slice(app.base.length);
      if (next) expect(next).toMatch(/\?_page=[\w-]+&_format=json$/);
    }
    expect(seen).toEqual(ids);
  });

  test('nothing found is a Bundle without entries', async () => {
    const { body } = await app.send('get', '/Patient?_id=nobody').expect(200);
    expect(body.entry).toBeUndefined();
  });

  test('POST to _search takes parameters of the body and the URL', async () => {
    const { body } = await app
      .send('post', `/Patient/_search?_count=10`)
      .type('form')
      .send({ name: 'birch' })
      .expect(200);
    expect(found(body)).toEqual([ids[1]]);
    const links = link(body, 'self');
    expect(links).toBe(`${app.base}/Patient?_count=10&name=birch`);
    await app.send('post', '/Patient/_search').expect(200);
    await app.send('post', '/Patient/_search').type(FHIR).send('{}').expect(415);
    await app.send('post', '/Patient/_search').type('form').send('_format=xml').expect(406);
    await app.send('get', '/Patient/_search').expect(405);
  });

  test('POST to _search: a next link that no GET could follow is refused, saying what to do', async () => {
    const names = Array.from({ length: 300 }, () => randomBytes(30).toString('hex'));
    const find = (count: number, ...more: string[]) =>
      app
        .send('post', '/Patient/_search')
        .type('form')
        .send({ name: [...more, ...names].join(','), _count: count });
    expect(found((await find(2, 'ash', 'elm').expect(200)).body)).toHaveLength(2);
    const { body } = await find(1, 'ash', 'elm').expect(400);
    expect(body.issue[0].code).toBe('too-long');
    expect(body.issue[0].diagnostics).toMatch(/_count/);
    names.length = 120;
    const { body: page } = await find(1, 'ash', 'elm').expect(200);
    const next = await app.send('get', link(page, 'next')!.slice(app.base.length)).expect(200);
    expect(found(next.body)).toHaveLength(1);
  });

  test('#summary: _summary=count has the number and no entries', async () => {
    const { body } = await app.send('get', '/Patient?_summary=count').expect(200);
    expect(body).toMatchObject({ type: 'searchset', total: 5 });
    expect(body.entry).toBeUndefined();
  });

  test('#elements: hold for each entry', async () => {
    const { body } = await app.send('get', '/Patient?_elements=name').expect(200);
    for (const { resource } of body.entry) {
      expect(resource.contact).toBeUndefined();
      expect(resource.meta.tag).toEqual([expect.objectContaining({ code: 'SUBSETTED' })]);
    }
    await app.send('get', '/Patient?_elements=nonsense').expect(400);
  });

  test('HEAD answers headers alone', async () => {
    const { text, headers } = await app.send('head', '/Patient').expect(200);
    expect(text).toBeFalsy();
    expect(Number(headers['content-length'])).toBeGreaterThan(100);
  });
});

describe('long Bundles', () => {
  test('are streamed, packed where asked for, and whole', async () => {
    const family = 'x'.repeat(30_000);
    const entry = Array.from({ length: 60 }, () => ({
      request: { method: 'POST', url: 'Group' },
      resource: { resourceType: 'Group', type: 'person', actual: true, name: family },
    }));
    await app
      .send('post', '/')
      .type(FHIR)
      .send({ resourceType: 'Bundle', type: 'transaction', entry })
      .expect(200);
    for (const encoding of ['identity', 'gzip', 'br']) {
      const answer = await app.send('get', '/Group?_count=100').set('Accept-Encoding', encoding).expect(200);
      expect(answer.headers['content-length']).toBeUndefined();
      expect(answer.headers['content-encoding']).toBe(encoding === 'identity' ? undefined : encoding);
      expect(found(answer.body)).toHaveLength(60);
    }
    const pretty = await app.send('get', '/Group?_count=100&_pretty=true').expect(200);
    expect(pretty.text).toContain('\n  "type": "searchset"');
  });
});
