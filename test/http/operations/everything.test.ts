import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startApp, type TestApp } from '../app.ts';

const FHIR = 'application/fhir+json';
const ROOT = join(import.meta.dirname, '../../..');

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
  for (const file of ['00-organizations', '10-lopez', '12-sondergaard'])
    await app
      .send('post', '/')
      .type(FHIR)
      .send(readFileSync(join(ROOT, `fixtures/${file}.json`), 'utf8'))
      .expect(200);
});
afterAll(() => app.close());

interface Entry {
  readonly fullUrl: string;
  readonly resource: { readonly resourceType: string; readonly id: string; readonly data?: string };
  readonly search: { readonly mode: string };
}
interface Answer {
  readonly type: string;
  readonly link: { readonly relation: string; readonly url: string }[];
  readonly entry?: Entry[];
}

const put = (resource: {
  readonly resourceType: string;
  readonly id: string;
  readonly [name: string]: unknown;
}) => app.send('put', `/${resource.resourceType}/${resource.id}`).type(FHIR).send(resource).expect(201);
const get = async (path: string): Promise<Answer> => (await app.send('get', path).expect(200)).body;
const names = ({ entry = [] }: Answer, mode?: string): string[] =>
  entry
    .filter(({ search }) => mode === undefined || search.mode === mode)
    .map(({ resource }) => `${resource.resourceType}/${resource.id}`)
    .sort();
const next = ({ link }: Answer): string | undefined =>
  link.find(({ relation }) => relation === 'next')?.url.slice(app.base.length);

/** A patient of few words, with a name of its own for each test. */
async function chart(own: string): Promise<void> {
  const subject = { reference: `Patient/${own}` };
  const code = { text: 'x' };
  await put({ resourceType: 'Organization', id: `${own}-whole` });
  await put({
    resourceType: 'Organization',
    id: `${own}-part`,
    partOf: { reference: `Organization/${own}-whole` },
  });
  await put({
    resourceType: 'Patient',
    id: own,
    managingOrganization: { reference: `Organization/${own}-part` },
  });
  await put({ resourceType: 'Patient', id: `${own}-mother` });
  await put({
    resourceType: 'Encounter',
    id: `${own}-visit`,
    status: 'finished',
    class: { code: 'AMB' },
    subject,
    period: { start: '2020-05-01', end: '2020-05-03' },
  });
  await put({
    resourceType: 'Observation',
    id: `${own}-old`,
    status: 'final',
    code,
    subject,
    encounter: { reference: `Encounter/${own}-visit` },
    effectiveDateTime: '2020-05-02',
    focus: [{ reference: `Patient/${own}-mother` }],
  });
  await put({
    resourceType: 'Observation',
    id: `${own}-new`,
    status: 'final',
    code,
    subject,
    effectiveDateTime: '2024-05-02',
    hasMember: [{ reference: `Observation/${own}-old` }],
  });
  await put({ resourceType: 'Observation', id: `${own}-undated`, status: 'final', code, subject });
  // in the compartment by a participant, not by a parameter `patient` alone
  await put({
    resourceType: 'Group',
    id: `${own}-family`,
    type: 'person',
    actual: true,
    member: [{ entity: subject }, { entity: { reference: `Patient/${own}-mother` } }],
  });
}

describe('R4 patient-operation-everything', () => {
  test('has what a search in the compartment has, for each type, and nothing twice', async () => {
    const all = await get('/Patient/maria-lopez/$everything');
    expect(all.type).toBe('searchset');
    expect(new Set(names(all)).size).toBe(names(all).length);
    const found: string[] = [];
    for (const type of app.app.definitions.resourceTypes) {
      // The audit trail, and what is made of it, is about the record, and no part of it.
      if (type === 'AuditEvent' || type === 'Provenance') continue;
      if (type !== 'Patient' && app.app.definitions.compartment('Patient', type).length === 0) continue;
      found.push(...names(await get(`/Patient/maria-lopez/${type}?_count=1000`)));
    }
    expect(names(all, 'match')).toEqual(found.sort());
    expect(found.length).toBeGreaterThan(20);
    for (const { fullUrl, resource } of all.entry ?? [])
      expect(fullUrl).toBe(`${app.base}/${resource.resourceType}/${resource.id}`);
  });

  test('brings what these refer to, and of that what it refers to in turn, but of nobody else', async () => {
    await chart('whole');
    const all = await get('/Patient/whole/$everything');
    expect(names(all, 'match')).toEqual([
      'Encounter/whole-visit',
      'Group/whole-family',
      'Observation/whole-new',
      'Observation/whole-old',
      'Observation/whole-undated',
      'Patient/whole',
    ]);
    expect(names(all, 'include')).toEqual(['Organization/whole-part', 'Organization/whole-whole']);
    expect(all.link).toEqual([{ relation: 'self', url: `${app.base}/Patient/whole/$everything` }]);
  });

  test('includes binaries, with their bytes', async () => {
    const all = await get('/Patient/bjorn-sondergaard/$everything');
    const binaries = (all.entry ?? []).filter(({ resource }) => resource.resourceType === 'Binary');
    expect(binaries.length).toBeGreaterThan(0);
    for (const { resource } of binaries) expect(resource.data?.length).toBeGreaterThan(100);
  });

  test('start and end are dates of care: what has none stays, and what is referred to comes along', async () => {
    await chart('dated');
    const late = await get('/Patient/dated/$everything?start=2021-01-01');
    expect(names(late, 'match')).toEqual([
      'Group/dated-family',
      'Observation/dated-new',
      'Observation/dated-undated',
      'Patient/dated',
    ]);
    expect(names(late, 'include')).toContain('Observation/dated-old');
    const early = await get('/Patient/dated/$everything?start=2020-05-03&end=2020');
    expect(names(early, 'match')).toEqual([
      'Encounter/dated-visit',
      'Group/dated-family',
      'Observation/dated-undated',
      'Patient/dated',
    ]);
  });

  test('_since is the time of the record, of what is referred to as well', async () => {
    await chart('since');
    const { headers } = await app.send('get', '/Observation/since-new').expect(200);
    await new Promise((resolve) => setTimeout(resolve, 1100 - (Date.now() % 1000)));
    const since = new Date().toISOString();
    await app
      .send('put', '/Organization/since-whole')
      .type(FHIR)
      .send({ resourceType: 'Organization', id: 'since-whole', name: 'New' })
      .expect(200);
    expect(Date.parse(headers['last-modified'] as string)).toBeLessThan(Date.parse(since));
    const changed = await get(`/Patient/since/$everything?_since=${since}`);
    expect(names(changed)).toEqual(['Organization/since-whole']);
  });

  test('_type takes several, apart by commas or repeated', async () => {
    await chart('typed');
    const some = ['Encounter/typed-visit', 'Organization/typed-part', 'Organization/typed-whole'];
    expect(names(await get('/Patient/typed/$everything?_type=Encounter,Organization'))).toEqual(some);
    expect(names(await get('/Patient/typed/$everything?_type=Encounter&_type=Organization'))).toEqual(some);
  });

  test('_count makes pages, which together have everything once', async () => {
    await chart('paged');
    const all = names(await get('/Patient/paged/$everything'));
    for (const count of [1, 3, 7, 8, 50]) {
      const seen: string[] = [];
      for (let path: string | undefined = `/Patient/paged/$everything?_count=${count}`; path; ) {
        const page: Answer = await get(path);
        expect(page.entry?.length).toBeLessThanOrEqual(count);
        seen.push(...names(page));
        path = next(page);
      }
      expect(seen.sort()).toEqual(all);
    }
  });

  test('by POST with Parameters, whose links can be followed by GET', async () => {
    await chart('posted');
    const parameter = [
      { name: '_type', valueCode: 'Observation' },
      { name: '_count', valueInteger: 2 },
      { name: 'end', valueDate: '2030' },
    ];
    const { body } = await app
      .send('post', '/Patient/posted/$everything')
      .type(FHIR)
      .send({ resourceType: 'Parameters', parameter })
      .expect(200);
    expect(names(body)).toHaveLength(2);
    expect(names(await get(next(body) as string))).toHaveLength(1);
    await app.send('post', '/Patient/posted/$everything').expect(200);
  });

  test('R4 http.html#paging: pages are linked by sealed links, good for one access token and one place', async () => {
    await chart('sealed');
    const path = '/Patient/sealed/$everything';
    const first = await get(`${path}?_count=2&_type=Observation`);
    const relations = ({ link }: Answer) => link.map(({ relation }) => relation);
    expect(relations(first)).toEqual(['self', 'first', 'next']);
    expect(next(first)).toMatch(/^\/Patient\/sealed\/\$everything\?_page=[\w-]+$/);
    const second = await get(next(first) as string);
    expect(relations(second)).toEqual(['self', 'first']);
    expect(second.link[1]?.url).toBe(`${app.base}${path}?_count=2&_type=Observation`);
    expect(names(await get(second.link[0]?.url.slice(app.base.length) as string))).toEqual(names(second));
    const token = await app.app.issueToken({ scope: 'system/*.rs', client: 'test', minutes: 5 });
    const link = next(first) as string;
    await app.send('get', link).set('Authorization', `Bearer ${token}`).expect(403);
    await app.send('get', link.replace('sealed', 'maria-lopez')).expect(400);
    await app.send('get', `${link}&_type=Patient`).expect(400);
  });

  test('has no cap and no duplicate with more than 5,000 resources, in one Bundle and by pages', async () => {
    const subject = { reference: 'Patient/many' };
    await put({ resourceType: 'Patient', id: 'many' });
    await put({ resourceType: 'Organization', id: 'many-lab' });
    for (let from = 0; from < 5200; from += 1300) {
      const entry = Array.from({ length: 1300 }, (_, n) => ({
        resource: {
          ...{ resourceType: 'Observation', id: `many-${from + n}`, status: 'final', subject },
          ...{ code: { text: 'x' }, performer: [{ reference: 'Organization/many-lab' }] },
        },
        request: { method: 'PUT', url: `Observation/many-${from + n}` },
      }));
      await app
        .send('post', '/')
        .type(FHIR)
        .send({ resourceType: 'Bundle', type: 'transaction', entry })
        .expect(200);
    }
    const all = names(await get('/Patient/many/$everything'));
    expect(new Set(all).size).toBe(5202);
    expect(all).toHaveLength(5202);
    const seen: string[] = [];
    for (let path: string | undefined = '/Patient/many/$everything?_count=2000'; path; ) {
      const page: Answer = await get(path);
      seen.push(...names(page));
      path = next(page);
    }
    expect(seen.sort()).toEqual(all);
  });

  test('nobody is shown what is deleted', async () => {
    await chart('less');
    await app.send('delete', '/Observation/less-new').expect(204);
    await app.send('delete', '/Organization/less-part').expect(204);
    const all = await get('/Patient/less/$everything');
    expect(names(all)).not.toContain('Observation/less-new');
    expect(names(all, 'include')).toEqual([]);
  });

  test('cannot be an entry of a Bundle, which is told', async () => {
    const entry = [
      { request: { method: 'GET', url: 'Patient/maria-lopez/$everything' } },
      { request: { method: 'POST', url: 'Patient/maria-lopez/$everything' } },
      { request: { method: 'GET', url: 'Patient/maria-lopez' } },
    ];
    const send = (type: string, entries: object[]) =>
      app.send('post', '/').type(FHIR).send({ resourceType: 'Bundle', type, entry: entries });
    const { body } = await send('batch', entry).expect(200);
    const [first, second, third] = body.entry;
    for (const { response } of [first, second]) {
      expect(response.status).toMatch(/^400/);
      expect(response.outcome.issue[0].diagnostics).toMatch(
        /\$everything is called by itself, not in a Bundle/,
      );
    }
    expect(third.response.status).toMatch(/^200/);
    await send('transaction', entry).expect(400);
  });

  test('of all patients, where none is named', async () => {
    await chart('all');
    const all = names(await get('/Patient/$everything'));
    expect(new Set(all).size).toBe(all.length);
    for (const own of names(await get('/Patient/all/$everything'))) expect(all).toContain(own);
    for (const own of names(await get('/Patient/maria-lopez/$everything'))) expect(all).toContain(own);
    const seen: string[] = [];
    for (let path: string | undefined = '/Patient/$everything?_count=50'; path; ) {
      const page: Answer = await get(path);
      seen.push(...names(page));
      path = next(page);
    }
    expect(seen.sort()).toEqual(all);
  });

  test.each([
    ['/Patient/nobody/$everything', 404],
    ['/Patient/maria-lopez/$everything?start=yesterday', 400],
    ['/Patient/maria-lopez/$everything?start=2020&start=2021', 400],
    ['/Patient/maria-lopez/$everything?_since=2020-01-01', 400],
    ['/Patient/maria-lopez/$everything?_type=Observaton', 400],
    ['/Patient/maria-lopez/$everything?_count=0', 400],
    ['/Patient/maria-lopez/$everything?code=x', 400],
    ['/Patient/maria-lopez/$everything?_page=x', 400],
    ['/Observation/1/$everything', 404],
    ['/Patient/maria-lopez/$nonsense', 404],
    ['/Patient/maria-lopez/$everything?end=2020-13', 400],
    ['/Patient/maria-lopez/$everything?_count=many', 400],
    ['/Patient/$match', 404],
    ['/$everything', 404],
  ])('%s is %i', async (path, status) => {
    const { body } = await app.send('get', path).expect(status);
    expect(body.issue[0].diagnostics).toBeTruthy();
  });

  test('a deleted patient is 410', async () => {
    await put({ resourceType: 'Patient', id: 'gone' });
    await app.send('delete', '/Patient/gone').expect(204);
    await app.send('get', '/Patient/gone/$everything').expect(410);
  });

  test('shows only types that the access token allows', async () => {
    await chart('little');
    const read = async (scope: string, path: string, status = 200) => {
      const token = await app.app.issueToken({ scope, client: 'test', minutes: 5 });
      return app.send('get', path).set('Authorization', `Bearer ${token}`).expect(status);
    };
    const { body } = await read('system/Patient.rs system/Observation.rs', '/Patient/little/$everything');
    expect(new Set(names(body).map((name) => name.split('/')[0]))).toEqual(
      new Set(['Patient', 'Observation']),
    );
    // What is only referred to need not be searched, but read.
    const referred = 'system/Patient.rs system/Observation.rs system/Organization.';
    const whole = await read(`${referred}r`, '/Patient/little/$everything');
    expect(names(whole.body, 'include')).toEqual(['Organization/little-part', 'Organization/little-whole']);
    const searched = await read(`${referred}s`, '/Patient/little/$everything');
    expect(names(searched.body, 'include')).toEqual([]);
    const visit = await read('system/Encounter.rs', '/Encounter/little-visit/$everything');
    expect(names(visit.body)).toEqual(['Encounter/little-visit']);
    await read('system/Observation.rs', '/Patient/little/$everything', 403);
    await read('system/Patient.rs', '/Patient/little/$everything?_type=Observation', 403);
    await read('system/Patient.r', '/Patient/$everything', 403);
  });
});

describe('R4 encounter-operation-everything', () => {
  test('has the encounter, what refers to it, and what these need: the patient, but nobody else', async () => {
    await chart('met');
    const all = await get('/Encounter/met-visit/$everything');
    expect(names(all, 'match')).toEqual(['Encounter/met-visit', 'Observation/met-old']);
    expect(names(all, 'include')).toEqual(['Patient/met']);
    const typed = await get('/Encounter/met-visit/$everything?_type=Observation');
    expect(names(typed)).toEqual(['Observation/met-old']);
    await app.send('get', '/Encounter/met-visit/$everything?start=2020').expect(400);
    await app.send('get', '/Encounter/$everything').expect(404);
  });

  test('has what refers to it by any element, an extension too', async () => {
    await chart('linked');
    const url = 'http://hl7.org/fhir/StructureDefinition/encounter-associatedEncounter';
    const valueReference = { reference: 'Encounter/linked-visit' };
    await put({
      resourceType: 'Goal',
      id: 'linked-goal',
      lifecycleStatus: 'active',
      description: { text: 'x' },
      subject: { reference: 'Patient/linked' },
      extension: [{ url, valueReference }],
    });
    expect(names(await get('/Encounter/linked-visit/$everything'), 'match')).toContain('Goal/linked-goal');
  });
});
