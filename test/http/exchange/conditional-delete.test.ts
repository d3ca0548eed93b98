/** R4 http 3.1.0.7.1: conditional delete. */
import { startApp, type TestApp } from '../app.ts';
import { deleting, exchanging, fresh, identified, patient, SYSTEM, statusesOf } from './bundles.ts';

let app: TestApp;
let several: TestApp;
beforeAll(async () => {
  app = await startApp();
  several = await startApp({ DELETE_MATCHES: '3' });
});
afterAll(() => Promise.all([app.close(), several.close()]));
const it = exchanging(() => app);
const many = exchanging(() => several);
const where = (value: string) => `Patient?${identified(value)}`;

describe('R4 http 3.1.0.7.1: the action depends on how many matches are found', () => {
  test('no matches: 204, or 200 where the outcome is asked for', async () => {
    await app.send('delete', `/${where(fresh())}`).expect(204);
    const { body } = await app
      .send('delete', `/${where(fresh())}`)
      .set('Prefer', 'return=OperationOutcome')
      .expect(200);
    expect(body).toMatchObject({ resourceType: 'OperationOutcome', issue: [{ severity: 'information' }] });
  });

  test('one match: an ordinary delete of it', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const answer = await app.send('delete', `/${where(value)}`).expect(204);
    expect(answer.headers.etag).toBe('W/"2"');
    await app.send('get', `/Patient/${id}`).expect(410);
    expect(await it.count(where(value))).toBe(0);
    const { entry } = await it.read(`Patient/${id}/_history`);
    expect(entry[0].request).toEqual({ method: 'DELETE', url: `Patient/${id}` });
    await app.send('delete', `/${where(value)}`).expect(204);
    expect(await it.versions(`Patient/${id}`)).toBe(2);
  });

  test('a slash before the question mark, as R4 writes it', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    await app.send('delete', `/Patient/?${identified(value)}`).expect(204);
    await app.send('get', `/Patient/${id}`).expect(410);
  });

  test('multiple matches: 412, which says the condition and how many; none is deleted', async () => {
    const value = fresh();
    await it.created(patient(value));
    await it.created(patient(value));
    const { body } = await app.send('delete', `/${where(value)}`).expect(412);
    expect(body.issue[0]).toMatchObject({ severity: 'error', code: 'multiple-matches' });
    expect(body.issue[0].diagnostics).toContain(`${SYSTEM}|${value}`);
    expect(body.issue[0].diagnostics).toMatch(/\b2\b/);
    expect(await it.count(where(value))).toBe(2);
  });

  test('DELETE_MATCHES: so many are deleted together, and of more none', async () => {
    const [three, four] = [fresh(), fresh()];
    for (const value of [three, three, three, four, four, four, four]) await many.created(patient(value));
    await several.send('delete', `/${where(three)}`).expect(204);
    expect(await many.count(where(three))).toBe(0);
    const { body } = await several.send('delete', `/${where(four)}`).expect(412);
    expect(body.issue[0].diagnostics).toMatch(/\b4\b/);
    expect(await many.count(where(four))).toBe(4);
  });

  test('DELETE_MATCHES holds in transactions', async () => {
    const [three, four] = [fresh(), fresh()];
    for (const value of [three, three, three, four, four, four, four]) await many.created(patient(value));
    const entries = await many.done([deleting(where(three))]);
    expect(statusesOf(entries)).toEqual(['204']);
    expect(await many.count(where(three))).toBe(0);
    const issue = await many.failed([deleting(where(four))], 412);
    expect(issue).toMatchObject({ code: 'multiple-matches' });
    expect(await many.count(where(four))).toBe(4);
  });

  test('the CapabilityStatement tells which', async () => {
    const conditionalDelete = async (app: TestApp) => {
      const { body } = await app.send('get', '/metadata').expect(200);
      return body.rest[0].resource.find(({ type }: { type: string }) => type === 'Patient').conditionalDelete;
    };
    expect(await conditionalDelete(app)).toBe('single');
    expect(await conditionalDelete(several)).toBe('multiple');
  });
});

describe('R4 http 3.1.0.7.1: what does not narrow down deletes nothing', () => {
  test.each([
    ['an unknown parameter', '?identifer=1'],
    ['an unknown one beside a known one', '?gender=male&nonsense=2'],
    ['only what controls the answer', '?_count=1'],
    ['an empty value', '?gender='],
    ['Prefer-like words', '?_summary=true'],
  ])('%s is 400', async (_what, query) => {
    await it.created(patient(fresh(), { gender: 'male' }));
    const before = await it.count('Patient');
    const { body } = await app.send('delete', `/Patient${query}`).expect(400);
    expect(body.resourceType).toBe('OperationOutcome');
    expect(await it.count('Patient')).toBe(before);
  });

  test.each(['/Patient', '/Patient?', '/', '/?_type=Patient'])('DELETE %s is refused', async (path) => {
    const { status } = await app.send('delete', path);
    expect([400, 404, 405]).toContain(status);
  });
});

test('SMART scopes: who may delete but not search does not learn what is there', async () => {
  const value = fresh();
  await it.created(patient(value));
  const token = await app.app.issueToken({ scope: 'system/Patient.d', client: 'test', minutes: 5 });
  const as = `Bearer ${token}`;
  await app
    .send('delete', `/${where(value)}`)
    .set('Authorization', as)
    .expect(403);
  expect(await it.count(where(value))).toBe(1);
});

describe('R4 http 3.1.0.5: contention', () => {
  test('If-Match beside a condition is judged on what matches', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    await app
      .send('delete', `/${where(value)}`)
      .set('If-Match', 'W/"7"')
      .expect(412);
    await it.read(`Patient/${id}`);
    await app
      .send('delete', `/${where(value)}`)
      .set('If-Match', 'W/"1"')
      .expect(204);
  });

  test('deletions and creations by one condition at once: never two, never 500', async () => {
    const value = fresh();
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, index) =>
        index % 2
          ? app.send('delete', `/${where(value)}`)
          : it.post(patient(value), { 'If-None-Exist': identified(value) }),
      ),
    );
    for (const { status } of answers) expect([200, 201, 204, 409, 412]).toContain(status);
    expect(await it.count(where(value))).toBeLessThanOrEqual(1);
  });
});
