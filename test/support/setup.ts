/** Before all tests: one PostgreSQL for them all, with a migrated database that they clone (see database.ts). */
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../src/store/connect.ts';
import { startEmbedded } from '../../src/store/embedded.ts';
import { migrate } from '../../src/store/migrate.ts';

export default async function setup(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'consilium-test-'));
  // Where we are root, another user runs PostgreSQL and has to come through.
  chmodSync(dataDir, 0o755);
  const embedded = await startEmbedded({ dataDir, fsync: false, settings: { autovacuum: 'off' } });
  const client = await connect(embedded.url);
  await client.query('create database template');
  await client.end();
  const template = new URL(embedded.url);
  template.pathname = '/template';
  await migrate(template.href);
  process.env.TEST_DATABASE_URL = embedded.url;
  Object.assign(globalThis, { testDatabase: { embedded, dataDir } });
}
