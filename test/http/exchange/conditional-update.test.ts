/** R4 http 3.1.0.4.3: conditional update; RFC 9110 §13.1: If-Match and If-None-Match with PUT. */
import { startApp, type TestApp } from '../app.ts';
import { exchanging, fresh, identified, patient, SYSTEM } from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);
const where = (value: string) => `Patient?${identified(value)}`;

describe('R4 http 3.1.0.4.3: the action depends on how many matches are found', () => {
  test('no matches, no id provided: the server creates the resource', async () => {
    const value = fresh();
    const answer = await it.put(where(value), patient(value)).expect(201);
    expect(answer.headers.location).toBe(`${app.base}/Patient/${answer.body.id}/_history/1`);
    expect(answer.headers.etag).toBe('W/"1"');
    expect(await it.count(where(value))).toBe(1);
  });

  test('no matches, id provided: an update as create', async () => {
    const [value, id] = [fresh(), fresh()];
    const answer = await it.put(where(value), patient(value, { id })).expect(201);
    expect(answer.body.id).toBe(id);
    expect(answer.headers.location).toBe(`${app.base}/Patient/${id}/_history/1`);
  });

  test('no matches, id provided of what was deleted: brought back to life', async () => {
    const [value, id] = [fresh(), fresh()];
    await it.put(`Patient/${id}`, patient(value, { id })).expect(201);
    await app.send('delete', `/Patient/${id}`).expect(204);
    const answer = await it.put(where(value), patient(value, { id })).expect(201);
    expect(answer.body.meta.versionId).toBe('3');
  });

  test('no matches, id provided of what is there and does not match: 409', async () => {
    const [value, id] = [fresh(), fresh()];
    await it.put(`Patient/${id}`, patient(fresh(), { id })).expect(201);
    const { body } = await it.put(where(value), patient(value, { id })).expect(409);
    expect(body.issue[0]).toMatchObject({ severity: 'error', code: 'conflict' });
    expect(body.issue[0].diagnostics).toContain(id);
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('one match, no id provided: the update is performed against it', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const answer = await it.put(where(value), patient(value, { gender: 'male' })).expect(200);
    expect(answer.body).toMatchObject({ id, gender: 'male', meta: { versionId: '2' } });
    expect(answer.headers.etag).toBe('W/"2"');
  });

  test('one match, its id provided: the update is performed against it', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const answer = await it.put(where(value), patient(value, { id, gender: 'male' })).expect(200);
    expect(answer.body.meta.versionId).toBe('2');
  });

  test('one match, another id provided: 400', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const { body } = await it.put(where(value), patient(value, { id: fresh() })).expect(400);
    expect(body.issue[0].expression).toEqual(['Patient.id']);
    expect(body.issue[0].diagnostics).toContain(id);
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('multiple matches: 412, which says the condition and how many', async () => {
    const value = fresh();
    const ids = [await it.created(patient(value)), await it.created(patient(value))];
    const { body } = await it.put(where(value), patient(value)).expect(412);
    expect(body.issue[0]).toMatchObject({ severity: 'error', code: 'multiple-matches' });
    expect(body.issue[0].diagnostics).toContain(`${SYSTEM}|${value}`);
    expect(body.issue[0].diagnostics).toMatch(/\b2\b/);
    for (const id of ids) expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('the body need not meet the condition', async () => {
    const [value, next] = [fresh(), fresh()];
    const id = await it.created(patient(value));
    await it.put(where(value), patient(next)).expect(200);
    expect((await it.read(`Patient/${id}`)).identifier[0].value).toBe(next);
    await it.put(where(value), patient(value)).expect(201);
  });

  test('R4 http 3.1.0.12: in the history it is a direct update', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    await it.put(where(value), patient(value)).expect(200);
    const { entry } = await it.read(`Patient/${id}/_history`);
    expect(entry[0].request).toEqual({ method: 'PUT', url: `Patient/${id}` });
  });
});

describe('R4 http 3.1.0.4.3: the condition', () => {
  test.each([
    ['an unknown parameter', 'Patient?identifer=1'],
    ['an unknown one beside a known one', `Patient?identifier=1&nonsense=2`],
    ['only what controls the answer', 'Patient?_count=1'],
    ['what sorts, beside a filter', 'Patient?identifier=1&_sort=birthdate'],
    ['an empty value', 'Patient?identifier='],
  ])('%s is 400', async (_what, path) => {
    const before = await it.count('Patient');
    const { body } = await it.put(path, patient(fresh())).expect(400);
    expect(body.resourceType).toBe('OperationOutcome');
    expect(await it.count('Patient')).toBe(before);
  });

  test('without any, a type is not updated', async () => {
    const { status } = await it.put('Patient', patient(fresh()));
    expect([400, 405]).toContain(status);
  });

  test('a body of another type is 400', async () => {
    await it.put(where(fresh()), { resourceType: 'Basic', code: { text: 'x' } }).expect(400);
  });

  test('R4 http 3.1.0.4.1: creating by one’s own id needs leave to update and to create', async () => {
    const value = fresh();
    const token = await app.app.issueToken({ scope: 'system/Patient.rus', client: 'test', minutes: 5 });
    const as = { Authorization: `Bearer ${token}` };
    await it.put(where(value), patient(value, { id: fresh() }), as).expect(403);
    await it.put(where(value), patient(value), as).expect(403);
    expect(await it.count(where(value))).toBe(0);
    await it.created(patient(value));
    await it.put(where(value), patient(value), as).expect(200);
  });
});

describe('R4 http 3.1.0.5: contention', () => {
  test('If-Match beside a condition is judged on what matches', async () => {
    const value = fresh();
    await it.put(where(value), patient(value), { 'If-Match': 'W/"1"' }).expect(412);
    const id = await it.created(patient(value));
    await it.put(where(value), patient(value), { 'If-Match': 'W/"7"' }).expect(412);
    await it.put(where(value), patient(value), { 'If-Match': 'W/"1"' }).expect(200);
    expect(await it.versions(`Patient/${id}`)).toBe(2);
  });

  test('RFC 9110 §13.1.2: If-None-Match: * at an id creates what is not there, and changes nothing else', async () => {
    const id = fresh();
    const only = { 'If-None-Match': '*' };
    const made = await it.put(`Patient/${id}`, patient(fresh(), { id }), only).expect(201);
    expect(made.headers.location).toBe(`${app.base}/Patient/${id}/_history/1`);
    const { body } = await it.put(`Patient/${id}`, patient(fresh(), { id }), only).expect(412);
    expect(body.issue[0].diagnostics).toContain(id);
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('RFC 9110 §13.1.2: what was deleted has no current representation, so that If-None-Match: * holds', async () => {
    const id = fresh();
    await it.put(`Patient/${id}`, patient(fresh(), { id })).expect(201);
    await app.send('delete', `/Patient/${id}`).expect(204);
    const answer = await it
      .put(`Patient/${id}`, patient(fresh(), { id }), { 'If-None-Match': '*' })
      .expect(201);
    expect(answer.body.meta.versionId).toBe('3');
  });

  test('what If-Match says that no version has is told as it was written', async () => {
    const id = fresh();
    const { body } = await it.put(`Patient/${id}`, patient(fresh(), { id }), { 'If-Match': '*' }).expect(412);
    expect(body.issue[0].diagnostics).not.toMatch(/\s-1\b/);
    await it.put(`Patient/${id}`, patient(fresh(), { id })).expect(201);
    for (const path of [`Patient/${id}`, where('nobody')]) {
      const other = await it.put(path, patient(fresh(), { id }), { 'If-Match': 'W/"abc"' }).expect(412);
      expect(other.body.issue[0].diagnostics).not.toMatch(/\s-1\b/);
    }
  });

  test('of many with If-None-Match: * at once exactly one creates', async () => {
    const id = fresh();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        it.put(`Patient/${id}`, patient(fresh(), { id }), { 'If-None-Match': '*' }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(412)]);
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('many with one condition at once: one creates, the others update it, no version is skipped', async () => {
    for (let round = 0; round < 5; round++) {
      const value = fresh();
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => it.put(where(value), patient(value))),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([...Array(7).fill(200), 201]);
      expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
      const versions = answers.map(({ body }) => Number(body.meta.versionId));
      expect(versions.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    }
  });

  test('many with one condition, each with an id of its own: one creates, the others are told', async () => {
    const value = fresh();
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => it.put(where(value), patient(value, { id: fresh() }))),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(5).fill(400)]);
    expect(await it.count(where(value))).toBe(1);
  });
});
