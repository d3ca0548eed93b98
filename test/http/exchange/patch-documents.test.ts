/** R4 http 3.1.0.6, RFC 6902, fhirpatch.html: what patches say, and how they are refused. */
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
