/** Requests that are done later (R4 async.html, RFC 7240; the answer as R5 async-bundle.html has it). */
import { gzipSync } from 'node:zlib';
import request from 'supertest';
import { loadValidator } from '../../src/fhir/validate.ts';
import { connect } from '../../src/store/connect.ts';
import { until } from '../cli/consilium.ts';
import { startApp, type TestApp } from './app.ts';

let app: TestApp;
const FHIR = 'application/fhir+json';

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

type Method = 'get' | 'head' | 'post' | 'put' | 'patch' | 'delete';

/** Asks for something later; answers with the path of its status URL. */
async function later(
  method: Method,
  path: string,
  body?: string | object,
  headers: Record<string, string> = {},
): Promise<string> {
  const asked = app.send(method, path).set({ Prefer: 'respond-async', ...headers });
  if (body !== undefined && !headers['Content-Type']) asked.type(FHIR);
  // bytes go as they are, whatever their type says
  if (Buffer.isBuffer(body)) asked.serialize((bytes) => bytes as never);
  const { headers: answered } = await asked.send(body as string).expect(202);
  return pathOf(answered['content-location'] as string);
}

const pathOf = (url: string): string => {
  expect(url).toMatch(/^https:\/\/fhir\.example\.org\/fhir\/_async\/[\da-f-]{36}$/);
  return url.slice(app.base.length);
};

/** The Bundle in the end. */
async function answerAt(status: string) {
  const answer = await until(async () => {
    const polled = await app.send('get', status);
    return polled.status === 202 ? undefined : polled;
  });
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({
    resourceType: 'Bundle',
    type: 'batch-response',
    link: [{ relation: 'self', url: app.base + status }],
  });
  expect(answer.body.entry.length).toBe(1);
  return answer;
}

const entryAt = async (status: string) => (await answerAt(status)).body.entry[0];

/** Holds up what writes or reads resources until the end of `work`. */
async function heldUp<T>(work: () => Promise<T>): Promise<T> {
  const client = await connect(app.app.pool.options.connectionString as string);
  try {
    await client.query('begin; lock table resource in access exclusive mode');
    return await work();
  } finally {
    await client.end();
  }
}

describe('R4 async.html: a request that is done later', () => {
  test('is answered 202 with where its answer will be, and done', async () => {
    const asked = await app
      .send('put', '/Patient/later')
      .set('Prefer', 'respond-async')
      .type(FHIR)
      .send('{"resourceType":"Patient","id":"later","active":true}')
      .expect(202);
    expect(asked.headers['preference-applied']).toBe('respond-async');
    expect(asked.body).toMatchObject({
      resourceType: 'OperationOutcome',
      issue: [{ severity: 'information' }],
    });
    const { resource, response } = await entryAt(pathOf(asked.headers['content-location'] as string));
    expect(resource).toMatchObject({ resourceType: 'Patient', id: 'later', active: true });
    expect(response).toEqual({
      status: '201 Created',
      location: `${app.base}/Patient/later/_history/1`,
      etag: 'W/"1"',
      lastModified: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]+\.000Z$/),
    });
    await app.send('get', '/Patient/later').expect(200);
  });

  test('tells how far it is until then', async () => {
    const { waiting, status } = await heldUp(async () => {
      const status = await later('get', '/Patient?_id=later');
      return { status, waiting: await app.send('get', status).expect(202) };
    });
    expect(waiting.headers['x-progress']).toMatch(/^(waiting|running), asked for \d+ s ago$/);
    expect(waiting.headers['x-progress']?.length).toBeLessThan(100);
    expect(Number(waiting.headers['retry-after'])).toBeGreaterThan(0);
    expect(waiting.text).toBe('');
    expect((await entryAt(status)).resource).toMatchObject({ type: 'searchset' });
  });

  test('its answer says until when it is kept, as often as it is asked for', async () => {
    const status = await later('get', '/Patient/later');
    for (let n = 0; n < 2; n++) {
      const { headers, body } = await answerAt(status);
      const hours = (Date.parse(headers.expires as string) - Date.now()) / 3_600_000;
      expect(hours).toBeGreaterThan(23);
      expect(hours).toBeLessThanOrEqual(24);
      expect(body.entry[0].resource.id).toBe('later');
    }
  });

  test('R5 async-bundle: the answer is a valid Bundle, whatever was asked for', async () => {
    const validator = await loadValidator(app.app.definitions);
    const bundle = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        {
          resource: { resourceType: 'Basic', code: { text: 'x' } },
          request: { method: 'POST', url: 'Basic' },
        },
        { request: { method: 'GET', url: 'Patient?_id=later' } },
      ],
    };
    for (const status of [
      await later('post', '', bundle),
      await later('get', '/Patient/nobody'),
      await later('delete', '/Patient/nobody'),
      await later('post', '/Patient/_search', '_id=later', {
        'Content-Type': 'application/x-www-form-urlencoded',
      }),
    ]) {
      const { body } = await answerAt(status);
      expect(validator.validate(body)).toEqual([]);
    }
  });

  test.each([
    ['get', '/Patient/later', undefined, {}],
    ['get', '/Patient/later', undefined, { 'If-None-Match': 'W/"1"' }],
    ['get', '/Patient/nobody', undefined, {}],
    ['get', '/Patient?_id=later&_total=accurate', undefined, {}],
    ['get', '/Patient/later/_history', undefined, {}],
    ['get', '/Patient?nonsense=1', undefined, {}],
    ['post', '/Patient', '{"resourceType":"Patient","activ":true}', {}],
    ['post', '/Patient', '{"resourceType":', {}],
    ['post', '/Patient', 'x', { 'Content-Type': 'text/plain' }],
    ['put', '/Patient/later', '{"resourceType":"Patient","id":"later"}', { 'If-Match': 'W/"9"' }],
    ['patch', '/Patient/nobody', '[]', { 'Content-Type': 'application/json-patch+json' }],
    ['delete', '/Patient/never', undefined, { Prefer: 'respond-async, return=OperationOutcome' }],
    ['post', '', '{"resourceType":"Bundle","type":"history"}', {}],
  ] as const)('%s %s %s %j: the answer is what it would have been at once', async (...asked) => {
    const [method, path, body, headers] = asked;
    const [entry] = (await answerAt(await later(method, path, body, headers))).body.entry;
    const direct = app
      .send(method, path)
      .set({ ...headers, Prefer: 'return=OperationOutcome', Accept: FHIR } as Record<string, string>);
    if (!('Prefer' in headers)) direct.unset('Prefer');
    if (body !== undefined && !('Content-Type' in headers)) direct.type(FHIR);
    const answer = await direct.send(body);
    expect(entry.response.status).toMatch(new RegExp(`^${answer.status} `));
    expect(entry.response.etag).toBe(answer.headers.etag);
    const given = entry.resource ?? entry.response.outcome;
    if (answer.text === '') expect(given).toBeUndefined();
    else expect(given).toEqual(answer.body);
  });

  test('an OperationOutcome that was asked for is the resource', async () => {
    const text = {
      resourceType: 'OperationOutcome',
      id: 'kept',
      issue: [{ severity: 'error', code: 'value' }],
    };
    const put = await entryAt(await later('put', '/OperationOutcome/kept', text));
    expect(put).toMatchObject({ resource: { id: 'kept' }, response: { status: '201 Created' } });
    const prefer = { Prefer: 'respond-async; return=OperationOutcome' };
    const got = await entryAt(await later('get', '/OperationOutcome/kept', undefined, prefer));
    expect(got).toMatchObject({ resource: { id: 'kept' }, response: { status: '200 OK' } });
  });

  test('packed bodies, raw bytes and digits arrive as they were sent', async () => {
    const bytes = Buffer.from([0, 255, 1, 254]);
    const { response } = await entryAt(
      await later('put', '/Binary/bytes', bytes as object, { 'Content-Type': 'application/x-any' }),
    );
    expect(response.status).toBe('201 Created');
    const { resource } = await entryAt(await later('get', '/Binary/bytes'));
    expect(resource).toMatchObject({ contentType: 'application/x-any', data: bytes.toString('base64') });

    const patient = '{"resourceType":"Patient","id":"packed"}';
    const packed = await entryAt(
      await later('put', '/Patient/packed', gzipSync(patient) as object, {
        'Content-Type': FHIR,
        'Content-Encoding': 'gzip',
      }),
    );
    expect(packed).toMatchObject({ response: { status: '201 Created' } });
    await app.send('get', '/Patient/packed').expect(200);

    const observation =
      '{"resourceType":"Observation","id":"digits","status":"final","code":{"text":"ü"},"valueQuantity":{"value":1.00}}';
    await entryAt(await later('put', '/Observation/digits', observation));
    const { text } = await answerAt(await later('get', '/Observation/digits'));
    expect(text).toContain('"value":1.00');
    expect(text).toContain('ü');
  });

  test('an answer of several MB comes back whole', async () => {
    const name = 'ä'.repeat(800_000);
    for (const id of ['long-1', 'long-2', 'long-3'])
      await app
        .send('put', `/Basic/${id}`)
        .type(FHIR)
        .send({ resourceType: 'Basic', id, code: { text: name } });
    const { resource } = await entryAt(await later('get', '/Basic?_id=long-1,long-2,long-3'));
    expect(
      resource.entry.map((entry: { resource: { code: { text: string } } }) => entry.resource.code.text),
    ).toEqual([name, name, name]);
  });

  test('what cannot be done at all is refused at once', async () => {
    const asked = (path: string) => app.send('get', path).set('Prefer', 'respond-async');
    await asked('/Nonsense').expect(404);
    await asked('/Patient?_format=xml').expect(406);
    await app.send('patch', '').set('Prefer', 'respond-async').expect(405);
    const large = Buffer.alloc(17 * 1024 * 1024);
    await app.send('put', '/Binary/large').set('Prefer', 'respond-async').type('x/y').send(large).expect(413);
    await request(app.url).get('/fhir/Patient').set('Prefer', 'respond-async').expect(401);
    await request(app.url).get('/fhir/metadata').set('Prefer', 'respond-async').expect(200);
  });

  test('the log shows request and execution under the id that the client gave', async () => {
    await entryAt(await later('get', '/Patient/later', undefined, { 'X-Request-Id': 'my-own-1' }));
    const lines = app.log.map((line) => JSON.parse(line)).filter(({ id }) => id === 'my-own-1');
    expect(lines.map(({ status, route }) => [route, status])).toEqual([
      ['/fhir/:type/:id', 202],
      ['/fhir/:type/:id', 200],
    ]);
  });
});

describe('whose it is', () => {
  test('what is of somebody else, or nobody, is 404', async () => {
    const status = await later('get', '/Patient/later');
    await answerAt(status);
    const other = await app.app.issueToken({ scope: 'system/*.cruds', client: 'other', minutes: 5 });
    const as = (method: 'get' | 'delete', path: string) =>
      request(app.url)[method](`/fhir${path}`).set('Authorization', `Bearer ${other}`);
    await as('get', status).expect(404);
    await as('delete', status).expect(404);
    await request(app.url).get(`/fhir${status}`).expect(401);
    await app.send('get', '/_async/nonsense').expect(404);
    await app.send('get', '/_async/00000000-0000-4000-8000-000000000000').expect(404);
    await app.send('get', status).expect(200);
  });

  test('DELETE forgets the answer', async () => {
    const status = await later('get', '/Patient/later');
    await answerAt(status);
    await app.send('delete', status).expect(202);
    await app.send('get', status).expect(404);
    await app.send('delete', status).expect(404);
    expect(
      (await app.app.pool.query('select from job_part where job = $1', [status.slice(8)])).rowCount,
    ).toBe(0);
  });

  test('DELETE cancels: what was not written yet is not', async () => {
    await heldUp(async () => {
      const status = await later('put', '/Patient/cancelled', '{"resourceType":"Patient","id":"cancelled"}');
      await until(async () =>
        (await app.send('get', status)).headers['x-progress']?.startsWith('running') ? true : undefined,
      );
      await app.send('delete', status).expect(202);
      await app.send('get', status).expect(404);
    });
    // another one of the same resource comes after it
    await entryAt(await later('get', '/Patient/later'));
    await app.send('get', '/Patient/cancelled').expect(404);
  });

  test('it is done with the rights of then: a revoked token ends it with 401', async () => {
    const token = await app.app.issueToken({ scope: 'system/*.cruds', client: 'revoked', minutes: 5 });
    const { rows } = await app.app.pool.query('select max(number) as number from token');
    await heldUp(async () => {
      // what is done first keeps the others waiting
      for (let n = 0; n < 2; n++) await later('get', '/Patient/later');
      await request(app.url)
        .put('/fhir/Patient/unheard')
        .set({ Authorization: `Bearer ${token}`, Prefer: 'respond-async' })
        .type(FHIR)
        .send('{"resourceType":"Patient","id":"unheard"}')
        .expect(202);
      await app.app.pool.query('delete from token where number = $1', [rows[0].number]);
      await app.app.pool.query('update epoch set value = value + 1');
    });
    const { answer } = await until(
      async () =>
        (
          await app.app.pool.query(`select answer from job where state = 'd' and agent = $1`, [
            rows[0].number,
          ])
        ).rows[0],
    );
    expect(answer).toMatchObject({ status: 401, about: true });
    await app.send('get', '/Patient/unheard').expect(404);
  });

  test('a scope bounds it', async () => {
    const token = await app.app.issueToken({ scope: 'system/Basic.rs', client: 'little', minutes: 5 });
    const as = (path: string) =>
      request(app.url)
        .get(`/fhir${path}`)
        .set({ Authorization: `Bearer ${token}`, Prefer: 'respond-async' });
    const { headers } = await as('/Patient/later').expect(202);
    const status = pathOf(headers['content-location'] as string);
    const { body } = await until(async () => {
      const polled = await as(status);
      return polled.status === 200 ? polled : undefined;
    });
    expect(body.entry[0].response).toMatchObject({ status: '403 Forbidden', outcome: { issue: [{}] } });
  });
});

describe('limits', () => {
  test('a client may have 100 of them undone: 429', async () => {
    const token = await app.app.issueToken({ scope: 'system/*.cruds', client: 'eager', minutes: 5 });
    const ask = () =>
      request(app.url)
        .get('/fhir/Patient/later')
        .set({ Authorization: `Bearer ${token}`, Prefer: 'respond-async' });
    await heldUp(async () => {
      for (let n = 0; n < 100; n++) await ask().expect(202);
      const refused = await ask().expect(429);
      expect(refused.body.issue[0].code).toBe('throttled');
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      // and those of others still come in
      await later('get', '/Patient/later');
    });
  });

  test('an answer is gone when it has expired', async () => {
    const status = await later('get', '/Patient/later');
    await answerAt(status);
    await app.app.pool.query(`update job set expires = now() where id = $1`, [status.slice(8)]);
    await app.send('get', status).expect(404);
    await app.send('delete', status).expect(404);
  });
});
