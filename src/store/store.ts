/** PostgreSQL and the blobs, opened: what records/ stands on. */
import type pg from 'pg';
import type { Definitions } from '../fhir/definitions.ts';
import type { Blobs } from './blobs/blobs.ts';
import { type Catalog, openCatalog } from './catalog.ts';
import { type CodeKeys, makeCodeKeys } from './index/code-keys.ts';
import { type Keys, makeKeys } from './index/keys.ts';
import { type Indexer, makeIndexer } from './index/row.ts';
import { makeNumbers, type Numbers } from './numbers.ts';
import type { Pools } from './pool.ts';
import { type Current, makeReader } from './read/current.ts';
import { makeSearcher, type Searcher } from './search/search.ts';
import { makeWriter, type Writer } from './write/writer.ts';

export interface Store {
  /** for statements that are planned once */
  readonly pool: pg.Pool;
  readonly catalog: Catalog;
  readonly keys: Keys;
  readonly numbers: Numbers;
  readonly codeKeys: CodeKeys;
  readonly indexer: Indexer;
  readonly read: (wanted: { readonly type: number; readonly id: string }) => Promise<Current>;
  readonly writer: Writer;
  readonly searcher: Searcher;
  readonly blobs: Blobs;
}

/**
 * Opens the store on a migrated database.
 *
 * @param pools `fixed` plans once, `searching` for each search
 */
export async function openStore(
  { fixed: pool, searching }: Pools,
  definitions: Definitions,
  blobs: Blobs,
): Promise<Store> {
  const catalog = await openCatalog(pool, definitions.resourceTypes);
  const keys = makeKeys(catalog.secret);
  const numbers = makeNumbers(pool, catalog);
  return {
    pool,
    catalog,
    keys,
    numbers,
    codeKeys: makeCodeKeys(pool),
    indexer: makeIndexer(definitions, keys),
    read: makeReader(pool),
    writer: makeWriter(pool, catalog),
    searcher: makeSearcher(searching, definitions, catalog, keys, numbers),
    blobs,
  };
}
