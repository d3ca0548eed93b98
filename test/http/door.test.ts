import { get, type IncomingMessage } from 'node:http';
import request from 'supertest';
import { startApp, type TestApp } from './app.ts';

let app: TestApp;
let id: string;
const FHIR = 'application/fhir+json';

beforeAll(async () => {
  app = await startApp();
  const text = { resourceType: 'Patient', name: [{ family: 'x'.repeat(5000) }] };
  ({ id } = (await app.send('post', '/Patient').type(FHIR).send(text).expect(201)).body);
});
afterAll(() => app.close());

describe('RFC 6750: who may in', () => {
  test.each([
    ['nothing', undefined, undefined],
    ['an unknown token', 'Bearer nonsense', 'invalid_token'],
    ['no token', 'Bearer ', undefined],
    ['a password', 'Basic YTpi', undefined],
  ])('%s is 401 with a challenge', async (_what, header, fault) => {
    const call = request(app.url).get(`/fhir/Patient/${id}`);
    const answer = await (header === undefined ? call : call.set('Authorization', header)).expect(401);
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer realm="consilium"/);
    if (fault) expect(answer.headers['www-authenticate']).toContain(`error="${fault}"`);
    expect(answer.body).toMatchObject({ resourceType: 'OperationOutcome', issue: [{ code: 'login' }] });
  });

  test('the scheme is read in any case', async () => {
    await request(app.url).get(`/fhir/Patient/${id}`).set('Authorization', `bearer ${app.token}`).expect(200);
  });

  test('an expired token is 401', async () => {
    const token = await app.app.issueToken({ scope: 'system/*.r', client: 'test', minutes: -1 });
    await request(app.url).get(`/fhir/Patient/${id}`).set('Authorization', `Bearer ${token}`).expect(401);
  });

  test('what a scope does not allow is 403 naming the scope', async () => {
    const token = await app.app.issueToken({ scope: 'system/Patient.r', client: 'test', minutes: 5 });
    const as = (method: 'get' | 'post' | 'delete', path: string) =>
      request(app.url)[method](`/fhir${path}`).set('Authorization', `Bearer ${token}`);
    await as('get', `/Patient/${id}`).expect(200);
    const create = await as('post', '/Patient').type(FHIR).send('{"resourceType":"Patient"}').expect(403);
    expect(create.body.issue[0].diagnostics).toContain('system/Patient.c');
    await as('delete', `/Patient/${id}`).expect(403);
    await as('get', '/Patient').expect(403);
    await as('get', '/Observation/1').expect(403);
    await as('post', '/Binary').type('text/plain').send('x').expect(403);
  });
});

describe('R4 http.html#mime-type: answers', () => {
  test('XML cannot be had yet: 406, by Accept or _format', async () => {
    const answer = await app.send('get', `/Patient/${id}`).set('Accept', 'application/fhir+xml').expect(406);
    expect(answer.body.issue[0].diagnostics).toContain('XML comes later');
    await app.send('get', `/Patient/${id}?_format=xml`).expect(406);
    await app.send('get', `/Patient/${id}?_format=json`).set('Accept', 'application/fhir+xml').expect(200);
    await app
      .send('get', `/Patient/${id}`)
      .set('Accept', 'application/fhir+json; fhirVersion=5.0')
      .expect(406);
  });

  test('a write whose answer cannot be had is not done', async () => {
    const answer = app.send('put', '/Patient/unheard').type(FHIR).set('Accept', 'text/turtle');
    await answer.send('{"resourceType":"Patient","id":"unheard"}').expect(406);
    await app.send('get', '/Patient/unheard').expect(404);
  });

  test('_pretty is for people', async () => {
    const { text } = await app.send('get', `/Patient/${id}?_pretty=true`).expect(200);
    expect(text).toMatch(/^{\n {2}"resourceType": "Patient",\n {2}"id"/);
  });

  test('longer answers are packed where asked for', async () => {
    const packed = await app.send('get', `/Patient/${id}`).set('Accept-Encoding', 'gzip').expect(200);
    expect(packed.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
    expect(Number(packed.headers['content-length'])).toBeLessThan(1000);
    const plain = await app.send('get', `/Patient/${id}`).set('Accept-Encoding', 'identity').expect(200);
    expect(plain.headers['content-encoding']).toBeUndefined();
    const short = await app.send('get', '/Patient/nobody').set('Accept-Encoding', 'gzip').expect(404);
    expect(short.headers['content-encoding']).toBeUndefined();
  });
});

describe('methods', () => {
  test('OPTIONS tells what can be done, to anybody', async () => {
    const options = (path: string) => request(app.url).options(`/fhir${path}`).expect(204);
    expect((await options('/Patient/1')).headers.allow).toBe('GET, HEAD, PUT, PATCH, DELETE, OPTIONS');
    expect((await options('/Patient')).headers.allow).toBe('GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
    expect((await options('/')).headers.allow).toBe('GET, HEAD, POST, OPTIONS');
    expect((await options('/metadata')).headers.allow).toBe('GET, HEAD, OPTIONS');
  });

  test('R4 http.html#Status-Codes: a wrong method is 405 with Allow', async () => {
    const answer = await app.send('post', `/Patient/${id}`).expect(405);
    expect(answer.headers.allow).toBe('GET, HEAD, PUT, PATCH, DELETE, OPTIONS');
    expect(answer.body.issue[0].code).toBe('not-supported');
    await app.send('put', '').expect(405);
    await app.send('delete', '/metadata').expect(405);
  });
});

describe('Fetch standard: browser apps', () => {
  test('may ask beforehand, and call with a token', async () => {
    const preflight = await request(app.url)
      .options('/fhir/Patient/1')
      .set({ Origin: 'https://app.example.org', 'Access-Control-Request-Method': 'PUT' })
      .expect(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, HEAD, PUT, PATCH, DELETE, OPTIONS',
      'access-control-allow-headers': expect.stringMatching(/Authorization.*If-Match.*Prefer/),
    });
    expect(preflight.headers['access-control-allow-credentials']).toBeUndefined();
  });

  test('may send all headers that are read', async () => {
    const { headers } = await request(app.url)
      .options('/fhir/Binary')
      .set({ Origin: 'https://app.example.org', 'Access-Control-Request-Method': 'POST' })
      .expect(204);
    const allowed = headers['access-control-allow-headers']!.split(', ');
    for (const name of ['Content-Encoding', 'If-Range', 'X-Keep-Original', 'X-Security-Context'])
      expect(allowed).toContain(name);
  });

  test('see the headers they need, on faults too', async () => {
    for (const path of [`/Patient/${id}`, '/Patient/nobody', '/Nonsense']) {
      const { headers } = await app.send('get', path).set('Origin', 'https://app.example.org');
      expect(headers['access-control-allow-origin']).toBe('*');
      const exposed = headers['access-control-expose-headers']!.split(', ');
      for (const name of [
        ...['Accept-Patch', 'Accept-Ranges', 'Allow', 'Content-Location', 'ETag', 'Expires'],
        ...['Link', 'Location', 'Preference-Applied', 'Retry-After', 'X-Progress'],
      ])
        expect(exposed).toContain(name);
    }
  });
});

describe('R4 http.html#custom: X-Request-Id', () => {
  test('is given back where it is fit to be, else made', async () => {
    const own = await app.send('get', `/Patient/${id}`).set('X-Request-Id', 'a-1:b').expect(200);
    expect(own.headers['x-request-id']).toBe('a-1:b');
    const bad = await app.send('get', `/Patient/${id}`).set('X-Request-Id', '{"a": 1}').expect(200);
    expect(bad.headers['x-request-id']).toMatch(/^[\w-]+$/);
  });
});

describe('the log', () => {
  test('holds method, route, status and id, and nothing that was sent', async () => {
    const before = app.log.length;
    await app.send('get', '/Patient?name=secret-name').set('X-Request-Id', 'logged').expect(200);
    await app.send('get', '/Patient/secret-id').expect(404);
    await app.send('get', '/Secret-Type').expect(404);
    const lines = app.log.slice(before);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      id: 'logged',
      method: 'GET',
      route: '/fhir/:type',
      status: 200,
    });
    expect(lines.join('').toLowerCase()).not.toContain('secret');
    expect(lines.join('')).not.toContain(app.token);
  });
});

test('a URL that is too long is 431 and says what to do', async () => {
  const { body } = await app.send('get', `/Patient?name=${'x'.repeat(20_000)}`).expect(431);
  expect(body.issue[0]).toMatchObject({ code: 'too-long', diagnostics: expect.stringContaining('_search') });
});

test('RFC 9112 3.2.2: a request may name the whole URL, as to a proxy', async () => {
  const status = (path: string) =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${app.token}` };
      const answered = (response: IncomingMessage) => resolve(response.resume().statusCode);
      get(app.url, { path, headers }, answered).on('error', reject);
    });
  expect(await status(`${app.base}/Patient/${id}?_elements=name`)).toBe(200);
  expect(await status(`http://other.example.org/healthz`)).toBe(200);
  expect(await status('http://other.example.org')).toBe(404);
});

test('bad percent escapes are 400', async () => {
  await app.send('get', '/Patient/%zz').expect(400);
  await app.send('get', '/Patient?name=%ff').expect(400);
});
