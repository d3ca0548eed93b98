/** The database of a benchmark: a given one, or an embedded one that is kept between runs. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { EXTRACTOR_VERSION } from '../src/fhir/extract.ts';
import { startEmbedded } from '../src/store/embedded.ts';
import type { Size } from './dataset.ts';
import { fill } from './fill.ts';

export interface Database {
  readonly url: string;
  /** of the postmaster, where it is on this machine and ours */
  readonly pid?: number;
  readonly dataDir: string;
  close(): Promise<void>;
}

const folder = join(import.meta.dirname, '.data');

/** Opens the database with the dataset in it, which takes a while the first time. */
export async function openDatabase(size: Size, log: (line: string) => void): Promise<Database> {
  const given = process.env.DATABASE_URL;
  mkdirSync(folder, { recursive: true });
  if (given) {
    await fill(given, size, log);
    return { url: given, dataDir: join(folder, 'blobs'), close: async () => {} };
  }
  // Data of another schema or another indexer is of no use.
  const prefix = `${size.observations}-${size.patients}-`;
  const name = `${prefix}${fingerprint()}`;
  for (const other of readdirSync(folder))
    if (other.startsWith(prefix) && other !== name) rmSync(join(folder, other), { recursive: true });
  const dataDir = join(folder, name);
  const embedded = await startEmbedded({ dataDir, log });
  try {
    await fill(embedded.url, size, log);
    const copy = await copied(embedded.url);
    return {
      ...{ url: copy.url, pid: embedded.pid, dataDir },
      close: async () => {
        await copy.drop();
        await embedded.release();
      },
    };
  } catch (fault) {
    await embedded.release();
    throw fault;
  }
}

/** What a run writes goes into a copy, so that each begins with the same. */
async function copied(filled: string): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const run = async (...statements: string[]) => {
    // Not connected to what is copied.
    const client = new pg.Client({ connectionString: databaseIn(filled, 'postgres') });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  const drop = 'drop database if exists bench with (force)';
  await run(drop, `create database bench template "${new URL(filled).pathname.slice(1)}" strategy file_copy`);
  return { url: databaseIn(filled, 'bench'), drop: () => run(drop) };
}

function databaseIn(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** Of all that decides about the rows. */
function fingerprint(): string {
  const migrations = join(import.meta.dirname, '../migrations');
  const hash = createHash('sha256').update(String(EXTRACTOR_VERSION));
  for (const file of readdirSync(migrations).sort()) hash.update(readFileSync(join(migrations, file)));
  for (const file of [
    'bench/dataset.ts',
    'src/store/index/row.ts',
    'src/store/index/keys.ts',
    'src/store/hash.ts',
  ])
    hash.update(readFileSync(join(import.meta.dirname, '..', file)));
  return hash.digest('hex').slice(0, 12);
}
