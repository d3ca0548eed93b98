/** Searches over several types and of whole compartments (R4 http.html#vsearch, search.html#all-types). */
import type { Bundle } from 'fhir/r4.js';
import { startApp, type TestApp } from '../app.ts';

let app: TestApp;
const put = (type: string, id: string, rest: object) =>
  app
    .send('put', `/${type}/${id}`)
    .type('application/fhir+json')
    .send({ resourceType: type, id, ...rest })
    .expect(201);

beforeAll(async () => {
  app = await startApp();
  const subject = { reference: 'Patient/ann' };
  const code = { coding: [{ system: 'http://s', code: 'c' }] };
  const tag = [{ system: 'http://tags', code: 'red' }];
  await put('Patient', 'ann', { meta: { tag }, name: [{ family: 'Ann' }] });
  await put('Patient', 'bob', {});
  await put('Observation', 'o1', { meta: { tag }, status: 'final', code, subject });
  await put('Condition', 'c1', { meta: { tag }, code, subject });
  await put('Observation', 'o2', { status: 'final', code, subject: { reference: 'Patient/bob' } });
  await put('Organization', 'org', { meta: { tag }, name: 'Org' });
  await put('Condition', 'c2', { subject, code: { text: 'other' } });
});
afterAll(() => app.close());

const get = async (path: string, status = 200): Promise<Bundle> =>
  (await app.send('get', path.replace(app.base, '')).expect(status)).body;
const names = ({ entry = [] }: Bundle) =>
  entry.map(({ resource }) => `${resource?.resourceType}/${resource?.id}`);
const link = (bundle: Bundle, relation: string): string | undefined =>
  bundle.link?.find((one) => one.relation === relation)?.url;

describe('R4 search.html#all-types', () => {
  test.each([
    ['?_type=Observation,Condition', ['Condition/c2', 'Observation/o2', 'Condition/c1', 'Observation/o1']],
    ['?_type=Observation,Condition&patient=ann', ['Condition/c2', 'Condition/c1', 'Observation/o1']],
    ['?_type=Condition,Observation&code=http://s|c&patient=ann', ['Condition/c1', 'Observation/o1']],
    ['?_type=Observation,Condition&code:text=other', ['Condition/c2']],
    ['?_tag=http://tags|red', ['Organization/org', 'Condition/c1', 'Observation/o1', 'Patient/ann']],
    ['?_id=ann,o1', ['Observation/o1', 'Patient/ann']],
    ['?_type=Observation', ['Observation/o2', 'Observation/o1']],
    [
      '?_type=Observation,Condition&_sort=_lastUpdated&patient=ann',
      ['Observation/o1', 'Condition/c1', 'Condition/c2'],
    ],
    [
      '?_type=Observation,Condition&_sort=_id',
      ['Condition/c1', 'Condition/c2', 'Observation/o1', 'Observation/o2'],
    ],
    [
      '?_type=Observation,Condition&_sort=-code,_id&patient=ann',
      ['Condition/c2', 'Condition/c1', 'Observation/o1'],
    ],
    ['/Patient/ann/*', ['Condition/c2', 'Condition/c1', 'Observation/o1', 'Patient/ann']],
    ['/Patient/ann/*?_type=Condition', ['Condition/c2', 'Condition/c1']],
    ['/Patient/ann/%2A?_tag=red', ['Condition/c1', 'Observation/o1', 'Patient/ann']],
    ['/Patient/nobody/*', []],
  ])('%s: newest first', async (query, found) => {
    expect(names(await get(query))).toEqual(found);
    const counted = await get(`${query}${query.includes('?') ? '&' : '?'}_summary=count`);
    expect(counted.total).toBe(found.length);
    const paged: string[] = [];
    for (let url: string | undefined = `${query}${query.includes('?') ? '&' : '?'}_count=1`; url; ) {
      const page = await get(url);
      paged.push(...names(page));
      url = link(page, 'next');
    }
    expect(paged).toEqual(found);
  });

  test('POST [base]/_search is the same', async () => {
    const { body } = await app
      .send('post', '/_search?_type=Observation,Condition')
      .type('form')
      .send({ patient: 'ann', _count: 1 })
      .expect(200);
    expect(link(body, 'self')).toBe(`${app.base}?_type=Observation,Condition&patient=ann&_count=1`);
    expect(names(body)).toEqual(['Condition/c2']);
    expect(names(await get(link(body, 'next') as string))).toEqual(['Condition/c1']);
  });

  test('_include and _revinclude are for all of them, and bring nothing twice', async () => {
    const bundle = await get(
      '?_type=Observation,Condition&patient=ann&_include=Observation:patient&_include=Condition:patient',
    );
    expect(names(bundle).sort()).toEqual(['Condition/c1', 'Condition/c2', 'Observation/o1', 'Patient/ann']);
    const back = await get('?_type=Patient,Organization&_id=ann,org&_revinclude=Condition:patient');
    expect(names(back).sort()).toEqual(['Condition/c1', 'Condition/c2', 'Organization/org', 'Patient/ann']);
  });

  test.each([
    ['?_type=Observation,Condition&status=final', /Condition has no search parameter "status"/],
    ['?_type=Observation,Shoe', /names Shoe, which is no resource type/],
    ['?_type=Patient&_type=Observation', /stands twice/],
    ['?name=x', /has no search parameter "name"/],
    ['?_type=Patient,Observation&_sort=name', /cannot be name for Observation/],
    ['?_type=Patient,Observation&_elements=name', /name/],
    ['/Patient?_type=Patient', /no search parameter "_type"/],
  ])('%s is 400: parameters must be common to all types', async (query, says) => {
    const { body } = await app.send('get', query).expect(400);
    expect(body.issue[0].diagnostics).toMatch(says);
  });

  test('lenient leaves out what one type lacks, for all of them', async () => {
    const { body } = await app
      .send('get', '?_type=Observation,Condition&status=final&patient=ann&shoe=1')
      .set('Prefer', 'handling=lenient')
      .expect(200);
    expect(names(body)).toHaveLength(3);
    expect(link(body, 'self')).toBe(`${app.base}?_type=Observation,Condition&patient=ann`);
  });

  test('_elements of all types', async () => {
    const { entry = [] } = await get('?_type=Observation,Condition&patient=ann&_elements=subject');
    for (const { resource } of entry) {
      expect(resource).toMatchObject({ subject: { reference: 'Patient/ann' } });
      expect(resource?.meta?.tag).toContainEqual(expect.objectContaining({ code: 'SUBSETTED' }));
    }
  });

  test('what the caller may not search is left out, or refused where it is named', async () => {
    const token = await app.app.issueToken({ scope: 'system/Observation.rs', client: 'test', minutes: 5 });
    const ask = (path: string) => app.send('get', path).set('Authorization', `Bearer ${token}`);
    expect(names((await ask('/Patient/ann/*').expect(200)).body)).toEqual(['Observation/o1']);
    expect(names((await ask('?_tag=red').expect(200)).body)).toEqual(['Observation/o1']);
    await ask('?_type=Observation,Condition').expect(403);
    const none = await app.app.issueToken({ scope: 'system/*.r', client: 'test', minutes: 5 });
    await app.send('get', '?_tag=red').set('Authorization', `Bearer ${none}`).expect(403);
  });

  test('HEAD and capabilities', async () => {
    await app.send('head', '?_type=Observation').expect(200);
    const { body } = await app.send('get', '/metadata').expect(200);
    expect(body.rest[0].interaction).toContainEqual({ code: 'search-system' });
  });
});
