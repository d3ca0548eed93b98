/** Bytes that have changed on the disk: SHA-256 is checked as they are read. */
import { randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { damagedBlobs } from '../../../src/store/bytes.ts';
import { startApp, type TestApp } from '../app.ts';
import { asBytes, store } from './support.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

const bytes = randomBytes(1_000_000);

/** Changes one bit of the last byte of a Binary. */
async function damage(id: string): Promise<string> {
  const { rows } = await app.app.pool.query('select blob::text from resource where id = $1', [id]);
  const name: string = rows[0].blob;
  const folder = join(app.dataDir, 'blobs');
  const file = readdirSync(folder, { recursive: true }).find((one) => String(one).endsWith(name));
  const changed = Buffer.from(bytes);
  changed[changed.length - 1]! ^= 1;
  writeFileSync(join(folder, String(file)), changed);
  return name;
}

test('a whole read of damaged bytes does not end as if it were whole, and the log tells', async () => {
  const id = await store(app, 'application/octet-stream', bytes);
  const path = `/Binary/${id}`;
  expect((await asBytes(app.send('get', path)).expect(200)).body.equals(bytes)).toBe(true);
  const name = await damage(id);
  await expect(asBytes(app.send('get', path))).rejects.toThrow(/aborted|hang up/);
  await expect(asBytes(app.send('get', path).set('Accept', 'application/fhir+json'))).rejects.toThrow(
    /aborted|hang up/,
  );
  expect(app.log.filter((line) => line.includes('Damaged'))).toHaveLength(2);
  // what is asked for in ranges cannot be told
  await asBytes(app.send('get', path).set('Range', 'bytes=0-99')).expect(206);
  expect(await damagedBlobs(app.app.pool, app.app.store.blobs)).toEqual({ read: 1, damaged: [name] });
});
