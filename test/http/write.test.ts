import { gzipSync } from 'node:zlib';
import { startApp, type TestApp } from './app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ MAX_BODY: '65536' });
});
afterAll(() => app.close());

const FHIR = 'application/fhir+json';
const patient = (more: object = {}) => JSON.stringify({ resourceType: 'Patient', ...more });
const post = (body: string) => app.send('post', '/Patient').type(FHIR).send(body);
const put = (id: string, body: string) => app.send('put', `/Patient/${id}`).type(FHIR).send(body);

describe('R4 http.html#create', () => {
  test('answers 201 with Location, ETag, Last-Modified and the resource', async () => {
    const answer = await post(patient({ id: 'mine', meta: { versionId: '9' }, gender: 'other' })).expect(201);
    const { id, meta } = answer.body;
    expect(id).not.toBe('mine');
    expect(meta.versionId).toBe('1');
    expect(answer.headers).toMatchObject({
      location: `${app.base}/Patient/${id}/_history/1`,
      etag: 'W/"1"',
      'last-modified': new Date(meta.lastUpdated).toUTCString(),
    });
    const { body } = await app.send('get', `/Patient/${id}`).expect(200);
    expect(body).toEqual(answer.body);
  });

  test('a slash at the end is tolerated', () =>
    app.send('post', '/Patient/').type(FHIR).send(patient()).expect(201));
});

describe('R4 http.html#ops: Prefer', () => {
  test('return=minimal has no body', async () => {
    const answer = await post(patient()).set('Prefer', 'return=minimal').expect(201);
    expect(answer.text).toBe('');
    expect(answer.headers['content-length']).toBe('0');
    expect(answer.headers.location).toMatch(/_history\/1$/);
  });

  test('return=OperationOutcome tells what was done', async () => {
    const answer = await post(patient()).set('Prefer', 'return=OperationOutcome').expect(201);
    expect(answer.body).toMatchObject({
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'information' }],
    });
  });
});

describe('R4 http.html#update', () => {
  test('200 with the next version, no Location', async () => {
    const { id } = (await post(patient()).expect(201)).body;
    const answer = await put(id, patient({ id, gender: 'male' })).expect(200);
    expect(answer.body).toMatchObject({ id, gender: 'male', meta: { versionId: '2' } });
    expect(answer.headers.etag).toBe('W/"2"');
    expect(answer.headers.location).toBeUndefined();
  });

  test('#upsert: 201 with Location where there was nothing', async () => {
    const answer = await put('chosen', patient({ id: 'chosen' })).expect(201);
    expect(answer.headers.location).toBe(`${app.base}/Patient/chosen/_history/1`);
  });

  test("a body's id that differs, or is missing, is 400; so is an impossible one in the URL", async () => {
    await put('one', patient({ id: 'two' })).expect(400);
    await put('one', patient()).expect(400);
    await put('a_b', patient({ id: 'a_b' })).expect(400);
    await app.send('put', '/Patient/one').type(FHIR).send('{"resourceType":"Group","id":"one"}').expect(400);
  });
});

describe('R4 http.html#concurrency', () => {
  test('If-Match lets the version it names be changed; 412 names the current one', async () => {
    const { id } = (await post(patient()).expect(201)).body;
    await put(id, patient({ id, gender: 'male' }))
      .set('If-Match', 'W/"1"')
      .expect(200);
    const stale = await put(id, patient({ id })).set('If-Match', 'W/"1"').expect(412);
    expect(stale.body.issue[0].diagnostics).toContain('2');
    await put(id, patient({ id })).set('If-Match', 'W/"abc"').expect(412);
    await put(id, patient({ id, gender: 'other' }))
      .set('If-Match', 'W/"1", W/"2"')
      .expect(200);
    await put(id, patient({ id })).set('If-Match', '*').expect(200);
    await put(id, patient({ id })).set('If-Match', '3').expect(400);
    for (const tags of ['*', 'W/"1", W/"2"']) {
      await put('not-there', patient({ id: 'not-there' }))
        .set('If-Match', tags)
        .expect(412);
      await app.send('delete', '/Patient/not-there').set('If-Match', tags).expect(412);
    }
    await app.send('get', '/Patient/not-there').expect(404);
    await app.send('delete', `/Patient/${id}`).set('If-Match', 'W/"1"').expect(412);
    await app.send('delete', `/Patient/${id}`).set('If-Match', 'W/"4"').expect(204);
  });

  test.each(['W/"9999999999"', 'W/"999999999999999"', 'W/"0"', 'W/"01"', 'W/"abc"', '"-1"'])(
    'If-Match %s, which no version has, is 412, whether there is something or not',
    async (tag) => {
      const { id } = (await post(patient()).expect(201)).body;
      await put(id, patient({ id })).set('If-Match', tag).expect(412);
      await app.send('delete', `/Patient/${id}`).set('If-Match', tag).expect(412);
      await put('nobody', patient({ id: 'nobody' }))
        .set('If-Match', tag)
        .expect(412);
      await app.send('delete', '/Patient/nobody').set('If-Match', tag).expect(412);
      await app.send('get', '/Patient/nobody').expect(404);
      await app.send('get', `/Patient/${id}`).set('If-None-Match', tag).expect(200);
    },
  );

  test('If-Match W/"0" does not match what is referred to but was never written', async () => {
    await app
      .send('post', '/Group')
      .type(FHIR)
      .send({
        resourceType: 'Group',
        type: 'person',
        actual: true,
        member: [{ entity: { reference: 'Patient/to-come' } }],
      })
      .expect(201);
    for (const tag of ['W/"0"', 'W/"abc"']) {
      await put('to-come', patient({ id: 'to-come' }))
        .set('If-Match', tag)
        .expect(412);
      await app.send('delete', '/Patient/to-come').set('If-Match', tag).expect(412);
    }
  });

  test('of two writers with one If-Match exactly one wins', async () => {
    const { id } = (await post(patient()).expect(201)).body;
    for (let version = 1; version <= 10; version++) {
      const both = await Promise.all(
        ['male', 'female'].map((gender) =>
          put(
            id,
            patient({ id, gender, extension: [{ url: 'http://example.org/round', valueInteger: version }] }),
          ).set('If-Match', `W/"${version}"`),
        ),
      );
      expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
    }
  });
});

describe('R4 http.html#delete', () => {
  test('204; then 410 on read and vread of the deletion; history stays; PUT revives with 201', async () => {
    const { id } = (await post(patient()).expect(201)).body;
    const gone = await app.send('delete', `/Patient/${id}`).expect(204);
    expect(gone.headers.etag).toBe('W/"2"');
    expect(gone.headers['content-length']).toBeUndefined();
    const read = await app.send('get', `/Patient/${id}`).expect(410);
    expect(read.body.issue[0].code).toBe('deleted');
    await app.send('get', `/Patient/${id}/_history/2`).expect(410);
    await app.send('get', `/Patient/${id}/_history/1`).expect(200);
    const again = await put(id, patient({ id })).expect(201);
    expect(again.headers.etag).toBe('W/"3"');
  });

  test('what is not there can be deleted; Prefer has it told', async () => {
    await app.send('delete', '/Patient/never').expect(204);
    const answer = await app
      .send('delete', '/Patient/never')
      .set('Prefer', 'return=OperationOutcome')
      .expect(200);
    expect(answer.body.issue[0].diagnostics).toContain('Patient/never');
  });
});

describe('R4 http.html#Status-Codes: bodies that are refused', () => {
  test('bad JSON: 400 with line and column', async () => {
    const answer = await post('{"resourceType":"Patient",\n "gender":}').expect(400);
    expect(answer.body.issue[0]).toMatchObject({ severity: 'error', code: 'structure' });
    expect(answer.body.issue[0].diagnostics).toMatch(/line 2 column 11/);
  });

  test('wrong structure: 400 or 422 with expression', async () => {
    const answer = await post(patient({ gendre: 'male', birthDate: 'yesterday' }));
    expect([400, 422]).toContain(answer.status);
    const expressions = answer.body.issue.flatMap(({ expression }: { expression: string[] }) => expression);
    expect(expressions).toEqual(expect.arrayContaining(['Patient.birthDate']));
  });

  test.each([
    ['duplicate keys', '{"resourceType":"Patient","active":true,"active":false}'],
    ['__proto__', '{"resourceType":"Patient","__proto__":{"active":true}}'],
    ['no object', '[1]'],
    ['nothing', ''],
    ['another type', '{"resourceType":"Group"}'],
    ['depth', `{"resourceType":"Patient","extension":${'[{"extension":'.repeat(60)}[]${'}]'.repeat(60)}}`],
  ])('%s: 4xx', async (_what, body) => {
    const answer = await post(body);
    expect([400, 422]).toContain(answer.status);
    expect(answer.body.resourceType).toBe('OperationOutcome');
  });

  test('too large, also unpacked: 413 naming the limit', async () => {
    const large = patient({ name: [{ family: 'x'.repeat(70_000) }] });
    const plain = await post(large).expect(413);
    expect(plain.body.issue[0]).toMatchObject({ code: 'too-long' });
    expect(plain.body.issue[0].diagnostics).toContain('65536');
    const packed = gzipSync(large);
    expect(packed.length).toBeLessThan(65_536);
    const send = app.send('post', '/Patient').type(FHIR).set('Content-Encoding', 'gzip');
    await send
      .serialize((body) => body as unknown as string)
      .send(packed)
      .expect(413);
  });

  test('packed bodies are read', async () => {
    const send = app.send('post', '/Patient').type(FHIR).set('Content-Encoding', 'gzip');
    const packed = gzipSync(patient({ gender: 'female' }));
    const { body } = await send
      .serialize((body) => body as unknown as string)
      .send(packed)
      .expect(201);
    expect(body.gender).toBe('female');
  });

  test('what is not UTF-8: 400', async () => {
    const send = app
      .send('post', '/Patient')
      .type(FHIR)
      .serialize((body) => body as unknown as string);
    const answer = await send
      .send(Buffer.from('{"resourceType":"Patient","language":"\xff"}', 'latin1'))
      .expect(400);
    expect(answer.body.issue[0].diagnostics).toContain('UTF-8');
  });

  test.each([
    ['application/fhir+xml', '<Patient xmlns="http://hl7.org/fhir"/>'],
    ['text/plain', '{"resourceType":"Patient"}'],
    ['application/fhir+json; fhirVersion=5.0', '{"resourceType":"Patient"}'],
  ])('#mime-type: %s is 415', async (type, body) => {
    const answer = await app.send('post', '/Patient').set('Content-Type', type).send(body).expect(415);
    expect(answer.body.issue[0].diagnostics).toContain('fhir');
  });
});

describe('R4 http.html#concurrency, RFC 9110 §13: what a write does not judge is refused, not passed over', () => {
  test.each([
    ['post', '/Patient', 'If-Match', 'W/"1"'],
    ['post', '/Patient', 'If-Modified-Since', 'Tue, 24 Nov 2026 16:00:00 GMT'],
    ['put', '/Patient/guarded', 'If-None-Exist', 'identifier=1'],
    ['put', '/Patient/guarded', 'If-Unmodified-Since', 'Tue, 24 Nov 2026 16:00:00 GMT'],
    ['delete', '/Patient/guarded', 'If-None-Match', '*'],
  ] as const)('%s %s with %s', async (method, path, name, value) => {
    const sent = app.send(method, path).type(FHIR).set(name, value);
    const { body } = await (method === 'delete' ? sent : sent.send(patient({ id: 'guarded' }))).expect(400);
    expect(body.issue[0]).toMatchObject({
      code: 'not-supported',
      diagnostics: expect.stringMatching(/leave it out/),
    });
    await app.send('get', '/Patient/guarded').expect(404);
  });

  test('#trules: a conditional reference outside of a transaction is 400, as nothing would resolve it', async () => {
    const managingOrganization = { reference: 'Organization?identifier=1' };
    const { body } = await post(patient({ managingOrganization })).expect(400);
    expect(body.issue[0].expression).toEqual(['Patient.managingOrganization']);
  });
});
