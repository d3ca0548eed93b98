import { createHash, randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Test } from 'supertest';
import { startApp, type TestApp } from './app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ MAX_BODY: '1MiB' });
});
afterAll(() => app.close());

const FHIR = 'application/fhir+json';
const bytes = randomBytes(100_001);
const sha256 = (of: Buffer): string => createHash('sha256').update(of).digest('hex');

/** Sends bytes as they are, and takes the answer as bytes. */
const raw = (test: Test, type: string, body: Buffer) =>
  test
    .set('Content-Type', type)
    .serialize((given) => given as unknown as string)
    .send(body);
const asBytes = (test: Test) =>
  test.parse((response, done) => {
    const pieces: Buffer[] = [];
    response.on('data', (piece: Buffer) => pieces.push(piece));
    response.on('end', () => done(null, Buffer.concat(pieces)));
  });
async function store(type: string, body: Buffer, headers: Record<string, string> = {}): Promise<string> {
  const answer = await raw(app.send('post', '/Binary').set(headers), type, body).expect(201);
  expect(answer.text).toBe('');
  return answer.headers.location!.split('/').at(-3)!;
}

describe('R4 binary.html#rest: raw content', () => {
  test('what came in goes out: type, bytes, ETag, and harmless to a browser', async () => {
    const id = await store('image/png', bytes);
    const answer = await asBytes(app.send('get', `/Binary/${id}`)).expect(200);
    expect(answer.body.equals(bytes)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'image/png',
      'content-length': String(bytes.length),
      etag: `"1.${sha256(bytes)}"`,
      'x-content-type-options': 'nosniff',
      'content-disposition': `inline; filename="${id}"`,
      'content-security-policy': expect.stringContaining('sandbox'),
    });
    await app.send('head', `/Binary/${id}`).expect(200).expect('Content-Length', String(bytes.length));
    for (const tag of ['W/"1"', answer.headers.etag!])
      await app.send('get', `/Binary/${id}`).set('If-None-Match', tag).expect(304);
    await app.send('get', `/Binary/${id}`).set('If-None-Match', 'W/"2"').expect(200);
    await app.send('get', `/Binary/${id}`).set('Accept', FHIR).expect('ETag', 'W/"1"');
  });

  test.each(['text/html', 'image/svg+xml', 'application/xhtml+xml'])(
    '%s is only offered for saving',
    async (type) => {
      const id = await store(type, Buffer.from('<script>alert(1)</script>'));
      const answer = await app.send('get', `/Binary/${id}`).expect(200);
      expect(answer.headers['content-disposition']).toMatch(/^attachment/);
      expect(answer.headers['content-security-policy']).toMatch(/^sandbox; default-src 'none'/);
    },
  );

  test('larger than MAX_BODY', async () => {
    const large = randomBytes(5 * 1024 * 1024 + 1);
    const id = await store('application/octet-stream', large);
    const answer = await asBytes(app.send('get', `/Binary/${id}`)).expect(200);
    expect(createHash('sha256').update(answer.body).digest('hex')).toBe(
      createHash('sha256').update(large).digest('hex'),
    );
    const json = await app.send('get', `/Binary/${id}`).set('Accept', FHIR).expect(200);
    expect(Buffer.from(json.body.data, 'base64').equals(large)).toBe(true);
  });

  test('Accept of another type than stored gets what there is', async () => {
    const id = await store('application/pdf', bytes);
    const answer = await asBytes(app.send('get', `/Binary/${id}`).set('Accept', 'image/png'));
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/pdf');
  });

  test('update makes the next version, and the one before stays', async () => {
    const id = await store('text/plain', Buffer.from('one'));
    const { etag } = (await app.send('head', `/Binary/${id}`)).headers;
    await raw(
      app.send('put', `/Binary/${id}`).set('If-Match', etag!),
      'text/plain',
      Buffer.from('two'),
    ).expect(200);
    await raw(
      app.send('put', `/Binary/${id}`).set('If-Match', 'W/"1"'),
      'text/plain',
      Buffer.from('no'),
    ).expect(412);
    expect((await app.send('get', `/Binary/${id}`).expect(200)).text).toBe('two');
    expect((await app.send('get', `/Binary/${id}/_history/1`).expect(200)).text).toBe('one');
  });

  test('X-Security-Context is kept as securityContext, and told', async () => {
    const id = await store('text/plain', Buffer.from('x'), { 'X-Security-Context': 'Patient/1' });
    const answer = await app.send('get', `/Binary/${id}`).expect(200);
    expect(answer.headers['x-security-context']).toBe('Patient/1');
    const json = await app.send('get', `/Binary/${id}?_format=json`).expect(200);
    expect(json.body.securityContext).toEqual({ reference: 'Patient/1' });
  });

  test('FHIR JSON that is no Binary is content like other', async () => {
    const text = '{"resourceType":"Patient"}';
    const answer = await app.send('post', '/Binary').type(FHIR).send(text).expect(201);
    const id = answer.headers.location!.split('/').at(-3);
    const read = await app.send('get', `/Binary/${id}`).expect(200);
    expect(read.text).toBe(text);
  });

  test('packed content is 415', async () => {
    await raw(app.send('post', '/Binary').set('Content-Encoding', 'gzip'), 'text/plain', bytes).expect(415);
  });

  test('an upload that breaks off leaves nothing', async () => {
    const before = (await app.send('get', '/Binary?_summary=count').expect(200)).body.total;
    const going = request(`${app.url}/fhir/Binary`, {
      method: 'POST',
      headers: { authorization: `Bearer ${app.token}`, 'content-type': 'text/plain', 'content-length': 1000 },
    });
    going.on('error', () => {});
    going.write('half');
    await new Promise((resolve) => setTimeout(resolve, 100));
    going.destroy();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await app.send('get', '/Binary?_summary=count').expect(200)).body.total).toBe(before);
    expect(app.log.filter((line) => line.includes('"level":50'))).toEqual([]);
  });
});

describe('R4 binary.html#rest: as a resource', () => {
  test('data goes in and out as base64', async () => {
    const data = bytes.toString('base64');
    const resource = { resourceType: 'Binary', contentType: 'image/png', data };
    const created = await app.send('post', '/Binary').type(FHIR).send(resource).expect(201);
    expect(created.body).toMatchObject(resource);
    const { id } = created.body;
    const read = await app
      .send('get', `/Binary/${id}`)
      .set({ Accept: FHIR, 'Accept-Encoding': 'identity' })
      .expect(200);
    expect(read.body).toEqual(created.body);
    expect(Number(read.headers['content-length'])).toBe(Buffer.byteLength(read.text));
    const native = await asBytes(app.send('get', `/Binary/${id}`)).expect(200);
    expect(native.body.equals(bytes)).toBe(true);
    const packed = await app
      .send('get', `/Binary/${id}?_format=json`)
      .set('Accept-Encoding', 'gzip')
      .expect(200);
    expect(packed.body).toEqual(created.body);
  });

  test('R4 http.html#head: HEAD of it reads no bytes', async () => {
    const id = await store('image/png', bytes);
    for (const query of ['', '&_pretty=true']) {
      const head = await app.send('head', `/Binary/${id}?_format=json${query}`).expect(200);
      expect(head.text).toBeFalsy();
      expect(head.headers['content-type']).toMatch(/fhir\+json/);
    }
  });

  test('R4 http.html#pretty: what is too long to be held is sent as it is', async () => {
    const pretty = async (id: string) =>
      (await app.send('get', `/Binary/${id}?_format=json&_pretty=true`).expect(200)).text;
    expect(await pretty(await store('image/png', bytes))).toMatch(/^\{\n {2}"resourceType": "Binary",\n/);
    const large = randomBytes(13 * 1024 * 1024);
    const text = await pretty(await store('image/png', large));
    expect(text).toMatch(/^\{"resourceType":"Binary",/);
    expect(Buffer.from(JSON.parse(text).data, 'base64').equals(large)).toBe(true);
  });

  test('_summary leaves data out', async () => {
    const id = await store('image/png', bytes);
    const { body } = await app.send('get', `/Binary/${id}?_summary=true`).expect(200);
    expect(body).toMatchObject({ resourceType: 'Binary', contentType: 'image/png' });
    expect(body.data).toBeUndefined();
    const search = await app.send('get', `/Binary?_id=${id}&_summary=true`).expect(200);
    expect(search.body.entry[0].resource.data).toBeUndefined();
  });

  test('Bundles hold the data', async () => {
    const id = await store('image/png', bytes);
    for (const path of [`/Binary?_id=${id}`, `/Binary/${id}/_history`]) {
      const { body } = await app.send('get', path).expect(200);
      expect(Buffer.from(body.entry[0].resource.data, 'base64').equals(bytes)).toBe(true);
    }
  });

  test('without data, and bad JSON or base64', async () => {
    const resource = { resourceType: 'Binary', contentType: 'text/plain' };
    const { body } = await app.send('post', '/Binary').type(FHIR).send(resource).expect(201);
    await app.send('get', `/Binary/${body.id}`).expect(200).expect('Content-Length', '0');
    await app.send('post', '/Binary').type(FHIR).send('{"resourceType":"Binary",').expect(400);
    await app
      .send('post', '/Binary')
      .type(FHIR)
      .send({ ...resource, data: '?' })
      .expect(400);
  });

  test('a content type that no header can hold does no harm', async () => {
    const resource = { resourceType: 'Binary', contentType: 'text/html\nX-Evil: 1', data: 'eHg=' };
    const created = await app.send('post', '/Binary').type(FHIR).send(resource);
    if (created.status !== 201) return;
    const read = await app.send('get', `/Binary/${created.body.id}`).expect(200);
    expect(read.headers['x-evil']).toBeUndefined();
    expect(read.headers['content-disposition']).toMatch(/^attachment/);
  });
});

test('RFC 9110 15.4.5: 304 has the entity tag that 200 has, of the bytes and of the resource', async () => {
  const id = await store('video/mp4', bytes);
  for (const [path, accept] of [
    [`/Binary/${id}`, '*/*'],
    [`/Binary/${id}`, FHIR],
    [`/Binary/${id}/$content`, '*/*'],
  ] as const) {
    const { headers } = await app.send('head', path).set('Accept', accept).expect(200);
    const again = app.send('get', path).set({ Accept: accept, 'If-None-Match': headers.etag! });
    const { headers: unchanged } = await again.expect(304);
    expect(unchanged.etag).toBe(headers.etag);
  }
});

describe('RFC 9110 14: ranges', () => {
  test.each([
    ['bytes=0-9', 0, 10],
    ['bytes=100000-', 100_000, 100_001],
    ['bytes=-7', 99_994, 100_001],
  ])('%s', async (range, start, end) => {
    const id = await store('video/mp4', bytes);
    const answer = await asBytes(app.send('get', `/Binary/${id}`).set('Range', range)).expect(206);
    expect(answer.headers['content-range']).toBe(`bytes ${start}-${end - 1}/100001`);
    expect(answer.body.equals(bytes.subarray(start, end))).toBe(true);
  });

  test('outside: 416; If-Range of another time: all', async () => {
    const id = await store('video/mp4', bytes);
    const answer = await app.send('get', `/Binary/${id}`).set('Range', 'bytes=100001-').expect(416);
    expect(answer.headers['content-range']).toBe('bytes */100001');
    const stale = app.send('get', `/Binary/${id}`).set({ Range: 'bytes=0-9', 'If-Range': '"other"' });
    await asBytes(stale).expect(200);
    const { headers } = await app.send('head', `/Binary/${id}`);
    const fresh = app
      .send('get', `/Binary/${id}`)
      .set({ Range: 'bytes=0-9', 'If-Range': headers['last-modified']! });
    await asBytes(fresh).expect(206);
    await asBytes(
      app.send('get', `/Binary/${id}`).set({ Range: 'bytes=0-9', 'If-Range': headers.etag! }),
    ).expect(206);
    await asBytes(app.send('get', `/Binary/${id}`).set({ Range: 'bytes=0-9', 'If-Range': 'W/"1"' })).expect(
      200,
    );
  });

  test('14.2: ranges are for GET; HEAD tells of the whole', async () => {
    const id = await store('video/mp4', bytes);
    for (const range of ['bytes=0-9', 'bytes=100001-']) {
      const { headers } = await app.send('head', `/Binary/${id}`).set('Range', range).expect(200);
      expect(headers['content-length']).toBe('100001');
      expect(headers['content-range']).toBeUndefined();
    }
  });

  test('RFC 9110 14.6: several, as multipart/byteranges', async () => {
    const id = await store('video/mp4', bytes);
    const get = app.send('get', `/Binary/${id}`).set('Range', 'bytes=100000-,0-9,5-19');
    const { headers, body } = await asBytes(get).expect(206);
    const [, boundary] = /^multipart\/byteranges; boundary=(.+)$/.exec(headers['content-type']!)!;
    expect(Number(headers['content-length'])).toBe(body.length);
    expect(headers['content-range']).toBeUndefined();
    const part = (range: string, from: number, to: number): Buffer =>
      Buffer.concat([
        Buffer.from(
          `\r\n--${boundary}\r\nContent-Type: video/mp4\r\nContent-Range: bytes ${range}/100001\r\n\r\n`,
        ),
        bytes.subarray(from, to),
      ]);
    const end = Buffer.from(`\r\n--${boundary}--\r\n`);
    expect(
      body.equals(Buffer.concat([part('100000-100000', 100_000, 100_001), part('0-19', 0, 20), end])),
    ).toBe(true);
  });
});
