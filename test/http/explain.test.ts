/** `__explain=true`: how a search is understood and done, for systems only, and nothing of what it finds. */
import { parseSearch } from '../../src/search/parse.ts';
import { BASE_URL, openTestRecords } from '../support/records.ts';
import { startApp, type TestApp } from './app.ts';

let app: TestApp;
const FHIR = 'application/fhir+json';

beforeAll(async () => {
  app = await startApp();
  const put: TestApp['create'] = (...given) => app.create(...given);
  await put('Patient', 'secretive', { name: [{ family: 'Verysecret' }], gender: 'female' });
  const about = { subject: { reference: 'Patient/secretive' }, code: { text: 'hushed finding' } };
  await put('Observation', 'hidden', { status: 'final', ...about });
});
afterAll(() => app.close());

interface Part {
  readonly name: string;
  readonly valueString?: string;
  readonly part?: readonly Part[];
}

async function explained(path: string): Promise<{ expression: unknown; statements: string[]; text: string }> {
  const { body, text } = await app.send('get', path).expect(200);
  expect(body.resourceType).toBe('Parameters');
  const [expression, ...statements] = body.parameter as Part[];
  return {
    expression: JSON.parse(expression?.valueString as string),
    statements: statements.map(({ part }) => {
      const [sql, plan] = part as [Part, Part];
      expect(JSON.parse(plan.valueString as string)[0]).toHaveProperty('Plan');
      return sql.valueString as string;
    }),
    text,
  };
}

test('tells the expression, the statements and their plans', async () => {
  const { expression, statements } = await explained(
    '/Observation?patient=secretive&_count=5&__explain=true',
  );
  expect(expression).toMatchObject({
    types: ['Observation'],
    filters: [{ kind: 'reference', parameter: 'patient', values: [{ kind: 'local', id: 'secretive' }] }],
    count: 5,
  });
  expect(statements.some((sql) => /from timeline t where t\.patient = \$\d/.test(sql))).toBe(true);
});

test.each([
  '/Observation?subject:Patient.name=very',
  '/Observation?subject._filter=name co "secret"',
  '/Observation?code:text=hushed&_include=Observation:patient',
  '/Patient?_has:Observation:patient:code:text=hushed&_total=accurate',
  '/?_type=Patient,Observation&_content=verysecret',
  '/Patient?gender=female&_sort=family',
])('%s: what it finds is not told, nor any value but those that were asked for', async (path) => {
  const { statements, text } = await explained(`${encodeURI(path)}&__explain=true`);
  expect(statements.length).toBeGreaterThan(0);
  for (const hidden of ['Verysecret', 'secretive', 'hidden', 'finding']) expect(text).not.toContain(hidden);
  // Plans hold what is compared with: keys and numbers that were found before.
  expect(text.replaceAll("'…'", '').match(/'\d+'|'\{[^}]+\}'/g)).toBeNull();
});

test('changes nothing, and is false as well', async () => {
  const { body } = await app.send('get', '/Patient?__explain=false').expect(200);
  expect(body.resourceType).toBe('Bundle');
  await app.send('get', '/Patient?__explain=yes').expect(400);
  await app.send('get', '/Patient?__explain=true&__explain=true').expect(400);
});

test('is for a search by itself: not for a condition, a Bundle or an operation', async () => {
  await app.send('delete', '/Patient?gender=male&__explain=true').expect(400);
  const entry = [{ request: { method: 'GET', url: 'Patient?__explain=true' } }];
  const { body } = await app
    .send('post', '/')
    .type(FHIR)
    .send({ resourceType: 'Bundle', type: 'batch', entry });
  expect(body.entry[0].response.status).toMatch(/^400/);
  await app.send('get', '/Observation/$lastn?patient=secretive&__explain=true').expect(400);
});

test('asks for leave as every search does', async () => {
  const token = await app.app.issueToken({ scope: 'system/Patient.rs', client: 'test', minutes: 5 });
  const as = (path: string) => app.send('get', path).set('Authorization', `Bearer ${token}`);
  await as('/Patient?__explain=true').expect(200);
  await as('/Observation?__explain=true').expect(403);
  await as('/Patient?_has:Observation:patient:code=x&__explain=true').expect(403);
});

test('is for systems only', async () => {
  const it = await openTestRecords();
  const request = parseSearch(it.definitions, 'Patient', [], BASE_URL);
  for (const scope of ['patient/*.rs', 'user/Patient.rs', 'system/*.rs patient/*.rs', 'launch system/*.rs']) {
    const access = { ...it.operator.access, scope };
    await expect(it.records.explain({ ...it.operator, access }, request)).rejects.toMatchObject({
      status: 403,
    });
  }
  await it.close();
});
