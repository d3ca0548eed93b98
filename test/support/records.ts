/** The door to records on a database of its own, without HTTP. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Definitions, loadDefinitions } from '../../src/fhir/definitions.ts';
import { loadValidator } from '../../src/fhir/validate.ts';
import { openRecords } from '../../src/records/open.ts';
import type { Caller, Records } from '../../src/records/records.ts';
import { openDiskBlobs } from '../../src/store/blobs/disk.ts';
import { openPools } from '../../src/store/pool.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { cloneDatabase, type TestDatabase } from './database.ts';

export const BASE_URL = 'https://fhir.example.org/fhir';

export interface TestRecords {
  /** of its database */
  readonly url: string;
  readonly records: Records;
  readonly store: Store;
  readonly definitions: Definitions;
  /** may do everything */
  readonly operator: Caller;
  close(): Promise<void>;
}

export async function openTestRecords({ checkReferences = false } = {}): Promise<TestRecords> {
  return openOn(await cloneDatabase(), checkReferences);
}

/** Another process over the same database, as far as the database can tell: pools and caches of its own. */
export function openBeside({ url }: TestRecords, { checkReferences = false } = {}): Promise<TestRecords> {
  return openOn({ url, drop: async () => {} }, checkReferences);
}

async function openOn(database: TestDatabase, checkReferences: boolean): Promise<TestRecords> {
  const folder = await mkdtemp(join(tmpdir(), 'consilium-records-'));
  const definitions = await loadDefinitions();
  const pools = openPools(database.url);
  const store = await openStore(pools, definitions, await openDiskBlobs(folder));
  const records = openRecords(store, definitions, await loadValidator(definitions), {
    baseUrl: BASE_URL,
    checkReferences,
  });
  return {
    url: database.url,
    records,
    store,
    definitions,
    operator: await records.operator(),
    async close() {
      await pools.end();
      await database.drop();
      await rm(folder, { recursive: true });
    },
  };
}
