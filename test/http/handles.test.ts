/** No file stays open behind an answer that nobody reads. */
import { readdirSync, readlinkSync } from 'node:fs';
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import request from 'supertest';
import { image } from '../imaging/files.ts';
import { startApp, type TestApp } from './app.ts';
import { dicomwebOf } from './imaging/dicomweb.ts';

let app: TestApp;
const { stow } = dicomwebOf(() => app);
const INSTANCE = '/dicomweb/studies/8.1/series/8.1.1/instances/8.1.1.1';
const STORED = 'application/dicom; transfer-syntax=*';
const RELATED = 'multipart/related; type="application/dicom"; transfer-syntax=*';

beforeAll(async () => {
  app = await startApp();
  const pixels = { '7FE00010': ['OB', Buffer.alloc(8_000_000)] } as const;
  await app.send('put', '/Binary/large').type('application/pdf').send(Buffer.alloc(8_000_000)).expect(201);
  await stow([1, 2, 3].map((n) => image({ study: '8.1', instance: `8.1.1.${n}`, number: n, more: pixels })));
});
afterAll(() => app.close());

/** Files of the store of bytes that this process has open. */
const opened = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('/blobs/');
    } catch {
      return false;
    }
  }).length;

async function expectClosed(): Promise<void> {
  for (let n = 0; n < 50 && opened() > 0; n++) await sleep(20);
  expect(opened()).toBe(0);
}

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux.each([
  ['/fhir/Binary/large', 'application/pdf'],
  [INSTANCE, STORED],
  ['/dicomweb/studies/8.1', RELATED],
  ['/dicomweb/studies/8.1', 'application/zip'],
  [`${INSTANCE}/bulkdata/7FE00010`, 'application/octet-stream'],
  [`${INSTANCE}/frames/1`, 'application/octet-stream'],
])('HEAD of %s as %s', async (path, accept) => {
  for (let n = 0; n < 5; n++)
    await request(app.url)
      .head(path)
      .set({ Authorization: `Bearer ${app.token}`, Accept: accept })
      .expect(200);
  await expectClosed();
});

onLinux.each([
  ['/fhir/Binary/large', 'application/pdf'],
  [INSTANCE, STORED],
  ['/dicomweb/studies/8.1', RELATED],
  ['/dicomweb/studies/8.1', 'application/zip'],
])('a client that goes away: %s as %s', async (path, accept) => {
  for (let n = 0; n < 5; n++)
    await new Promise<void>((done) => {
      const sent = get(`${app.url}${path}`, {
        headers: { Authorization: `Bearer ${app.token}`, Accept: accept },
      });
      // at once, at the head of the answer, and after its first bytes
      if (n === 0)
        sent.on('socket', (socket) => socket.on('connect', () => setTimeout(() => sent.destroy(), 5)));
      sent.on('response', (answer) =>
        n % 2 === 0 ? sent.destroy() : answer.once('data', () => sent.destroy()),
      );
      sent.on('error', () => {});
      sent.on('close', () => done());
    });
  await expectClosed();
});
