/**
 * Before all tests: one PostgreSQL for them all, with a migrated database that they clone (see database.ts). It is
 * an embedded one, or that of TEST_POSTGRES, the URL of a superuser, to test on another version.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../src/store/connect.ts';
import { startEmbedded } from '../../src/store/embedded.ts';
import { migrate } from '../../src/store/migrate.ts';

export default async function setup(): Promise<void> {
  const { url, release } = process.env.TEST_POSTGRES
    ? { url: process.env.TEST_POSTGRES, release: async () => {} }
    : await startOne();
  const client = await connect(url);
  await client.query('drop database if exists template');
  await client.query('create database template');
  await client.end();
  const template = new URL(url);
  template.pathname = '/template';
  await migrate(template.href);
  process.env.TEST_DATABASE_URL = url;
  Object.assign(globalThis, { releaseTestDatabase: release });
}

async function startOne(): Promise<{ url: string; release: () => Promise<void> }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'consilium-test-'));
  // Where we are root, another user runs PostgreSQL and has to come through.
  chmodSync(dataDir, 0o755);
  const embedded = await startEmbedded({ dataDir, fsync: false, settings: { autovacuum: 'off' } });
  return {
    url: embedded.url,
    async release() {
      await embedded.release();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
