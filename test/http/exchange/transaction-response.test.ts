/** R4 http 3.1.0.11.3: what a transaction answers, and 3.1.0.11: which interactions its entries may be. */
import { startApp, type TestApp } from '../app.ts';
import {
  deleting,
  exchanging,
  FHIR,
  fhirPathPatch,
  fresh,
  getting,
  heading,
  identified,
  observation,
  patching,
  patient,
  placeOf,
  posting,
  putting,
  statusesOf,
  urn,
} from './bundles.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
const it = exchanging(() => app);
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

describe('R4 http 3.1.0.11.3: one entry for each entry in the request, in the same order', () => {
  test('status, location, ETag and time of each', async () => {
    const [there, gone, made, value] = [fresh(), fresh(), fresh(), fresh()];
    await it.put(`Patient/${there}`, patient(value, { id: there })).expect(201);
    await it.put(`Patient/${gone}`, patient(fresh(), { id: gone })).expect(201);
    const [read, updated, created, removed, put, matched] = await it.done([
      getting(`Patient/${there}`),
      putting(patient(value, { id: there, gender: 'male' })),
      posting(patient(fresh())),
      deleting(`Patient/${gone}`),
      putting(patient(fresh(), { id: made })),
      posting(patient(fresh()), { ifNoneExist: identified(fresh()) }),
    ]);
    expect(read?.response).toMatchObject({ status: '200 OK', etag: 'W/"2"' });
    expect(updated?.response).toEqual({
      status: '200 OK',
      location: `Patient/${there}/_history/2`,
      etag: 'W/"2"',
      lastModified: expect.stringMatching(INSTANT),
    });
    expect(created?.response).toEqual({
      status: '201 Created',
      location: expect.stringMatching(/^Patient\/[^/]+\/_history\/1$/),
      etag: 'W/"1"',
      lastModified: expect.stringMatching(INSTANT),
    });
    expect(removed?.response).toMatchObject({
      status: '204 No Content',
      etag: 'W/"2"',
      lastModified: expect.stringMatching(INSTANT),
    });
    expect(put?.response).toMatchObject({ status: '201 Created', location: `Patient/${made}/_history/1` });
    expect(matched?.response.status).toBe('201 Created');
    for (const write of [updated, created, removed, put]) expect(write?.resource).toBeUndefined();
    const { meta } = await it.read(`Patient/${there}`);
    expect(updated?.response.lastModified).toBe(meta.lastUpdated);
  });

  test('what a condition finds is located, and 200', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const [found] = await it.done([posting(patient(value), { ifNoneExist: identified(value) })]);
    expect(found?.response).toMatchObject({
      status: '200 OK',
      location: `Patient/${id}/_history/1`,
      etag: 'W/"1"',
    });
  });

  test('conditional update: 201 where it creates, 200 where it updates; both are located', async () => {
    const [value, other, own] = [fresh(), fresh(), fresh()];
    const id = await it.created(patient(value));
    const [updated, created, chosen] = await it.done([
      putting(patient(value), { url: `Patient?${identified(value)}` }),
      putting(patient(other), { url: `Patient?${identified(other)}` }),
      putting(patient(fresh(), { id: own }), { url: `Patient?${identified(fresh())}` }),
    ]);
    expect(updated?.response).toMatchObject({ status: '200 OK', location: `Patient/${id}/_history/2` });
    expect(created?.response).toMatchObject({ status: '201 Created' });
    expect(chosen?.response).toMatchObject({
      status: '201 Created',
      location: `Patient/${own}/_history/1`,
    });
  });

  test('conditional delete: 204, whether there was something or not', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const entries = await it.done([
      deleting(`Patient?${identified(value)}`),
      deleting(`Patient?${identified(fresh())}`),
    ]);
    expect(statusesOf(entries)).toEqual(['204', '204']);
    await app.send('get', `/Patient/${id}`).expect(410);
  });

  test('PUT with ifNoneMatch *: where something is or was, 304, and nothing is written', async () => {
    const [there, gone, made] = [fresh(), fresh(), fresh()];
    await it.put(`Patient/${there}`, patient(fresh(), { id: there })).expect(201);
    await it.put(`Patient/${gone}`, patient(fresh(), { id: gone })).expect(201);
    await app.send('delete', `/Patient/${gone}`).expect(204);
    const entries = await it.done(
      [there, gone, made].map((id) => putting(patient(fresh(), { id }), { ifNoneMatch: '*' })),
    );
    expect(entries.map(({ response }) => response.status)).toEqual([
      '304 Not Modified',
      '304 Not Modified',
      '201 Created',
    ]);
    expect(await it.versions(`Patient/${there}`)).toBe(1);
    expect(await it.versions(`Patient/${gone}`)).toBe(2);
  });
});

describe('R4 http 3.1.0.1.8: Prefer', () => {
  test('return=representation: resources of writes, with their fullUrl', async () => {
    const [value, id] = [fresh(), fresh()];
    await it.created(patient(value));
    const entries = await it.done(
      [
        posting(patient(fresh())),
        putting(patient(fresh(), { id })),
        posting(patient(value), { ifNoneExist: identified(value) }),
        deleting('Patient/nobody'),
      ],
      'representation',
    );
    for (const entry of entries.slice(0, 3)) {
      expect(entry.resource).toEqual(await it.read(placeOf(entry)));
      expect(entry.fullUrl).toBe(`${app.base}/${placeOf(entry)}`);
    }
    expect(entries[3]?.resource).toBeUndefined();
  });

  test('return=OperationOutcome: response.outcome of each', async () => {
    const entries = await it.done(
      [posting(patient(fresh())), deleting('Patient/nobody')],
      'OperationOutcome',
    );
    for (const { resource, response } of entries) {
      expect(resource).toBeUndefined();
      expect(response.outcome).toMatchObject({
        resourceType: 'OperationOutcome',
        issue: [{ severity: 'information' }],
      });
    }
  });

  test('GET entries bring their resources whatever is preferred, HEAD entries none', async () => {
    const id = await it.created(patient(fresh()));
    for (const prefer of [undefined, 'minimal', 'representation', 'OperationOutcome']) {
      const [read, head] = await it.done([getting(`Patient/${id}`), heading(`Patient/${id}`)], prefer);
      expect(read?.resource).toMatchObject({ id });
      expect(head?.resource).toBeUndefined();
      expect(head?.response).toMatchObject({ status: '200 OK', etag: 'W/"1"' });
    }
  });
});

describe('R4 http 3.1.0.11: reads and searches in a transaction', () => {
  test('read, vread, search, history', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const [read, vread, search, history] = await it.done([
      getting(`Patient/${id}`),
      getting(`Patient/${id}/_history/1`),
      getting(`Patient?${identified(value)}`),
      getting(`Patient/${id}/_history`),
    ]);
    expect(read?.resource).toMatchObject({ resourceType: 'Patient', id });
    expect(vread?.resource).toMatchObject({ id, meta: { versionId: '1' } });
    expect(search?.resource).toMatchObject({
      resourceType: 'Bundle',
      type: 'searchset',
      entry: [{ fullUrl: `${app.base}/Patient/${id}`, resource: { id }, search: { mode: 'match' } }],
    });
    expect(history?.resource).toMatchObject({ resourceType: 'Bundle', type: 'history', total: 1 });
  });

  test('conditional read (3.1.0.1.7): 304', async () => {
    const id = await it.created(patient(fresh()));
    const [same, other] = await it.done([
      getting(`Patient/${id}`, { ifNoneMatch: 'W/"1"' }),
      getting(`Patient/${id}`, { ifNoneMatch: 'W/"2"' }),
    ]);
    expect(same?.response.status).toBe('304 Not Modified');
    expect(same?.resource).toBeUndefined();
    expect(other?.resource).toMatchObject({ id });
  });

  test('a read of what is not there: all or nothing', async () => {
    const value = fresh();
    const { body, status } = await it.transaction([posting(patient(value)), getting('Patient/nobody')]);
    if (status === 200) {
      expect(statusesOf(body.entry)).toEqual(['201', '404']);
      expect(await it.count(`Patient?${identified(value)}`)).toBe(1);
    } else {
      expect(status).toBe(404);
      expect(body.issue[0].expression[0]).toMatch(/^Bundle\.entry\[1\]/);
      expect(await it.count(`Patient?${identified(value)}`)).toBe(0);
    }
  });

  test('a search with an unknown parameter is 400, naming the entry', async () => {
    const issue = await it.failed([posting(patient(fresh())), getting('Patient?nonsense=1')], 400);
    expect(issue.expression?.[0]).toMatch(/^Bundle\.entry\[1\]/);
    expect(issue.diagnostics).toContain('nonsense');
  });
});

describe('binary.html: Binary entries', () => {
  const binary = (text: string, more: object = {}) => ({
    resourceType: 'Binary',
    contentType: 'text/plain',
    data: Buffer.from(text).toString('base64'),
    ...more,
  });

  test('are created, updated, and read back as they came in', async () => {
    const id = fresh();
    const [made, put] = await it.done([posting(binary('one')), putting(binary('two', { id }))]);
    expect(statusesOf([made!, put!])).toEqual(['201', '201']);
    const raw = await app.send('get', `/${placeOf(made!)}`).expect(200);
    expect(raw.headers['content-type']).toMatch(/^text\/plain/);
    expect(raw.text).toBe('one');
    const json = await app.send('get', `/Binary/${id}`).set('Accept', FHIR).expect(200);
    expect(json.body).toMatchObject(binary('two', { id }));
    const [read, gone] = await it.done([getting(placeOf(made!)), deleting(`Binary/${id}`)]);
    expect(read?.resource).toMatchObject(binary('one'));
    expect(gone?.response.status).toBe('204 No Content');
  });

  test('3.1.0.11.2: an attachment’s url leads to what was created', async () => {
    const name = urn();
    const [made, document] = await it.done([
      posting(binary('letter'), { fullUrl: name }),
      posting({
        resourceType: 'DocumentReference',
        status: 'current',
        content: [{ attachment: { contentType: 'text/plain', url: name } }],
      }),
    ]);
    const { content } = await it.read(placeOf(document!));
    expect(content[0].attachment.url).toBe(placeOf(made!));
  });

  test('data that is not base64 is refused, naming the entry; nothing is stored', async () => {
    const value = fresh();
    const issue = await it.failed([posting(patient(value)), posting(binary('', { data: '@@' }))], [400, 422]);
    expect(issue.expression?.[0]).toMatch(/^Bundle\.entry\[1\]/);
    expect(await it.count(`Patient?${identified(value)}`)).toBe(0);
  });

  test('return=representation has the data', async () => {
    const [made] = await it.done([posting(binary('one'))], 'representation');
    expect(made?.resource).toMatchObject(binary('one'));
  });
});

describe('R4 http 3.1.0.6: PATCH entries', () => {
  const birth = fhirPathPatch({
    type: 'add',
    path: 'Patient',
    name: 'birthDate',
    value: { valueDate: '1980-02-03' },
  });

  test('FHIRPath Patch by Parameters, JSON Patch by Binary', async () => {
    const [one, two] = [await it.created(patient(fresh())), await it.created(patient(fresh()))];
    const entries = await it.done(
      [
        { resource: birth, request: { method: 'PATCH', url: `Patient/${one}` } },
        patching(`Patient/${two}`, [{ op: 'add', path: '/gender', value: 'male' }]),
      ],
      'representation',
    );
    expect(entries.map(({ response }) => response)).toMatchObject([
      { status: '200 OK', location: `Patient/${one}/_history/2`, etag: 'W/"2"' },
      { status: '200 OK', location: `Patient/${two}/_history/2`, etag: 'W/"2"' },
    ]);
    expect(entries[0]?.resource).toMatchObject({ birthDate: '1980-02-03' });
    expect(entries[1]?.resource).toMatchObject({ gender: 'male' });
  });

  test('conditional: one match; none is 404, several are 412, for the whole Bundle', async () => {
    const [none, one, two] = [fresh(), fresh(), fresh()];
    for (const value of [one, two, two]) await it.created(patient(value));
    const of = (value: string) =>
      patching(`Patient?${identified(value)}`, [{ op: 'add', path: '/active', value: true }]);
    const [done] = await it.done([of(one)]);
    expect(done?.response.status).toBe('200 OK');
    const missing = await it.failed([posting(patient(none)), of(fresh())], 404);
    expect(missing).toMatchObject({
      code: 'not-found',
      expression: [expect.stringMatching(/^Bundle\.entry\[1\]/)],
    });
    const several = await it.failed([posting(patient(none)), of(two)], 412);
    expect(several).toMatchObject({
      code: 'multiple-matches',
      expression: [expect.stringMatching(/^Bundle\.entry\[1\]/)],
    });
    expect(await it.count(`Patient?${identified(none)}`)).toBe(0);
  });

  test('ifMatch is judged', async () => {
    const id = await it.created(patient(fresh()));
    const of = (ifMatch: string) =>
      patching(`Patient/${id}`, [{ op: 'add', path: '/active', value: true }], { ifMatch });
    const issue = await it.failed([of('W/"2"')], 412);
    expect(issue.expression?.[0]).toMatch(/^Bundle\.entry\[0\]/);
    await it.done([of('W/"1"')]);
  });

  test.each([
    ['a test that fails', [{ op: 'test', path: '/gender', value: 'male' }], 422],
    ['a path that leads nowhere', [{ op: 'remove', path: '/birthDate' }], 422],
    ['a document that is none', { op: 'remove', path: '/gender' }, 400],
  ])('%s fails the whole, naming the entry', async (_what, operations, status) => {
    const value = fresh();
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const issue = await it.failed([posting(patient(value)), patching(`Patient/${id}`, operations)], status);
    expect(issue.expression?.[0]).toMatch(/^Bundle\.entry\[1\]/);
    expect(await it.count(`Patient?${identified(value)}`)).toBe(0);
    expect(await it.versions(`Patient/${id}`)).toBe(1);
  });

  test('a result that is invalid fails the whole, naming entry and element', async () => {
    const id = await it.created(observation('Patient/1'));
    const issue = await it.failed(
      [patching(`Observation/${id}`, [{ op: 'replace', path: '/status', value: 'x' }])],
      [400, 422],
    );
    expect(issue.expression?.[0]).toMatch(/^Bundle\.entry\[0\].*status/);
  });

  test.each([
    ['a resource that is no patch', patient('1')],
    ['a Binary of another type', { resourceType: 'Binary', contentType: 'text/plain', data: 'W10=' }],
    ['a Binary without data', { resourceType: 'Binary', contentType: 'application/json-patch+json' }],
    ['nothing', undefined],
  ])('%s is refused, naming the entry', async (_what, resource) => {
    const id = await it.created(patient(fresh()));
    const issue = await it.failed(
      [posting(patient(fresh())), { resource, request: { method: 'PATCH', url: `Patient/${id}` } }],
      [400, 415, 422],
    );
    expect(issue.expression?.[0]).toMatch(/^Bundle\.entry\[1\]/);
  });

  test('of what was deleted: 410, of what never was: 404', async () => {
    const id = await it.created(patient(fresh()));
    await app.send('delete', `/Patient/${id}`).expect(204);
    const active = [{ op: 'add', path: '/active', value: true }];
    await it.failed([patching(`Patient/${id}`, active)], 410);
    await it.failed([patching('Patient/nobody', active)], 404);
  });
});
