/** tus 1.0.0 (https://tus.io/protocols/resumable-upload), with tus-js-client and by hand. */
import { createHash, randomBytes } from 'node:crypto';
import http from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import request, { type Test } from 'supertest';
import { Upload } from 'tus-js-client';
import { sweepBlobs } from '../../../src/store/bytes.ts';
import { startApp, type TestApp } from '../app.ts';
import { asBytes, picture, seen, tells } from './support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const bytes = randomBytes(6 * 1024 * 1024 + 17);

/** A request to an upload, by hand. */
const tus = (method: 'post' | 'patch' | 'head' | 'delete' | 'get', path: string, token = app.token): Test =>
  request(app.url)
    [method](path)
    .set({ Authorization: `Bearer ${token}`, 'Tus-Resumable': '1.0.0' });

const encoded = (metadata: Record<string, string>): string =>
  Object.entries(metadata)
    .map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`)
    .join(',');

/** Where an upload is, under this server. */
async function begin(
  length: number,
  metadata: Record<string, string> = {},
  token = app.token,
): Promise<string> {
  const answer = await tus('post', '/uploads', token).set({
    'Upload-Length': String(length),
    ...(Object.keys(metadata).length > 0 && { 'Upload-Metadata': encoded(metadata) }),
  });
  if (answer.status !== 201) throw Object.assign(new Error(answer.text), { status: answer.status });
  const [, path] = /^https:\/\/fhir\.example\.org(\/uploads\/[\w-]+)$/.exec(answer.headers.location!)!;
  return path!;
}

const patch = (path: string, offset: number, body: Buffer, token = app.token): Test =>
  tus('patch', path, token)
    .set({ 'Content-Type': 'application/offset+octet-stream', 'Upload-Offset': String(offset) })
    .serialize((given) => given as unknown as string)
    .send(body);

const binaryOf = (answer: { headers: Record<string, string> }): string =>
  answer.headers['content-location']!.slice(app.base.length);

test('tus-js-client: broken off, and resumed from where it was', async () => {
  const endpoint = `${app.url}/uploads`;
  const headers = { Authorization: `Bearer ${app.token}` };
  const path = await begin(bytes.length, { filetype: 'video/mp4' });
  await new Promise<void>((resolve, reject) => {
    const upload = new Upload(bytes.subarray(0), {
      ...{ endpoint, headers, uploadUrl: app.url + path, chunkSize: 1024 * 1024, retryDelays: null },
      onProgress(sent) {
        if (sent > 2 * 1024 * 1024) void upload.abort().then(resolve);
      },
      onError: reject,
    });
    upload.start();
  });
  await sleep(100);
  const { headers: told } = await tus('head', path).expect(200);
  const offset = Number(told['upload-offset']);
  expect(offset).toBeGreaterThan(1024 * 1024);
  expect(offset).toBeLessThan(bytes.length);
  const location = await new Promise<string>((resolve, reject) => {
    const upload = new Upload(bytes.subarray(0), {
      ...{ endpoint, headers, uploadUrl: app.url + path, retryDelays: null },
      onSuccess: ({ lastResponse }) => resolve(lastResponse.getHeader('Content-Location')!),
      onError: reject,
    });
    upload.start();
  });
  const { body, headers: served } = await asBytes(app.send('get', location.slice(app.base.length))).expect(
    200,
  );
  expect(sha(body)).toBe(sha(bytes));
  expect(served['content-type']).toBe('video/mp4');
  // who lost the last answer is told what has become of it
  const done = await tus('get', path).expect(200);
  expect(done.body).toMatchObject({ done: true, binary: location.slice(app.base.length + 1) });
  const { rows } = await app.app.pool.query('select count(*)::int from upload_part');
  expect(rows[0].count).toBe(0);
});

/** Counts the bytes that the server has taken from connections to put them away. */
function counting(): { taken(): number; stop(): void } {
  const { blobs } = app.app.store;
  const { put } = blobs;
  let taken = 0;
  async function* counted(stream: Readable): AsyncGenerator<Buffer> {
    for await (const chunk of stream) {
      taken += chunk.length;
      yield chunk;
    }
  }
  const spy = jest
    .spyOn(blobs, 'put')
    .mockImplementation((stream, given) => put(Readable.from(counted(stream), { objectMode: false }), given));
  return { taken: () => taken, stop: () => spy.mockRestore() };
}

test('what came before a connection broke is kept, to the byte', async () => {
  const path = await begin(bytes.length);
  const { taken, stop } = counting();
  const sending = http.request(app.url + path, {
    method: 'PATCH',
    headers: {
      ...{ Authorization: `Bearer ${app.token}`, 'Tus-Resumable': '1.0.0', 'Upload-Offset': '0' },
      ...{ 'Content-Type': 'application/offset+octet-stream', 'Content-Length': bytes.length },
    },
  });
  sending.on('error', () => {});
  sending.write(bytes.subarray(0, 3_000_000));
  // what has not got so far when it breaks is lost on its way
  while (taken() < 3_000_000) await sleep(20);
  sending.destroy();
  stop();
  let offset = 0;
  for (let i = 0; i < 50 && offset === 0; i++) {
    await sleep(50);
    offset = Number((await tus('head', path)).headers['upload-offset']);
  }
  expect(offset).toBe(3_000_000);
  const answer = await patch(path, offset, bytes.subarray(offset)).expect(204);
  expect(sha((await asBytes(app.send('get', binaryOf(answer)))).body)).toBe(sha(bytes));
});

test('a photo with a Media: one of each, without its place', async () => {
  await app.create('Patient', 'p', {});
  const photo = await picture('jpeg');
  const media = { resourceType: 'Media', status: 'completed', subject: { reference: 'Patient/p' } };
  const path = await begin(photo.length, {
    ...{ filetype: 'image/jpeg', filename: 'wound.jpg', keepOriginal: 'true', media: JSON.stringify(media) },
  });
  const answer = await patch(path, 0, photo).expect(204);
  const [, name] = /<https:\/\/fhir\.example\.org\/fhir(\/Media\/[^>]+)>; rel="describedby"/.exec(
    answer.headers.link!,
  )!;
  const { body } = await app.send('get', name!).expect(200);
  expect(body).toMatchObject({ ...media, content: { contentType: 'image/jpeg', title: 'wound.jpg' } });
  expect(`/${body.content.url}`).toBe(binaryOf(answer));
  const served = await asBytes(app.send('get', `${name}/$content`)).expect(200);
  expect([await seen(served.body), tells(served.body)]).toMatchObject([{ width: 400 }, false]);
  const binary = await app.send('get', `/${body.content.url}`).set('Accept', 'application/fhir+json');
  expect(binary.body.securityContext).toEqual({ reference: 'Patient/p' });
  const done = await tus('get', path);
  expect((await asBytes(app.send('get', `/${done.body.original}`))).body.equals(photo)).toBe(true);
});

test('what cannot become a Media leaves nothing', async () => {
  const { rows: before } = await app.app.pool.query(
    'select count(*) from resource where not deleted and version > 0',
  );
  const path = await begin(5, { media: JSON.stringify({ resourceType: 'Media', status: 'unheard of' }) });
  const answer = await patch(path, 0, Buffer.from('12345')).expect(400);
  expect(answer.text).toMatch(/status/);
  await tus('head', path).expect(404);
  expect(
    (await app.app.pool.query('select count(*) from resource where not deleted and version > 0')).rows,
  ).toEqual(before);
  await expect(begin(5, { media: 'no JSON' })).rejects.toMatchObject({ status: 400 });
});

test('bound to the access token that began it', async () => {
  const other = await app.app.issueToken({ scope: 'system/*.cruds', client: 'test', minutes: 5 });
  const path = await begin(5);
  await tus('head', path, other).expect(404);
  await patch(path, 0, Buffer.from('12345'), other).expect(404);
  await tus('delete', path, other).expect(404);
  await tus('get', path, other).expect(404);
  const answer = await request(app.url).patch(path).set('Tus-Resumable', '1.0.0').expect(401);
  expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
  const reader = await app.app.issueToken({ scope: 'system/*.rs', client: 'test', minutes: 5 });
  await expect(begin(5, {}, reader)).rejects.toMatchObject({ status: 403 });
  await request(app.url).options('/uploads').expect(204);
});

test('a wrong offset is 409; one that is given up is gone; a length may come late', async () => {
  const path = await begin(5);
  await patch(path, 0, Buffer.from('123')).expect(204).expect('Upload-Offset', '3');
  await patch(path, 1, Buffer.from('2345')).expect(409);
  await tus('delete', path).expect(204);
  await tus('head', path).expect(404);
  const late = await tus('post', '/uploads').set('Upload-Defer-Length', '1').expect(201);
  const open = new URL(late.headers.location!).pathname;
  await patch(open, 0, Buffer.from('12')).expect(204);
  const answer = await patch(open, 2, Buffer.from('345')).set('Upload-Length', '5').expect(204);
  expect((await asBytes(app.send('get', binaryOf(answer)))).body.toString()).toBe('12345');
});

test('one that was broken off leaves nothing after the grace', async () => {
  const path = await begin(100);
  await patch(path, 0, Buffer.from('1234567')).expect(204);
  const { pool, store } = app.app;
  await pool.query(`update upload set created = now() - interval '25 hours'`);
  await tus('head', path).expect(404);
  await sweepBlobs(pool, store.blobs);
  await pool.query(`update blob set idle = idle - interval '25 hours'`);
  await sweepBlobs(pool, store.blobs);
  const { rows } = await pool.query(`select (select count(*) from upload)::int as uploads,
    (select count(*) from upload_part)::int as parts, (select count(*) from blob where size = 7)::int as blobs`);
  expect(rows).toEqual([{ uploads: 0, parts: 0, blobs: 0 }]);
});
