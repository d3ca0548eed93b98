import { startApp, type TestApp } from './app.ts';

let app: TestApp;
/** of a Patient with two versions */
let id: string;

beforeAll(async () => {
  app = await startApp();
  const text =
    '{"resourceType":"Patient","active":true,"name":[{"family":"Søndergård"}],"contact":[{"gender":"other"}]}';
  ({ id } = (await post('/Patient', text)).body);
  await app
    .send('put', `/Patient/${id}`)
    .type(FHIR)
    .send(text.replace('{', `{"id":"${id}",`))
    .expect(200);
});
afterAll(() => app.close());

const FHIR = 'application/fhir+json';
const post = (path: string, body: string) => app.send('post', path).type(FHIR).send(body).expect(201);

describe('R4 http.html#read', () => {
  test('answers with the resource, ETag and Last-Modified', async () => {
    const answer = await app.send('get', `/Patient/${id}`).expect(200);
    expect(answer.headers).toMatchObject({
      etag: 'W/"2"',
      'content-type': 'application/fhir+json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    expect(answer.body).toMatchObject({ resourceType: 'Patient', id, meta: { versionId: '2' } });
    expect(answer.body.name[0].family).toBe('Søndergård');
    const updated = new Date(answer.body.meta.lastUpdated);
    expect(answer.headers['last-modified']).toBe(updated.toUTCString());
  });

  test('#head: HEAD answers the same headers without a body', async () => {
    const whole = await app.send('get', `/Patient/${id}`).expect(200);
    const head = await app.send('head', `/Patient/${id}`).expect(200);
    expect(head.text).toBeFalsy();
    for (const name of ['etag', 'last-modified', 'content-type', 'content-length'])
      expect(head.headers[name]).toBe(whole.headers[name]);
  });

  test('unknown ids are 404, unknown types are 404 and ask what was meant', async () => {
    const unknown = await app.send('get', '/Patient/nobody').expect(404);
    expect(unknown.body).toMatchObject({ resourceType: 'OperationOutcome', issue: [{ code: 'not-found' }] });
    const type = await app.send('get', '/Patinet/1').expect(404);
    expect(type.body.issue[0]).toMatchObject({ severity: 'error', code: 'not-supported' });
    expect(type.body.issue[0].diagnostics).toContain('did you mean Patient?');
    await app.send('get', '/Patient/a_b').expect(404);
    await app.send('get', '/Patient/1/$nonsense').expect(404);
  });

  test('unknown parameters are 400', async () => {
    const answer = await app.send('get', `/Patient/${id}?_sumary=true`).expect(400);
    expect(answer.body.issue[0].diagnostics).toContain('_sumary');
  });
});

describe('R4 http.html#cread: conditional read', () => {
  test.each([
    ['If-None-Match', 'W/"2"', 304],
    ['If-None-Match', 'W/"1", W/"2"', 304],
    ['If-None-Match', '*', 304],
    ['If-None-Match', 'W/"1"', 200],
    ['If-None-Match', 'nonsense', 400],
    ['If-Modified-Since', 'Sat, 01 Jan 2000 00:00:00 GMT', 200],
    ['If-Modified-Since', 'Fri, 01 Jan 2100 00:00:00 GMT', 304],
  ])('%s: %s is %i', async (name, value, status) => {
    const answer = await app.send('get', `/Patient/${id}`).set(name, value).expect(status);
    if (status === 304) {
      expect(answer.text).toBeFalsy();
      expect(answer.headers.etag).toBe('W/"2"');
    }
  });
});

describe('R4 http.html#vread', () => {
  test('answers with each version', async () => {
    const first = await app.send('get', `/Patient/${id}/_history/1`).expect(200);
    expect(first.headers.etag).toBe('W/"1"');
    expect(first.body.meta.versionId).toBe('1');
    await app.send('head', `/Patient/${id}/_history/2`).expect(200);
    await app.send('get', `/Patient/${id}/_history/3`).expect(404);
    await app.send('get', `/Patient/${id}/_history/one`).expect(404);
  });
});

describe('R4 search.html#summary and #elements on read', () => {
  const tagged = expect.arrayContaining([expect.objectContaining({ code: 'SUBSETTED' })]);

  test('_summary=true leaves what is in summaries, and says so', async () => {
    const { body } = await app.send('get', `/Patient/${id}?_summary=true`).expect(200);
    expect(body).toMatchObject({ id, active: true, meta: { versionId: '2', tag: tagged } });
    expect(body.contact).toBeUndefined();
  });

  test('_elements leaves what it names, and modifiers such as active', async () => {
    const { body } = await app.send('get', `/Patient/${id}?_elements=name`).expect(200);
    expect(Object.keys(body).sort()).toEqual(['active', 'id', 'meta', 'name', 'resourceType']);
    expect(body.meta.tag).toEqual(tagged);
  });

  test('_summary=false leaves all; count is for searches; unknown elements are 400', async () => {
    const { body } = await app.send('get', `/Patient/${id}?_summary=false`).expect(200);
    expect(body.meta.tag).toBeUndefined();
    await app.send('get', `/Patient/${id}?_summary=count`).expect(400);
    const unknown = await app.send('get', `/Patient/${id}?_elements=nam`).expect(400);
    expect(unknown.body.issue[0].diagnostics).toContain('name');
    await app.send('get', `/Patient/${id}?_elements=`).expect(400);
  });

  test('R4 json.html: digits stay through read, _elements and _pretty', async () => {
    const numbers = ['1.00', '1e-3', '12345678901234567890.5', '-0'];
    const extension = numbers.map((n) => `{"url":"http://example.org/n","valueDecimal":${n}}`).join(',');
    const text = `{"resourceType":"Basic","extension":[${extension}],"code":{"text":"é😀\\u2028"}}`;
    const { body } = await post('/Basic', text);
    for (const query of ['', '?_elements=extension', '?_summary=data', '?_pretty=true']) {
      const { text } = await app.send('get', `/Basic/${body.id}${query}`).expect(200);
      const found = [...text.matchAll(/"valueDecimal":\s*([^\s}]+)/g)].map(([, number]) => number);
      expect(found).toEqual(numbers);
      expect(JSON.parse(text).code.text).toBe('é😀\u2028');
    }
  });
});
