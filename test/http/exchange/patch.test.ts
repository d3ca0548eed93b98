/** R4 http 3.1.0.6: patch, the interaction. */
import { startApp, type TestApp } from '../app.ts';
import {
  exchanging,
  FHIR,
  fresh,
  identified,
  JSON_PATCH,
  observation,
  patching,
  patient,
  SYSTEM,
} from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);
const where = (value: string) => `Patient?${identified(value)}`;
const replaceGender = [{ op: 'replace', path: '/gender', value: 'male' }];

describe('R4 http 3.1.0.6: the request', () => {
  test.each([
    'text/plain',
    'application/merge-patch+json',
    'application/xml-patch+xml',
    'application/fhir+xml',
  ])('RFC 5789 §2.2: %s is 415 with Accept-Patch', async (type) => {
    const id = await it.created(patient(fresh()));
    const answer = await app.send('patch', `/Patient/${id}`).set('Content-Type', type).send('x').expect(415);
    expect(answer.headers['accept-patch']).toContain(JSON_PATCH);
    expect(answer.headers['accept-patch']).toContain(FHIR);
    expect(answer.body.resourceType).toBe('OperationOutcome');
  });

  test('never there 404, deleted 410', async () => {
    await it.patch('Patient/nobody', replaceGender).expect(404);
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    await app.send('delete', `/Patient/${id}`).expect(204);
    const { body } = await it.patch(`Patient/${id}`, replaceGender).expect(410);
    expect(body.issue[0].code).toBe('deleted');
    await app.send('get', `/Patient/${id}`).expect(410);
  });

  test('R4 http 3.1.0.5: If-Match', async () => {
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const { body } = await it.patch(`Patient/${id}`, replaceGender, { 'If-Match': 'W/"2"' }).expect(412);
    expect(body.issue[0].diagnostics).toContain('1');
    expect(await it.versions(`Patient/${id}`)).toBe(1);
    await it.patch(`Patient/${id}`, replaceGender, { 'If-Match': 'W/"1"' }).expect(200);
    await it.patch('Patient/nobody', replaceGender, { 'If-Match': 'W/"1"' }).expect((answer) => {
      expect([404, 412]).toContain(answer.status);
    });
  });

  test('3.1.0.1.8: Prefer', async () => {
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const minimal = await it.patch(`Patient/${id}`, replaceGender, { Prefer: 'return=minimal' }).expect(200);
    expect(minimal.text).toBe('');
    expect(minimal.headers.etag).toBe('W/"2"');
    const outcome = await it
      .patch(`Patient/${id}`, [{ op: 'replace', path: '/gender', value: 'other' }], {
        Prefer: 'return=OperationOutcome',
      })
      .expect(200);
    expect(outcome.body.resourceType).toBe('OperationOutcome');
  });

  test('SMART scopes: it needs leave to update', async () => {
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const token = await app.app.issueToken({ scope: 'system/Patient.crds', client: 'test', minutes: 5 });
    await it.patch(`Patient/${id}`, replaceGender, { Authorization: `Bearer ${token}` }).expect(403);
  });

  test('SMART scopes: who may update but not read is not shown what is there', async () => {
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const token = await app.app.issueToken({ scope: 'system/Patient.u', client: 'test', minutes: 5 });
    const as = { Authorization: `Bearer ${token}`, Prefer: 'return=representation' };
    const active = [{ op: 'add', path: '/active', value: true }];
    expect((await it.patch(`Patient/${id}`, active, as)).text).not.toContain('female');
    const entry = [patching(`Patient/${id}`, active)];
    for (const type of ['transaction', 'batch']) {
      const answer = await app
        .send('post', '/')
        .type(FHIR)
        .set(as)
        .send({ resourceType: 'Bundle', type, entry });
      expect(answer.text).not.toContain('female');
    }
  });

  test('binary.html#patch: not of a Binary', async () => {
    const binary = { resourceType: 'Binary', contentType: 'text/plain', data: 'eA==' };
    const { id } = (await it.post(binary).expect(201)).body;
    const { status } = await it.patch(`Binary/${id}`, [
      { op: 'replace', path: '/contentType', value: 'text/html' },
    ]);
    expect([400, 405, 415, 422]).toContain(status);
    expect(await it.versions(`Binary/${id}`)).toBe(1);
  });

  test('the CapabilityStatement names patch and its formats', async () => {
    const { body } = await app.send('get', '/metadata').expect(200);
    expect(body.patchFormat).toEqual(expect.arrayContaining([FHIR, JSON_PATCH]));
    const { interaction } = body.rest[0].resource.find(({ type }: { type: string }) => type === 'Patient');
    expect(interaction.map(({ code }: { code: string }) => code)).toContain('patch');
  });
});

describe('R4 http 3.1.0.6: conditional patch', () => {
  test('no matches: 404', async () => {
    const value = fresh();
    const { body } = await it.patch(where(value), replaceGender).expect(404);
    expect(body.issue[0]).toMatchObject({ code: 'not-found' });
    expect(body.issue[0].diagnostics).toContain(value);
  });

  test('one match: performed against it', async () => {
    const value = fresh();
    const id = await it.created(patient(value, { gender: 'female' }));
    const { body } = await it.patch(where(value), replaceGender).expect(200);
    expect(body).toMatchObject({ id, gender: 'male', meta: { versionId: '2' } });
  });

  test('multiple matches: 412, which says the condition and how many', async () => {
    const value = fresh();
    const ids = [await it.created(patient(value)), await it.created(patient(value))];
    const { body } = await it.patch(where(value), replaceGender).expect(412);
    expect(body.issue[0]).toMatchObject({ code: 'multiple-matches' });
    expect(body.issue[0].diagnostics).toContain(`${SYSTEM}|${value}`);
    expect(body.issue[0].diagnostics).toMatch(/\b2\b/);
    for (const id of ids) expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test.each(['Patient?identifer=1', 'Patient?_count=1', 'Patient?gender=male&_sort=name'])(
    '%s is 400',
    async (path) => {
      await it.patch(path, replaceGender).expect(400);
    },
  );

  test('If-Match beside a condition is judged on what matches', async () => {
    const value = fresh();
    await it.created(patient(value, { gender: 'female' }));
    await it.patch(where(value), replaceGender, { 'If-Match': 'W/"2"' }).expect(412);
    await it.patch(where(value), replaceGender, { 'If-Match': 'W/"1"' }).expect(200);
  });
});

describe('R4 http 3.1.0.6: the result is processed as an update', () => {
  test.each([
    ['a code that is none', [{ op: 'add', path: '/gender', value: 'x' }], { gender: 'x' }, 'Patient.gender'],
    ['an unknown element', [{ op: 'add', path: '/gendre', value: 'male' }], { gendre: 'male' }, 'gendre'],
    ['another sort of value', [{ op: 'add', path: '/active', value: 'yes' }], { active: 'yes' }, 'active'],
  ])('%s: refused as a PUT of it is', async (_what, operations, more, where) => {
    const value = fresh();
    const id = await it.created(patient(value));
    const put = await it.put(`Patient/${id}`, patient(value, { id, ...more }));
    expect([400, 422]).toContain(put.status);
    const patched = await it.patch(`Patient/${id}`, operations).expect(put.status);
    expect(patched.body.issue).toEqual(put.body.issue);
    expect(JSON.stringify(patched.body.issue)).toContain(where);
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('what is required stays', async () => {
    const id = await it.created(observation('Patient/1'));
    const { status, body } = await it.patch(`Observation/${id}`, [{ op: 'remove', path: '/status' }]);
    expect([400, 422]).toContain(status);
    expect(JSON.stringify(body.issue)).toContain('status');
  });

  test('id and type are not changed', async () => {
    const id = await it.created(patient(fresh()));
    for (const operation of [
      { op: 'replace', path: '/id', value: fresh() },
      { op: 'remove', path: '/id' },
      { op: 'replace', path: '/resourceType', value: 'Basic' },
      { op: 'replace', path: '', value: { resourceType: 'Basic', id, code: { text: 'x' } } },
    ]) {
      const { status } = await it.patch(`Patient/${id}`, [operation]);
      expect([400, 422]).toContain(status);
    }
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('versionId and lastUpdated that it brings are ignored', async () => {
    const id = await it.created(patient(fresh()));
    const before = await it.read(`Patient/${id}`);
    const { body } = await it
      .patch(`Patient/${id}`, [
        { op: 'add', path: '/active', value: true },
        { op: 'replace', path: '/meta/versionId', value: '77' },
      ])
      .expect(200);
    expect(body.meta.versionId).toBe('2');
    expect(body.meta.lastUpdated >= before.meta.lastUpdated).toBe(true);
  });
});

describe('R4 http 3.1.0.6: the narrative is not clinically unsafe afterwards', () => {
  const narrative = (status: string, inner: string) => ({
    text: { status, div: `<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>` },
  });

  test('a generated one does not tell what is no longer so', async () => {
    const id = await it.created(patient(fresh(), { gender: 'female', ...narrative('generated', 'a woman') }));
    const { text } = await it.patch(`Patient/${id}`, replaceGender).expect(200);
    expect(text).not.toContain('a woman');
    expect((await app.send('get', `/Patient/${id}`).expect(200)).text).not.toContain('a woman');
  });

  test.each(['additional', 'extensions'])('one that is %s is not left beside other data', async (status) => {
    const id = await it.created(patient(fresh(), { gender: 'female', ...narrative(status, 'a woman') }));
    const { body } = await it.patch(`Patient/${id}`, replaceGender).expect(422);
    expect(body.issue[0].diagnostics.toLowerCase()).toContain('narrative');
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('a patch that brings the narrative along goes through', async () => {
    const id = await it.created(
      patient(fresh(), { gender: 'female', ...narrative('additional', 'a woman') }),
    );
    const { body } = await it
      .patch(`Patient/${id}`, [
        ...replaceGender,
        { op: 'replace', path: '/text', value: narrative('additional', 'a man').text },
      ])
      .expect(200);
    expect(body.text.div).toContain('a man');
  });
});

describe('issue: two writers of one thing', () => {
  test('patches at once are all kept: what is answered with 200 is there', async () => {
    const id = await it.created(patient(fresh()));
    const values = Array.from({ length: 12 }, fresh);
    const answers = await Promise.all(
      values.map((value) =>
        it.patch(`Patient/${id}`, [{ op: 'add', path: '/identifier/-', value: { system: SYSTEM, value } }]),
      ),
    );
    for (const { status } of answers) expect([200, 409]).toContain(status);
    const kept = values.filter((_, index) => answers[index]?.status === 200);
    expect(kept.length).toBeGreaterThan(0);
    const { identifier, meta } = await it.read(`Patient/${id}`);
    const there = identifier.map(({ value }: { value: string }) => value);
    expect(there.slice(1).sort()).toEqual(kept.sort());
    expect(meta.versionId).toBe(String(1 + kept.length));
  });

  test('of patches with one If-Match exactly one wins', async () => {
    const id = await it.created(patient(fresh()));
    const answers = await Promise.all(
      ['male', 'female', 'other', 'unknown'].map((value) =>
        it.patch(`Patient/${id}`, [{ op: 'add', path: '/gender', value }], { 'If-Match': 'W/"1"' }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412]);
  });
});
