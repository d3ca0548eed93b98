/** R4 http 3.1.0.6: patch. */
import { startApp, type TestApp } from '../app.ts';
import {
  exchanging,
  FHIR,
  fhirPathPatch,
  fresh,
  identified,
  JSON_PATCH,
  observation,
  patient,
  SYSTEM,
  spoiled,
} from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);
const where = (value: string) => `Patient?${identified(value)}`;
const replaceGender = [{ op: 'replace', path: '/gender', value: 'male' }];
const fhirPath = (path: string, body: object, headers: Record<string, string> = {}) =>
  app.send('patch', `/${path}`).type(FHIR).set(headers).send(body);

describe('R4 http 3.1.0.6: JSON Patch', () => {
  test('its operations are applied in order, and the next version answered', async () => {
    const value = fresh();
    const id = await it.created(
      patient(value, { gender: 'female', name: [{ family: 'Ash', given: ['A', 'B'] }], birthDate: '1980' }),
    );
    const answer = await it
      .patch(`Patient/${id}`, [
        { op: 'test', path: '/name/0/family', value: 'Ash' },
        { op: 'replace', path: '/gender', value: 'other' },
        { op: 'add', path: '/name/0/given/-', value: 'C' },
        { op: 'add', path: '/name/0/given/0', value: 'Z' },
        { op: 'move', from: '/birthDate', path: '/deceasedDateTime' },
        { op: 'copy', from: '/name/0', path: '/name/1' },
        { op: 'remove', path: '/name/1/given' },
        { op: 'add', path: '/active', value: true },
      ])
      .expect(200);
    expect(answer.headers).toMatchObject({
      etag: 'W/"2"',
      'last-modified': new Date(answer.body.meta.lastUpdated).toUTCString(),
    });
    expect(answer.body).toMatchObject({
      id,
      meta: { versionId: '2' },
      identifier: [{ system: SYSTEM, value }],
      gender: 'other',
      active: true,
      deceasedDateTime: '1980',
      name: [{ family: 'Ash', given: ['Z', 'A', 'B', 'C'] }, { family: 'Ash' }],
    });
    expect(answer.body.birthDate).toBeUndefined();
    expect(answer.body.name[1].given).toBeUndefined();
    expect(await it.read(`Patient/${id}`)).toEqual(answer.body);
    expect(await it.versions(`Patient/${id}`)).toBe(2);
  });

  test('what was changed is found by search', async () => {
    const [value, next] = [fresh(), fresh()];
    const id = await it.created(patient(value));
    await it
      .patch(`Patient/${id}`, [{ op: 'replace', path: '/identifier/0/value', value: next }])
      .expect(200);
    expect(await it.count(where(value))).toBe(0);
    expect(await it.count(where(next))).toBe(1);
  });

  test('RFC 6902 §4.6: a test that fails is 422, naming the operation and its path; nothing is changed', async () => {
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const operations = [
      { op: 'replace', path: '/gender', value: 'male' },
      { op: 'test', path: '/gender', value: 'unknown' },
    ];
    const { body } = await it.patch(`Patient/${id}`, operations).expect(422);
    expect(body.issue[0]).toMatchObject({ severity: 'error', code: 'processing' });
    expect(body.issue[0].diagnostics).toContain('/gender');
    expect(body.issue[0].diagnostics).toMatch(/\b1\b/);
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test.each([
    ['replace', { op: 'replace', path: '/birthDate', value: '1980' }],
    ['remove', { op: 'remove', path: '/name/0' }],
    ['add into what is not there', { op: 'add', path: '/maritalStatus/text', value: 'x' }],
    ['add beyond the end', { op: 'add', path: '/identifier/7', value: {} }],
    ['move', { op: 'move', from: '/name', path: '/contact' }],
    ['copy', { op: 'copy', from: '/name', path: '/contact' }],
    ['test', { op: 'test', path: '/name', value: [] }],
  ])('RFC 6902 §4: %s at a path that leads nowhere is 422, naming it', async (_what, operation) => {
    const id = await it.created(patient(fresh()));
    const { body } = await it.patch(`Patient/${id}`, [operation]).expect(422);
    expect(body.issue[0].code).toBe('processing');
    expect(body.issue[0].diagnostics).toContain('from' in operation ? operation.from : operation.path);
    expect(body.issue[0].diagnostics).toMatch(/\b0\b/);
  });

  test.each([
    ['no JSON', '[{"op":'],
    ['no list', '{"op":"remove","path":"/gender"}'],
    ['an operation that is none', '[7]'],
    ['an unknown operation', '[{"op":"change","path":"/gender","value":"male"}]'],
    ['no op', '[{"path":"/gender","value":"male"}]'],
    ['no path', '[{"op":"remove"}]'],
    ['a path that is no pointer', '[{"op":"remove","path":"gender"}]'],
    ['no value', '[{"op":"add","path":"/gender"}]'],
    ['no from', '[{"op":"move","path":"/gender"}]'],
    ['nothing', ''],
  ])('a document with %s is 400', async (_what, text) => {
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const { body } = await app.send('patch', `/Patient/${id}`).type(JSON_PATCH).send(text).expect(400);
    expect(body.resourceType).toBe('OperationOutcome');
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('digits and text of untouched parts stay as they were sent', async () => {
    const text =
      '{"resourceType":"Observation","status":"preliminary","code":{"text":"caf\\u00e9 \\/ \u00fc"},"valueQuantity":{"value":1.700,"unit":"g"},"component":[{"code":{"text":"b"},"valueQuantity":{"value":0.0010}}]}';
    const { id } = (await app.send('post', '/Observation').type(FHIR).send(text).expect(201)).body;
    await it.patch(`Observation/${id}`, [{ op: 'replace', path: '/status', value: 'final' }]).expect(200);
    const read = await app.send('get', `/Observation/${id}`).expect(200);
    expect(read.text).toContain('"valueQuantity":{"value":1.700,"unit":"g"}');
    expect(read.text).toContain('{"value":0.0010}');
    expect(read.body.code.text).toBe('café / ü');
  });

  test('digits of what a patch brings stay, too', async () => {
    const id = await it.created(observation('Patient/1'));
    const operation = '[{"op":"add","path":"/valueQuantity","value":{"value":70.00}}]';
    await app.send('patch', `/Observation/${id}`).type(JSON_PATCH).send(operation).expect(200);
    expect((await app.send('get', `/Observation/${id}`)).text).toContain('"value":70.00');
  });
});

describe('R4 http 3.1.0.6, fhirpatch.html: FHIRPath Patch', () => {
  test.each([
    [
      'add',
      { type: 'add', path: 'Patient', name: 'birthDate', value: { valueDate: '1930-01-01' } },
      { birthDate: '1930-01-01' },
    ],
    [
      'insert',
      {
        type: 'insert',
        path: 'Patient.name.given',
        index: { valueInteger: 1 },
        value: { valueString: 'X' },
      },
      { name: [{ family: 'Ash', given: ['A', 'X', 'B'] }] },
    ],
    [
      'delete',
      { type: 'delete', path: 'Patient.name.given[0]' },
      { name: [{ family: 'Ash', given: ['B'] }] },
    ],
    [
      'replace',
      { type: 'replace', path: 'Patient.gender', value: { valueCode: 'other' } },
      { gender: 'other' },
    ],
    [
      'move',
      {
        type: 'move',
        path: 'Patient.name.given',
        source: { valueInteger: 1 },
        destination: { valueInteger: 0 },
      },
      { name: [{ family: 'Ash', given: ['B', 'A'] }] },
    ],
  ])('%s', async (_what, operation, wanted) => {
    const id = await it.created(
      patient(fresh(), { gender: 'female', name: [{ family: 'Ash', given: ['A', 'B'] }] }),
    );
    const { body } = await fhirPath(`Patient/${id}`, fhirPathPatch(operation)).expect(200);
    expect(body).toMatchObject({ id, meta: { versionId: '2' }, ...wanted });
    expect(await it.read(`Patient/${id}`)).toEqual(body);
  });

  test('application/json is one as well', async () => {
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const operation = fhirPathPatch({
      type: 'replace',
      path: 'Patient.gender',
      value: { valueCode: 'other' },
    });
    await app.send('patch', `/Patient/${id}`).type('application/json').send(operation).expect(200);
  });

  test('replace of what is not there is 422, naming the path', async () => {
    const id = await it.created(patient(fresh()));
    const operation = fhirPathPatch({
      type: 'replace',
      path: 'Patient.birthDate',
      value: { valueDate: '1930' },
    });
    const { body } = await fhirPath(`Patient/${id}`, operation).expect(422);
    expect(body.issue[0].diagnostics).toContain('Patient.birthDate');
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test.each([
    ['a resource that is no Parameters', { resourceType: 'Patient' }],
    ['an unknown type', fhirPathPatch({ type: 'change', path: 'Patient.gender' })],
    ['no path', fhirPathPatch({ type: 'delete' })],
    ['a path that is no FHIRPath', fhirPathPatch({ type: 'delete', path: 'Patient.(' })],
    ['another parameter', { resourceType: 'Parameters', parameter: [{ name: 'x', valueString: 'y' }] }],
  ])('%s is 400', async (_what, body) => {
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const answer = await fhirPath(`Patient/${id}`, body).expect(400);
    expect(answer.body.resourceType).toBe('OperationOutcome');
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('digits of untouched parts stay', async () => {
    const text =
      '{"resourceType":"Observation","status":"preliminary","code":{"text":"x"},"valueQuantity":{"value":1.700}}';
    const { id } = (await app.send('post', '/Observation').type(FHIR).send(text).expect(201)).body;
    const operation = fhirPathPatch({
      type: 'replace',
      path: 'Observation.status',
      value: { valueCode: 'final' },
    });
    await fhirPath(`Observation/${id}`, operation).expect(200);
    expect((await app.send('get', `/Observation/${id}`)).text).toContain('"value":1.700');
  });
});

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

describe('RFC 9110 §15.5: what is wrong with a patch is never told as 5xx', () => {
  const person = () => patient(fresh(), { gender: 'female', name: [{ family: 'Ash', given: ['A', 'B'] }] });

  test('a JSON Patch with any one thing in it left out, or exchanged for another', async () => {
    const id = await it.created(person());
    const operations = [
      { op: 'add', path: '/name/0/given/-', value: { a: ['b'] } },
      { op: 'replace', path: '/gender', value: 'male' },
      { op: 'move', from: '/name/0', path: '/name/-' },
      { op: 'test', path: '/name/0/given', value: ['A', 'B'] },
    ];
    for (const operation of operations)
      for (const spoilt of spoiled([operation])) {
        const { status } = await it.patch(`Patient/${id}`, spoilt);
        expect({ status: status >= 500 ? status : 'less', spoilt }).toEqual({ status: 'less', spoilt });
      }
  });

  test('a FHIRPath Patch with any one thing in it left out, or exchanged for another', async () => {
    const id = await it.created(person());
    const operations: Record<string, string | object>[] = [
      { type: 'insert', path: 'Patient.name.given', index: { valueInteger: 1 }, value: { valueString: 'X' } },
      {
        type: 'add',
        path: 'Patient',
        name: 'contact',
        value: { part: [{ name: 'name', valueHumanName: { text: 'x' } }] },
      },
      {
        type: 'move',
        path: 'Patient.name.given',
        source: { valueInteger: 1 },
        destination: { valueInteger: 0 },
      },
    ];
    for (const operation of operations)
      for (const spoilt of spoiled(fhirPathPatch(operation))) {
        const { status } = await fhirPath(`Patient/${id}`, spoilt);
        expect({ status: status >= 500 ? status : 'less', spoilt }).toEqual({ status: 'less', spoilt });
      }
  });

  test.each([
    'Patient.name.where(',
    '%resource',
    'now()',
    "Patient.trace('x')",
    'Patient.repeat(name)',
    'a'.repeat(10_000),
    '('.repeat(5000),
  ])('the path %.30s', async (path) => {
    const id = await it.created(person());
    const { status } = await fhirPath(`Patient/${id}`, fhirPathPatch({ type: 'delete', path }));
    expect([200, 400, 422]).toContain(status);
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
