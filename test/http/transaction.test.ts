import { startApp, type TestApp } from './app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const FHIR = 'application/fhir+json';
const bundle = (...entry: unknown[]) => ({ resourceType: 'Bundle', type: 'transaction', entry });
const send = (body: string | object) => app.send('post', '/').type(FHIR).send(body);
const patient = { resourceType: 'Patient' };
const create = { resource: patient, request: { method: 'POST', url: 'Patient' } };

describe('R4 http.html#transaction', () => {
  test('carries out all entries, resolves urn:uuid references, and tells what became of each', async () => {
    const urn = 'urn:uuid:11111111-2222-4333-8444-555555555555';
    const { body } = await send(
      bundle(
        {
          resource: {
            resourceType: 'Observation',
            status: 'final',
            code: { text: 'x' },
            subject: { reference: urn },
          },
          request: { method: 'POST', url: 'Observation' },
        },
        { ...create, fullUrl: urn },
        { resource: { ...patient, id: 'put-1' }, request: { method: 'PUT', url: 'Patient/put-1' } },
        { request: { method: 'DELETE', url: 'Patient/never' } },
      ),
    ).expect(200);
    expect(body).toMatchObject({ resourceType: 'Bundle', type: 'transaction-response' });
    const responses = body.entry.map(({ response }: { response: { status: string } }) => response.status);
    expect(responses).toEqual(['201 Created', '201 Created', '201 Created', '204 No Content']);
    const [observation, subject, put] = body.entry;
    expect(observation.resource).toBeUndefined();
    expect(observation.response).toMatchObject({ etag: 'W/"1"', lastModified: expect.stringMatching(/Z$/) });
    expect(put.response.location).toBe('Patient/put-1/_history/1');
    const place = subject.response.location.replace(/\/_history\/1$/, '');
    const read = await app.send('get', `/${observation.response.location}`).expect(200);
    expect(read.body.subject.reference).toBe(place);
  });

  test('#ops: Prefer return=representation brings the resources', async () => {
    const { body } = await send(bundle(create)).set('Prefer', 'return=representation').expect(200);
    const [{ fullUrl, resource }] = body.entry;
    expect(fullUrl).toBe(`${app.base}/Patient/${resource.id}`);
    expect(resource.meta.versionId).toBe('1');
    const outcome = await send(bundle(create)).set('Prefer', 'return=OperationOutcome').expect(200);
    expect(outcome.body.entry[0].response.outcome).toMatchObject({ resourceType: 'OperationOutcome' });
  });

  test('numbers keep their digits', async () => {
    const text = JSON.stringify(
      bundle({
        resource: {
          resourceType: 'Observation',
          status: 'final',
          code: { text: 'x' },
          valueQuantity: { value: 17 },
        },
        request: { method: 'POST', url: 'Observation' },
      }),
    );
    const { body } = await send(text.replace('17', '1.700')).expect(200);
    const read = await app.send('get', `/${body.entry[0].response.location}`).expect(200);
    expect(read.text).toContain('"value":1.700');
  });

  test('all or nothing: one bad entry undoes the others, and is named', async () => {
    const before = (await app.send('get', '/Patient?_summary=count').expect(200)).body.total;
    const bad = { resource: { ...patient, gender: 'x' }, request: { method: 'POST', url: 'Patient' } };
    const { body, status } = await send(bundle(create, bad));
    expect([400, 422]).toContain(status);
    expect(body.issue[0].expression[0]).toMatch(/^Bundle\.entry\[1\]/);
    expect((await app.send('get', '/Patient?_summary=count').expect(200)).body.total).toBe(before);
  });

  test('ifMatch is judged', async () => {
    const put = (ifMatch: string) => ({
      resource: { ...patient, id: 'matched' },
      request: { method: 'PUT', url: 'Patient/matched', ifMatch },
    });
    await app
      .send('put', '/Patient/matched')
      .type(FHIR)
      .send({ ...patient, id: 'matched' })
      .expect(201);
    const { body } = await send(bundle(put('W/"7"'))).expect(412);
    expect(body.issue[0].expression[0]).toMatch(/^Bundle\.entry\[0\]/);
    await send(bundle(put('W/"1"'))).expect(200);
  });

  test.each(['W/"9999999999"', 'W/"0"', 'W/"abc"'])(
    'ifMatch %s, which no version has, is 412, whether there is something or not',
    async (ifMatch) => {
      const { id } = (await app.send('post', '/Patient').type(FHIR).send(patient).expect(201)).body;
      const awaiting = {
        resourceType: 'Basic',
        code: { text: 'x' },
        subject: { reference: 'Patient/awaited' },
      };
      await app.send('post', '/Basic').type(FHIR).send(awaiting).expect(201);
      for (const each of [id, 'nobody', 'awaited']) {
        const url = `Patient/${each}`;
        const put = { resource: { ...patient, id: each }, request: { method: 'PUT', url, ifMatch } };
        await send(bundle(put)).expect(412);
        await send(bundle({ request: { method: 'DELETE', url, ifMatch } })).expect(412);
      }
    },
  );

  test('ifMatch with megabytes of tags is 400', async () => {
    const request = { method: 'DELETE', url: 'Patient/1', ifMatch: `${'"",'.repeat(3e6)}""` };
    const { body } = await send(bundle({ request })).expect(400);
    expect(body.issue[0].diagnostics.length).toBeLessThan(300);
  });

  test('ifNoneMatch "*" leaves what is there, also what was deleted, and shows only what is', async () => {
    const put = (id: string) => ({
      resource: { ...patient, id },
      request: { method: 'PUT', url: `Patient/${id}`, ifNoneMatch: '*' },
    });
    await send(bundle(put('there'), put('gone'))).expect(200);
    await app.send('delete', '/Patient/gone').expect(204);
    for (const path of ['/', '/?_pretty=true']) {
      const { body } = await app
        .send('post', path)
        .type(FHIR)
        .set('Prefer', 'return=representation')
        .send(bundle(put('there'), put('gone'), create))
        .expect(200);
      expect(body.entry.map(({ response }: { response: object }) => response)).toMatchObject([
        { status: '304 Not Modified', etag: 'W/"1"' },
        { status: '304 Not Modified', etag: 'W/"2"' },
        { status: '201 Created' },
      ]);
      expect(body.entry[1].resource).toBeUndefined();
      expect(body.entry[2].resource.resourceType).toBe('Patient');
    }
  });

  test('of nothing: an answer without entries', async () => {
    const { body } = await send({ resourceType: 'Bundle', type: 'transaction' }).expect(200);
    expect(body.entry).toBeUndefined();
  });

  test('a fault in an entry is placed in the whole text', async () => {
    const text =
      '{"resourceType":"Bundle","type":"transaction","entry":[\n{"request":{"method":"POST","url":"Patient"},\n"resource":{"resourceType":"Patient","active":true,"active":true}}]}';
    const { body } = await send(text).expect(400);
    expect(body.issue[0].diagnostics).toMatch(/line 3 column 52/);
  });
});

describe('what is wrong names the entry', () => {
  const request = (more: object) => ({ ...create, request: { ...create.request, ...more } });
  test.each([
    ['PATCH without a patch', request({ method: 'PATCH', url: 'Patient/1' }), 'value'],
    ['ifNoneExist with PUT', request({ method: 'PUT', url: 'Patient/1', ifNoneExist: 'name=a' }), 'invalid'],
    ['ifNoneMatch with POST', request({ ifNoneMatch: '*' }), 'invalid'],
    ['ifMatch with POST', request({ ifMatch: 'W/"1"' }), 'invalid'],
    ['a condition without a filter', request({ method: 'PUT', url: 'Patient?_count=1' }), 'not-supported'],
    ['an empty condition', request({ method: 'PUT', url: 'Patient?' }), 'required'],
    ['an unknown parameter', request({ ifNoneExist: 'shoe=1' }), 'not-supported'],
    ['unknown type', request({ url: 'Patinet' }), 'not-supported'],
    ['id for POST', request({ url: 'Patient/1' }), 'value'],
    ['no id for PUT', request({ method: 'PUT', url: 'Patient' }), 'value'],
    ['no url', { ...create, request: { method: 'POST' } }, 'required'],
    ['url that is none', request({ url: 7 }), 'required'],
    ['no method', { ...create, request: { url: 'Patient' } }, 'value'],
    ['no request', { resource: patient }, 'required'],
    ['no resource', { request: create.request }, 'required'],
    ['list of tags', request({ method: 'PUT', url: 'Patient/1', ifMatch: 'W/"1", W/"2"' }), 'value'],
    ['null', null, 'required'],
    ['a number', 7, 'required'],
  ])('%s', async (_what, entry, code) => {
    const { body } = await send(bundle(create, entry)).expect(400);
    expect(body.issue[0].code).toBe(code);
    expect(body.issue[0].expression[0]).toMatch(/^Bundle\.entry\[1\]/);
  });

  test.each([
    [{ resourceType: 'Bundle', type: 'collection', entry: [create] }, 'transaction'],
    [{ resourceType: 'Bundle', type: 'transaction', entry: {} }, 'entry'],
    [patient, 'Bundle'],
  ])('%j is 400', async (body, word) => {
    const answer = await send(body).expect(400);
    expect(answer.body.issue[0].diagnostics).toContain(word);
  });
});
