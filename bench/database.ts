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
  const prefix = `${size.observations}-${size.patients}-${size.others}-`;
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

/** What a run writes goes into a copy of its own, so that each begins with the same. */
async function copied(filled: string): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const name = `bench_${process.pid}`;
  const run = async (work: (client: pg.Client) => Promise<unknown>) => {
    // Not connected to what is copied.
    const client = new pg.Client({ connectionString: databaseIn(filled, 'postgres') });
    await client.connect();
    try {
      await work(client);
    } finally {
      await client.end();
    }
  };
  const drop = (client: pg.Client, copy: string) =>
    client.query(`drop database if exists ${copy} with (force)`);
  await run(async (client) => {
    const { rows } = await client.query(
      `select datname as copy from pg_database where datname ~ '^bench_[0-9]+$'`,
    );
    for (const { copy } of rows) if (!lives(Number(copy.slice('bench_'.length)))) await drop(client, copy);
    await drop(client, name);
    const template = new URL(filled).pathname.slice(1);
    await client.query(
      `create database ${name} template ${client.escapeIdentifier(template)} strategy file_copy`,
    );
  });
  return { url: databaseIn(filled, name), drop: () => run((client) => drop(client, name)) };
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
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
    'bench/loading.ts',
    'src/store/index/row.ts',
    'src/store/index/keys.ts',
    'src/store/hash.ts',
  ])
    hash.update(readFileSync(join(import.meta.dirname, '..', file)));
  return hash.digest('hex').slice(0, 12);
}
