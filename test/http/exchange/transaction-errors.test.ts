/** R4 http 3.1.0.11.2: all actions pass or fail together; the issue: an error names entry, element and rule. */
import { readFeed } from '../../../src/store/feed.ts';
import { inconsistencies } from '../../support/consistency.ts';
import { startApp, type TestApp } from '../app.ts';
import {
  deleting,
  type Entry,
  exchanging,
  FHIR,
  fhirPathPatch,
  fresh,
  getting,
  identified,
  observation,
  patching,
  patient,
  posting,
  putting,
  spoiled,
  statusesOf,
  urn,
} from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);
const where = (value: string) => `Patient?${identified(value)}`;
const send = (body: object | string) => app.send('post', '/').type(FHIR).send(body);

describe('R4 http 3.1.0.11.3: a failed transaction answers a single OperationOutcome', () => {
  const seven = (): Entry[] => Array.from({ length: 7 }, () => posting(patient(fresh())));

  test.each<[string, () => Entry, number | number[], string, RegExp, RegExp]>([
    [
      'a code that is none',
      () => posting(patient('1', { gender: 'x' })),
      [400, 422],
      'code-invalid',
      /^Bundle\.entry\[7\]\.resource.*\.gender$/,
      /gender/,
    ],
    [
      'a date that is none',
      () => posting(patient('1', { birthDate: 'yesterday' })),
      [400, 422],
      'value',
      /^Bundle\.entry\[7\]\.resource.*\.birthDate$/,
      /yesterday|birthDate/,
    ],
    [
      'an element that is missing',
      () => posting({ resourceType: 'Observation', code: { text: 'x' } }),
      [400, 422],
      'required',
      /^Bundle\.entry\[7\]\.resource/,
      /status/,
    ],
    [
      'an id that differs from the url’s',
      () => putting(patient('1', { id: 'a' }), { url: 'Patient/b' }),
      400,
      '',
      /^Bundle\.entry\[7\]\.resource.*\.id$/,
      /\bid\b/,
    ],
    [
      'a type that differs from the url’s',
      () => ({ resource: patient('1'), request: { method: 'POST', url: 'Observation' } }),
      400,
      '',
      /^Bundle\.entry\[7\]/,
      /Observation/,
    ],
    [
      'a condition with an unknown parameter',
      () => posting(patient('1'), { ifNoneExist: 'identifer=1' }),
      400,
      '',
      /^Bundle\.entry\[7\]\.request\.ifNoneExist$/,
      /identifer/,
    ],
    [
      'a condition without a filter',
      () => putting(patient('1'), { url: 'Patient?_count=1' }),
      400,
      '',
      /^Bundle\.entry\[7\]\.request\.url$/,
      /Patient|filter|condition/i,
    ],
    [
      'a version that is not the one',
      () => deleting('Patient/nobody', { ifMatch: 'W/"3"' }),
      412,
      '',
      /^Bundle\.entry\[7\]/,
      /3/,
    ],
  ])(
    '%s: which entry, which element, what is wrong',
    async (_what, entry, status, code, expression, said) => {
      const issue = await it.failed([...seven(), entry()], status);
      expect(issue.severity).toBe('error');
      if (code) expect(issue.code).toBe(code);
      expect(issue.expression?.[0]).toMatch(expression);
      expect(issue.diagnostics).toMatch(said);
    },
  );

  test('all faults of one resource are told, each with its place', async () => {
    const { body } = await it.transaction([
      posting(patient('1')),
      posting(patient('1', { gender: 'x', birthDate: 'yesterday', gendre: 1 })),
    ]);
    expect(body.issue.length).toBeGreaterThanOrEqual(3);
    for (const { expression } of body.issue) expect(expression[0]).toMatch(/^Bundle\.entry\[1\]/);
  });

  test.each<[string, unknown, number | number[]]>([
    ['no request', { resource: patient('1') }, 400],
    ['no method', { resource: patient('1'), request: { url: 'Patient' } }, 400],
    ['an unknown method', { resource: patient('1'), request: { method: 'BREW', url: 'Patient' } }, 400],
    ['no url', { resource: patient('1'), request: { method: 'POST' } }, 400],
    ['a url that is no text', { resource: patient('1'), request: { method: 'POST', url: 7 } }, 400],
    ['a POST to an id', { resource: patient('1'), request: { method: 'POST', url: 'Patient/1' } }, 400],
    [
      'a PUT without id or condition',
      { resource: patient('1'), request: { method: 'PUT', url: 'Patient' } },
      400,
    ],
    ['a DELETE without id or condition', { request: { method: 'DELETE', url: 'Patient' } }, 400],
    ['a DELETE of everything', { request: { method: 'DELETE', url: 'Patient?' } }, 400],
    ['a POST without resource', { request: { method: 'POST', url: 'Patient' } }, 400],
    ['a PUT without resource', { request: { method: 'PUT', url: 'Patient/1' } }, 400],
    ['an unknown type', { resource: patient('1'), request: { method: 'POST', url: 'Patinet' } }, [400, 404]],
    ['another server', { request: { method: 'GET', url: 'http://other.example.org/fhir/Patient/1' } }, 400],
    ['an ifMatch that is no tag', putting(patient('1', { id: '1' }), { ifMatch: '3' }), 400],
    [
      'an ifNoneExist that is no text',
      { resource: patient('1'), request: { method: 'POST', url: 'Patient', ifNoneExist: 7 } },
      400,
    ],
    ['an ifModifiedSince that is no instant', getting('Patient?', { ifModifiedSince: 'x' }), 400],
    ['a fullUrl that is no text', { ...posting(patient('1')), fullUrl: 7 }, 400],
    ['null', null, 400],
    ['a text', 'x', 400],
    ['a list', [], 400],
  ])('an entry with %s is refused, and named', async (_what, entry, status) => {
    const value = fresh();
    const issue = await it.failed([posting(patient(value)), entry as Entry], status);
    expect(issue.expression?.[0]).toMatch(/^Bundle\.entry\[1\]/);
    expect(issue.diagnostics.length).toBeGreaterThan(10);
    expect(await it.count(where(value))).toBe(0);
  });
});

describe('R4 http 3.1.0.11.2: after a failed transaction nothing of it is there', () => {
  /** All that the server could show. */
  async function world(): Promise<object> {
    const all = await app.send('get', '/_history?_count=1000').expect(200);
    const feed = await readFeed(app.app.pool, app.app.store.catalog, undefined, 10_000);
    return {
      history: all.body.entry.map(({ request, response }: { request: object; response: object }) => ({
        request,
        response,
      })),
      patients: await it.count('Patient'),
      observations: await it.count('Observation'),
      binaries: await it.count('Binary'),
      feed: feed.entries,
    };
  }

  const id = fresh();
  const twice = fresh();
  beforeAll(async () => {
    await it.put(`Patient/${id}`, patient(id, { id, gender: 'female' })).expect(201);
    await it.created(patient(twice));
    await it.created(patient(twice));
  });

  const twin = urn();
  test.each<[string, () => Entry[]]>([
    ['an invalid resource', () => [posting(patient('1', { gender: 'x' }))]],
    ['a version that is not the one', () => [putting(patient(id, { id }), { ifMatch: 'W/"9"' })]],
    ['a conditional reference without match', () => [posting(observation(where(fresh())))]],
    ['a conditional reference with two', () => [posting(observation(where(twice)))]],
    ['ifNoneExist with two matches', () => [posting(patient(twice), { ifNoneExist: identified(twice) })]],
    ['a conditional update with two matches', () => [putting(patient(twice), { url: where(twice) })]],
    ['a conditional update of another id', () => [putting(patient(id, { id: fresh() }), { url: where(id) })]],
    [
      'a conditional update to create what is there',
      () => [putting(patient('1', { id }), { url: where(fresh()) })],
    ],
    ['a conditional delete with two matches', () => [deleting(where(twice))]],
    ['one identity twice', () => [putting(patient(id, { id })), deleting(`Patient/${id}`)]],
    [
      'one fullUrl twice',
      () => [posting(patient('1'), { fullUrl: twin }), posting(patient('1'), { fullUrl: twin })],
    ],
    [
      'a patch that does not apply',
      () => [patching(`Patient/${id}`, [{ op: 'test', path: '/gender', value: 'male' }])],
    ],
    ['a patch of nothing', () => [patching('Patient/nobody', [{ op: 'remove', path: '/gender' }])]],
    [
      'a patch with an invalid result',
      () => [patching(`Patient/${id}`, [{ op: 'replace', path: '/gender', value: 'x' }])],
    ],
    ['a search that cannot be', () => [getting('Patient?nonsense=1')]],
  ])('by %s', async (_what, failing) => {
    const before = await world();
    const { status, body } = await it.transaction([
      posting(patient(fresh())),
      putting(patient(fresh(), { id: fresh() })),
      posting(observation(`Patient/${id}`)),
      posting({ resourceType: 'Binary', contentType: 'text/plain', data: 'eA==' }),
      ...failing(),
    ]);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(body.resourceType).toBe('OperationOutcome');
    expect(body.issue[0].expression[0]).toMatch(/^Bundle\.entry\[[45]\]/);
    expect(await world()).toEqual(before);
  });

  test('ids that a failed transaction would have created are free', async () => {
    const own = fresh();
    await it.failed(
      [putting(patient(fresh(), { id: own })), posting(patient('1', { gender: 'x' }))],
      [400, 422],
    );
    await app.send('get', `/Patient/${own}`).expect(404);
    await app.send('get', `/Patient/${own}/_history`).expect(404);
    const made = await it.put(`Patient/${own}`, patient(fresh(), { id: own })).expect(201);
    expect(made.body.meta.versionId).toBe('1');
  });

  test('what the store keeps agrees', async () => {
    expect(await inconsistencies(app.app.pool, app.app.definitions, { baseUrl: app.base })).toEqual([]);
  });
});

describe('RFC 9110 §15.5: what is wrong with a request is never told as 5xx', () => {
  const valid = (): Entry[] => [
    posting(patient(fresh(), { managingOrganization: { reference: 'Organization?identifier=1' } }), {
      fullUrl: urn(),
      ifNoneExist: 'identifier=x|y',
    }),
    putting(patient(fresh(), { id: 'a' }), { ifMatch: 'W/"1"', ifNoneMatch: '*' }),
    putting(patient(fresh()), { url: where('z') }),
    patching('Patient/a', [{ op: 'add', path: '/gender', value: 'male' }], { ifMatch: 'W/"1"' }),
    {
      resource: fhirPathPatch({
        type: 'add',
        path: 'Patient',
        name: 'active',
        value: { valueBoolean: true },
      }),
      request: { method: 'PATCH', url: where('z') },
    },
    posting({ resourceType: 'Binary', contentType: 'text/plain', data: 'eA==' }),
    getting('Patient/a', { ifNoneMatch: 'W/"1"', ifModifiedSince: '2026-01-01T00:00:00Z' }),
    getting('Patient?identifier=1&_count=2'),
    deleting(where('z')),
  ];

  test.each(['transaction', 'batch'])(
    'a %s with any one thing in it left out, or exchanged for another',
    async (type) => {
      const failing: string[] = [];
      for (const entry of valid())
        await Promise.all(
          spoiled({ entry: [entry] }).map(async (spoilt) => {
            const { status, body } = await send({ resourceType: 'Bundle', type, ...spoilt });
            const each = body.type === 'batch-response' ? statusesOf(body.entry ?? []) : [];
            if ([String(status), ...each].some((one) => one >= '500')) failing.push(JSON.stringify(spoilt));
          }),
        );
      expect(failing).toEqual([]);
    },
    60_000,
  );
});

describe('R4 http 3.1.0.11: SMART scopes', () => {
  test('what the caller may not do fails the whole, naming the entry', async () => {
    const value = fresh();
    const token = await app.app.issueToken({
      scope: 'system/Patient.cruds system/Observation.rs',
      client: 'test',
      minutes: 5,
    });
    const entry = [posting(patient(value)), posting(observation('Patient/1'))];
    const { body } = await send({ resourceType: 'Bundle', type: 'transaction', entry })
      .set('Authorization', `Bearer ${token}`)
      .expect(403);
    expect(body.issue[0].expression[0]).toMatch(/^Bundle\.entry\[1\]/);
    expect(await it.count(where(value))).toBe(0);
  });
});

describe('R4 http 3.1.0.11.4: other Bundle types are not for the base', () => {
  test.each(['document', 'message', 'collection', 'history', 'searchset', 'transaction-response'])(
    '%s is 400, which says what is',
    async (type) => {
      const value = fresh();
      const { body } = await send({ resourceType: 'Bundle', type, entry: [posting(patient(value))] }).expect(
        400,
      );
      expect(body.issue[0].expression).toEqual(['Bundle.type']);
      expect(body.issue[0].diagnostics).toMatch(/transaction/);
      expect(body.issue[0].diagnostics).toMatch(/batch/);
      if (['document', 'message', 'collection'].includes(type))
        expect(body.issue[0].diagnostics).toContain('/Bundle');
      expect(await it.count(where(value))).toBe(0);
    },
  );

  test.each([
    ['no type', { resourceType: 'Bundle' }],
    ['another resource', patient('1')],
    ['no entries but an object', { resourceType: 'Bundle', type: 'transaction', entry: {} }],
    ['nothing', ''],
    ['half a text', '{"resourceType":"Bundle","type":"transaction","entry":[{'],
    ['duplicate members', '{"resourceType":"Bundle","type":"transaction","type":"batch"}'],
  ])('%s is 400', async (_what, body) => {
    const answer = await send(body).expect(400);
    expect(answer.body.resourceType).toBe('OperationOutcome');
  });
});
