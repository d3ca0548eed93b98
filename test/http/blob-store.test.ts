/** The server with its bytes in an S3 store, encrypted: what clients see is the same. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import S3rver from 's3rver';
import { startApp, type TestApp } from './app.ts';

let folder: string;
let s3: S3rver;
let app: TestApp;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'consilium-s3-'));
  s3 = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory: folder });
  const endpoint = `http://127.0.0.1:${(await s3.run()).port}`;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' });
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: 'bytes' }));
  client.destroy();
  const BLOB_KEYS = randomBytes(32).toString('base64');
  app = await startApp({ BLOBS_URL: `s3://bytes?endpoint=${endpoint}`, BLOB_KEYS });
});

afterAll(async () => {
  await app.close();
  await s3.close();
  delete process.env.AWS_ACCESS_KEY_ID;
  delete process.env.AWS_SECRET_ACCESS_KEY;
  rmSync(folder, { recursive: true, force: true });
});

test('R4 binary.html#rest: bytes come back whole and in ranges, and lie encrypted in the bucket', async () => {
  const text = 'the patient said '.repeat(10_000);
  const { headers } = await app
    .send('post', '/Binary')
    .set('Content-Type', 'text/plain')
    .send(text)
    .expect(201);
  const path = `/Binary/${/Binary\/([^/]+)/.exec(headers.location as string)?.[1]}`;
  expect((await app.send('get', path).expect(200)).text).toBe(text);
  const part = await app.send('get', path).set('Range', 'bytes=65530-65600').expect(206);
  expect(part.text).toBe(text.slice(65_530, 65_601));
  await app.send('get', path).set('Range', 'bytes=200000-').expect(416);

  const kept = readdirSync(join(folder, 'bytes'), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name)));
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.some((file) => file.includes('patient'))).toBe(false);
});

test('a bucket that is not there: the server does not start, and says why', async () => {
  const BLOBS_URL = `s3://nowhere?endpoint=http://127.0.0.1:1`;
  await expect(startApp({ BLOBS_URL })).rejects.toThrow(/bucket nowhere cannot be used.*BLOBS_URL/);
});

test('bytes that are lost break off an answer that has begun, and the log says why', async () => {
  const DATA_DIR = mkdtempSync(join(tmpdir(), 'consilium-lost-'));
  const own = await startApp({ DATA_DIR });
  try {
    await own.send('post', '/Binary').set('Content-Type', 'text/plain').send('lost').expect(201);
    rmSync(join(DATA_DIR, 'blobs'), { recursive: true });
    await expect(own.send('get', '/Binary').set('X-Request-Id', 'broken')).rejects.toThrow();
    const told = own.log.map((line) => JSON.parse(line)).filter(({ id }) => id === 'broken');
    expect(told).toMatchObject([
      { msg: 'failed', fault: { message: expect.stringMatching(/no bytes named/) } },
      { msg: 'answered', status: 404 },
    ]);
  } finally {
    await own.close();
    rmSync(DATA_DIR, { recursive: true, force: true });
  }
});
