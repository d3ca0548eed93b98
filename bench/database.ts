/** The database of a benchmark: a given one, or an embedded one that is kept between runs. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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
    return { url: embedded.url, pid: embedded.pid, dataDir, close: () => embedded.release() };
  } catch (fault) {
    await embedded.release();
    throw fault;
  }
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
