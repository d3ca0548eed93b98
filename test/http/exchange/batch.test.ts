/** R4 http 3.1.0.11.1: batch processing rules. */
import { jest } from '@jest/globals';
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

describe('R4 http 3.1.0.11.1: 200 regardless of the success of the operations within', () => {
  test('however many entries are not understood, definitions are looked up once for all', async () => {
    const looked = jest.spyOn(app.app.records, 'refreshDefinitions');
    const answers = await it.each(Array.from({ length: 20 }, () => getting('Patient?no-such=1')));
    expect(statusesOf(answers)).toEqual(Array(20).fill('400'));
    expect(looked).toHaveBeenCalledTimes(1);
    looked.mockRestore();
  });

  test('each entry has its own outcome, in the order of the request', async () => {
    const [value, kept, gone] = [fresh(), fresh(), fresh()];
    await it.put(`Patient/${kept}`, patient(value, { id: kept })).expect(201);
    await it.put(`Patient/${gone}`, patient(fresh(), { id: gone })).expect(201);
    const answers = await it.each([
      getting(`Patient/${kept}`),
      posting(patient(fresh())),
      posting(patient(fresh(), { gender: 'x' })),
      deleting(`Patient/${gone}`),
      getting('Patient/nobody'),
      putting(patient(fresh(), { id: fresh() })),
      posting(patient(value), { ifNoneExist: identified(value) }),
      putting(patient(fresh(), { id: kept }), { ifMatch: 'W/"7"' }),
      patching('Patient/nobody', [{ op: 'add', path: '/active', value: true }]),
      heading(`Patient/${kept}`),
    ]);
    const statuses = statusesOf(answers);
    expect([statuses[0], statuses[1]]).toEqual(['200', '201']);
    expect(['400', '422']).toContain(statuses[2]);
    expect(statuses.slice(3)).toEqual(['204', '404', '201', '200', '412', '404', '200']);
    expect(answers[0]?.resource.id).toBe(kept);
    expect(placeOf(answers[6]!)).toBe(`Patient/${kept}`);
    expect(await it.versions(`Patient/${kept}`)).toBe(1);
  });

  test('status is the code and its reason', async () => {
    const answers = await it.each([
      posting(patient(fresh())),
      getting('Patient/nobody'),
      deleting('Patient/nobody'),
    ]);
    expect(answers.map(({ response }) => response.status)).toEqual([
      '201 Created',
      '404 Not Found',
      '204 No Content',
    ]);
  });

  test('an entry that fails has its OperationOutcome, which names the entry', async () => {
    const [, invalid, missing] = await it.each([
      posting(patient(fresh())),
      posting(patient(fresh(), { gender: 'x' })),
      getting('Patient/nobody'),
    ]);
    expect(invalid?.response.outcome).toMatchObject({
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'error', expression: [expect.stringMatching(/^Bundle\.entry\[1\].*gender/)] }],
    });
    expect(missing?.response.outcome).toMatchObject({ issue: [{ severity: 'error', code: 'not-found' }] });
    expect(invalid?.resource).toBeUndefined();
  });

  test.each([
    ['no request', { resource: patient('1') }, '400'],
    ['no method', { request: { url: 'Patient' } }, '400'],
    ['an unknown method', { request: { method: 'BREW', url: 'Patient' } }, '400'],
    ['no url', { request: { method: 'GET' } }, '400'],
    [
      'a url of another server',
      { request: { method: 'GET', url: 'http://other.example.org/Patient/1' } },
      '400',
    ],
    ['a POST without resource', { request: { method: 'POST', url: 'Patient' } }, '400'],
    ['an unknown parameter', { request: { method: 'GET', url: 'Patient?nonsense=1' } }, '400'],
    ['an unknown type', { request: { method: 'GET', url: 'Patinet/1' } }, '404'],
    ['null', null, '400'],
    ['a number', 7, '400'],
  ])('%s fails that entry alone', async (_what, entry, status) => {
    const answers = await it.each([posting(patient(fresh())), entry as never, posting(patient(fresh()))]);
    const found = statusesOf(answers);
    expect([found[0], found[2]]).toEqual(['201', '201']);
    // what names nothing is 404 as a request of its own; as an entry it may be 400, too
    expect(status === '404' ? ['400', '404'] : [status]).toContain(found[1]);
    expect(answers[1]?.response.outcome?.issue[0]?.diagnostics).toBeTruthy();
  });

  test('no entries: an answer without entries', async () => {
    const { body } = await app
      .send('post', '/')
      .type(FHIR)
      .send({ resourceType: 'Bundle', type: 'batch' })
      .expect(200);
    expect(body.type).toBe('batch-response');
    expect(body.entry).toBeUndefined();
  });

  test('what is no Bundle at all is 400', async () => {
    await app
      .send('post', '/')
      .type(FHIR)
      .send('{"resourceType":"Bundle","type":"batch","entry":[')
      .expect(400);
    await app
      .send('post', '/')
      .type(FHIR)
      .send({ resourceType: 'Bundle', type: 'batch', entry: {} })
      .expect(400);
  });
});

describe('R4 http 3.1.0.11: each entry is processed as if it were an individual interaction', () => {
  test('read, vread, search, history, with the resource or Bundle', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    await it.put(`Patient/${id}`, patient(value, { id, gender: 'male' })).expect(200);
    const [read, vread, search, history, all] = await it.each([
      getting(`Patient/${id}`),
      getting(`Patient/${id}/_history/1`),
      getting(`Patient?${identified(value)}`),
      getting(`Patient/${id}/_history`),
      getting('Patient/_history?_count=1'),
    ]);
    expect(read).toMatchObject({ resource: { id, gender: 'male' }, response: { etag: 'W/"2"' } });
    expect(vread).toMatchObject({ resource: { id, meta: { versionId: '1' } }, response: { etag: 'W/"1"' } });
    expect(search?.resource).toMatchObject({
      resourceType: 'Bundle',
      type: 'searchset',
      entry: [{ resource: { id } }],
    });
    expect(history?.resource).toMatchObject({ resourceType: 'Bundle', type: 'history', total: 2 });
    expect(all?.resource.entry).toHaveLength(1);
  });

  test('parameters of reads and searches, and links of what they answer', async () => {
    const value = fresh();
    const id = await it.created(patient(value, { gender: 'male' }));
    await it.created(patient(value));
    const [part, count, page] = await it.each([
      getting(`Patient/${id}?_elements=gender`),
      getting(`Patient?${identified(value)}&_summary=count`),
      getting(`Patient?${identified(value)}&_count=1`),
    ]);
    expect(part?.resource).toMatchObject({ id, gender: 'male' });
    expect(part?.resource.identifier).toBeUndefined();
    expect(count?.resource).toMatchObject({ type: 'searchset', total: 2 });
    expect(page?.resource.entry).toHaveLength(1);
    const next = page?.resource.link.find(({ relation }: { relation: string }) => relation === 'next').url;
    expect(next.startsWith(`${app.base}/Patient?`)).toBe(true);
    const { body } = await app.send('get', next.slice(app.base.length)).expect(200);
    expect(body.entry).toHaveLength(1);
  });

  test('conditional read (3.1.0.1.7): 304, without the resource', async () => {
    const id = await it.created(patient(fresh()));
    const { meta } = await it.read(`Patient/${id}`);
    const later = new Date(Date.parse(meta.lastUpdated) + 5000).toISOString();
    const earlier = new Date(Date.parse(meta.lastUpdated) - 5000).toISOString();
    const answers = await it.each([
      getting(`Patient/${id}`, { ifNoneMatch: 'W/"1"' }),
      getting(`Patient/${id}`, { ifNoneMatch: 'W/"2"' }),
      getting(`Patient/${id}`, { ifModifiedSince: later }),
      getting(`Patient/${id}`, { ifModifiedSince: earlier }),
    ]);
    expect(answers.map(({ response }) => response.status)).toEqual([
      '304 Not Modified',
      '200 OK',
      '304 Not Modified',
      '200 OK',
    ]);
    expect(answers.map(({ resource }) => resource?.id)).toEqual([undefined, id, undefined, id]);
  });

  test('deleted is 410, a version of it that is the deletion too', async () => {
    const id = await it.created(patient(fresh()));
    await app.send('delete', `/Patient/${id}`).expect(204);
    const answers = await it.each([
      getting(`Patient/${id}`),
      getting(`Patient/${id}/_history/2`),
      getting(`Patient/${id}/_history/1`),
    ]);
    expect(statusesOf(answers)).toEqual(['410', '410', '200']);
  });

  test('HEAD is answered as GET is, without the resource (3.1.0.15)', async () => {
    const id = await it.created(patient(fresh()));
    const [head, missing] = await it.each([heading(`Patient/${id}`), heading('Patient/nobody')]);
    expect(head).toMatchObject({ response: { status: '200 OK', etag: 'W/"1"' } });
    expect(head?.resource).toBeUndefined();
    expect(missing?.response.status).toBe('404 Not Found');
  });

  test('conditional interactions, each with its own counts of matches', async () => {
    const [none, one, two] = [fresh(), fresh(), fresh()];
    for (const value of [one, two, two]) await it.created(patient(value));
    const active = [{ op: 'add', path: '/active', value: true }];
    const answers = await it.each([
      posting(patient(two), { ifNoneExist: identified(two) }),
      putting(patient(none), { url: `Patient?${identified(none)}` }),
      putting(patient(two), { url: `Patient?${identified(two)}` }),
      patching(`Patient?${identified(one)}`, active),
      patching(`Patient?${identified(two)}`, active),
      patching(`Patient?${identified(fresh())}`, active),
      deleting(`Patient?${identified(two)}`),
      deleting(`Patient?${identified(fresh())}`),
    ]);
    expect(statusesOf(answers)).toEqual(['412', '201', '412', '200', '412', '404', '412', '204']);
    expect(answers[0]?.response.outcome?.issue[0]).toMatchObject({ code: 'multiple-matches' });
  });

  test('a patch that is wrong fails its entry alone', async () => {
    const id = await it.created(patient(fresh(), { gender: 'female' }));
    const answers = await it.each([
      patching(`Patient/${id}`, [{ op: 'test', path: '/gender', value: 'male' }]),
      patching(`Patient/${id}`, { op: 'remove', path: '/gender' }),
      { resource: patient('1'), request: { method: 'PATCH', url: `Patient/${id}` } },
      {
        resource: fhirPathPatch({ type: 'replace', path: 'Patient.gender', value: { valueCode: 'x' } }),
        request: { method: 'PATCH', url: `Patient/${id}` },
      },
      getting(`Patient/${id}`),
    ]);
    const statuses = statusesOf(answers);
    expect(statuses.slice(0, 2)).toEqual(['422', '400']);
    expect(['400', '415']).toContain(statuses[2]);
    expect(['400', '422']).toContain(statuses[3]);
    expect(answers[4]?.resource).toMatchObject({ gender: 'female', meta: { versionId: '1' } });
  });

  test('urls may be absolute, under the base of this server', async () => {
    const id = await it.created(patient(fresh()));
    const answers = await it.each([
      getting(`${app.base}/Patient/${id}`),
      { resource: patient(fresh()), request: { method: 'POST', url: `${app.base}/Patient` } },
    ]);
    expect(statusesOf(answers)).toEqual(['200', '201']);
  });

  test('SMART scopes are judged entry by entry', async () => {
    const id = await it.created(patient(fresh()));
    const token = await app.app.issueToken({ scope: 'system/Patient.r', client: 'test', minutes: 5 });
    const { body } = await app
      .send('post', '/')
      .set('Authorization', `Bearer ${token}`)
      .type(FHIR)
      .send({
        resourceType: 'Bundle',
        type: 'batch',
        entry: [
          getting(`Patient/${id}`),
          posting(patient(fresh())),
          getting('Patient?gender=male'),
          deleting(`Patient/${id}`),
        ],
      })
      .expect(200);
    expect(statusesOf(body.entry)).toEqual(['200', '403', '403', '403']);
    await it.read(`Patient/${id}`);
  });
});

describe('R4 http 3.1.0.11.1: no interdependencies', () => {
  test('entries do not see each other: a urn:uuid stays as it was written', async () => {
    const name = urn();
    const [, made] = await it.each([
      posting(patient(fresh()), { fullUrl: name }),
      posting(observation(name), { fullUrl: urn() }),
    ]);
    expect((await it.read(placeOf(made!))).subject.reference).toBe(name);
  });

  test('3.1.0.11.2: a conditional reference is resolved in a transaction, and only in a transaction', async () => {
    const value = fresh();
    const id = await it.created(patient(value));
    const [answer] = await it.each([posting(observation(`Patient?${identified(value)}`))]);
    const [status] = statusesOf([answer!]);
    expect(['201', '400', '422']).toContain(status);
    if (status === '201')
      expect((await it.read(placeOf(answer!))).subject.reference).not.toBe(`Patient/${id}`);
  });

  test('a failure takes nothing along', async () => {
    const value = fresh();
    const answers = await it.each([
      posting(patient(value)),
      posting(patient(value, { birthDate: 'yesterday' })),
      posting(patient(value)),
    ]);
    expect(statusesOf(answers)[0]).toBe('201');
    expect(statusesOf(answers)[2]).toBe('201');
    expect(await it.count(`Patient?${identified(value)}`)).toBe(2);
  });

  test('digits and text stay as they were sent', async () => {
    const text =
      '{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.700}},"request":{"method":"POST","url":"Observation"}}]}';
    const { body } = await app.send('post', '/').type(FHIR).send(text).expect(200);
    const read = await app.send('get', `/${placeOf(body.entry[0])}`).expect(200);
    expect(read.text).toContain('"value":1.700');
  });
});

describe('R4 http 3.1.0.1.8: Prefer', () => {
  const entries = () => [posting(patient(fresh())), getting('Patient/nobody'), deleting('Patient/nobody')];

  test('return=minimal, and without it: no resources of writes', async () => {
    for (const prefer of [undefined, 'minimal']) {
      const [made] = await it.each(entries(), prefer);
      expect(made?.resource).toBeUndefined();
      expect(made?.response).toMatchObject({
        status: '201 Created',
        location: expect.stringMatching(/^Patient\/[^/]+\/_history\/1$/),
        etag: 'W/"1"',
        lastModified: expect.stringMatching(/^\d{4}-.*Z$/),
      });
    }
  });

  test('return=representation: the resources, with their fullUrl', async () => {
    const [made, missing] = await it.each(entries(), 'representation');
    expect(made?.fullUrl).toBe(`${app.base}/${placeOf(made!)}`);
    expect(made?.resource).toEqual(await it.read(placeOf(made!)));
    expect(missing?.resource).toBeUndefined();
  });

  test('return=OperationOutcome: the outcome of each', async () => {
    const [made] = await it.each(entries(), 'OperationOutcome');
    expect(made?.resource).toBeUndefined();
    expect(made?.response.outcome).toMatchObject({
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'information' }],
    });
  });
});
