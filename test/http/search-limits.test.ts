/** What a search may cost: bounds in time, length and depth, each told with what to do (R4 search.html, http.html). */
import pg from 'pg';
import { startApp, type TestApp } from './app.ts';

let app: TestApp;
const FHIR = 'application/fhir+json';

beforeAll(async () => {
  app = await startApp({ SEARCH_TIMEOUT: '300' });
});
afterAll(() => app.close());

test('a search that takes too long is 503 with Retry-After and advice, and holds nothing up afterwards', async () => {
  const other = new pg.Client({ connectionString: app.app.pool.options.connectionString });
  await other.connect();
  try {
    // What a search waits for, it waits for in its statement.
    await other.query('begin; lock table timeline in access exclusive mode');
    const began = Date.now();
    const { body, headers } = await app.send('get', '/Patient?gender=male').expect(503);
    expect(Date.now() - began).toBeLessThan(5000);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(body).toMatchObject({
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'error', code: 'timeout', diagnostics: expect.stringMatching(/narrow/) }],
    });
    expect(JSON.stringify(body)).not.toMatch(/timeline|select/i);
  } finally {
    await other.query('rollback');
    await other.end();
  }
  await app.send('get', '/Patient?gender=male').expect(200);
});

test('10,000 ids by POST are quickly found, all on one page where no link could lead to the next', async () => {
  const ids = Array.from(
    { length: 10_000 },
    (_, i) => `0193f5a0-0000-7000-8000-${String(i).padStart(12, '0')}`,
  );
  const entry = ids.slice(0, 1500).map((id) => ({
    resource: { resourceType: 'Patient', id },
    request: { method: 'PUT', url: `Patient/${id}` },
  }));
  await app
    .send('post', '/')
    .type(FHIR)
    .send({ resourceType: 'Bundle', type: 'transaction', entry })
    .expect(200);
  const find = (form: object) => app.send('post', '/Patient/_search').type('form').send(form);
  const began = Date.now();
  const { body } = await find({ _id: ids.join(',') }).expect(200);
  expect(body.entry).toHaveLength(1500);
  expect(Date.now() - began).toBeLessThan(3000);
  expect((await find({ _id: ids.slice(1000).join(',') }).expect(200)).body.entry).toHaveLength(500);
  expect((await find({ _id: ids.join(','), _summary: 'count' }).expect(200)).body.total).toBe(1500);
  const references = await app
    .send('post', '/Observation/_search')
    .type('form')
    .send({ subject: ids.map((id) => `Patient/${id}`).join(',') })
    .expect(200);
  expect(references.body.entry).toBeUndefined();
  // A number that was asked for is kept to.
  const { body: refused } = await find({ _id: ids.join(','), _count: 100 }).expect(400);
  expect(refused.issue[0].diagnostics).toMatch(/_count/);
});

describe('breadth and depth are bounded', () => {
  const many = (length: number, one: (i: number) => string) => Array.from({ length }, (_, i) => one(i));
  test.each<[what: string, type: string, query: string]>([
    ['ids', 'Patient', `_id=${many(20_001, (i) => `p${i}`)}`],
    ['names', 'Patient', `name=${many(1001, (i) => `n${i}`)}`],
    [
      'names at the end of chains',
      'Observation',
      many(3, () => `patient.name=${many(900, (i) => `n${i}`)}`).join('&'),
    ],
    ['dates', 'Observation', `date=${many(1001, (i) => String(1000 + i))}`],
    ['references of a chain', 'Observation', `${'has-member.'.repeat(8)}code=x`],
    [
      'references of _has',
      'Patient',
      `_has:Observation:patient:${'_has:Observation:has-member:'.repeat(8)}code=x`,
    ],
    ['parameters', 'Patient', many(51, () => 'gender=male').join('&')],
    ['includes', 'Observation', many(21, () => '_include=Observation:patient').join('&')],
    ['sorts', 'Patient', '_sort=_id,_id,_id,_id,_id,_id'],
    ['value sets', 'Observation', `code:in=${many(11, (i) => `http://vs/${i}`)}`],
    ['words', 'Patient', `_text=${'(a) '.repeat(101)}`],
    ['brackets', 'Patient', `_filter=${'('.repeat(30)}name eq x${')'.repeat(30)}`],
  ])('too many %s are 400, too-costly', async (_what, type, query) => {
    const { body } = await app.send('post', `/${type}/_search`).type('form').send(query).expect(400);
    expect(body.issue[0].code).toBe('too-costly');
    expect(body.issue[0].diagnostics).toMatch(/\d/);
  });
});

describe('texts of a search are texts, and no patterns', () => {
  const names = ['100% sure', 'a_b', 'a.b', 'back\\slash', '(.*)+', "O'Hara", '$1', '[cd]', '^a|b$'];
  beforeAll(async () => {
    for (const [i, family] of names.entries())
      await app
        .send('put', `/Practitioner/pattern-${i}`)
        .type(FHIR)
        .send({
          resourceType: 'Practitioner',
          id: `pattern-${i}`,
          name: [{ family }],
          text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">x</div>' },
        })
        .expect(201);
  });
  const escaped = (text: string) => encodeURIComponent(text.replace(/[\\,|$]/g, '\\$&'));
  const found = async (query: string): Promise<string[]> =>
    ((await app.send('get', `/Practitioner?${query}`).expect(200)).body.entry ?? [])
      .map(({ resource }: { resource: { name: { family: string }[] } }) => resource.name[0]?.family)
      .sort();

  test.each(names)('%s is found by itself alone', async (name) => {
    for (const modifier of ['', ':exact', ':contains'])
      expect(await found(`family${modifier}=${escaped(name)}`)).toEqual([name]);
    for (const operator of ['eq', 'sw', 'ew', 'co'])
      expect(
        await found(`_filter=${encodeURIComponent(`family ${operator} ${JSON.stringify(name)}`)}`),
      ).toEqual([name]);
  });

  test.each(['%', '_', '\\', '*', '(', '^', '$', '[', '|'])('so is each character: %s', async (character) => {
    const holding = names.filter((name) => name.includes(character)).sort();
    expect(await found(`family:contains=${escaped(character)}`)).toEqual(holding);
    expect(await found(`family=${escaped(character)}`)).toEqual(
      holding.filter((name) => name.startsWith(character)),
    );
    for (const query of [
      'identifier:of-type=a|b|',
      'code:text=',
      '_profile:below=http://',
      '_content=',
      'email=',
    ])
      expect([200, 400]).toContain(
        (await app.send('get', `/Practitioner?${query}${escaped(character)}`)).status,
      );
  });
});
