/** PostgreSQL and the blobs, opened: what records/ stands on. */
import type pg from 'pg';
import type { OpenDefinitions, SearchParameter } from '../fhir/definitions.ts';
import { isFor } from '../fhir/posted-parameters.ts';
import type { Blobs } from './blobs/blobs.ts';
import { type Catalog, openCatalog } from './catalog.ts';
import { type CodeKeys, makeCodeKeys } from './index/code-keys.ts';
import { type Keys, makeKeys } from './index/keys.ts';
import { makeRebuilder, type Rebuilder } from './index/rebuild.ts';
import { type Indexer, makeIndexer } from './index/row.ts';
import { makeUnits, type Units } from './index/units.ts';
import { makeWordIndex, type WordIndex } from './index/words.ts';
import { makeNumbers, type Numbers } from './numbers.ts';
import { type Executor, type Pools, transaction } from './pool.ts';
import { type Current, makeReader } from './read/current.ts';
import { type Explained, watching } from './search/explain.ts';
import { type Includer, makeIncluder } from './search/include.ts';
import { makeSearcher, type Searcher } from './search/search.ts';
import { openSearchParameters, type SearchParameters } from './search-parameters.ts';
import { makeWriter, type Writer } from './write/writer.ts';

/** What reading leans on: of the process, or of one transaction that sees what it has written. */
export interface Reading {
  /** for statements that are planned once */
  readonly pool: Executor;
  readonly numbers: Pick<Numbers, 'find'>;
  readonly read: (wanted: { readonly type: number; readonly id: string }) => Promise<Current>;
  readonly searcher: Searcher;
  readonly includer: Includer;
}

export interface Store extends Reading {
  readonly pool: pg.Pool;
  /** for transactions of several statements */
  readonly transacting: pg.Pool;
  readonly parameters: SearchParameters;
  readonly rebuilder: Rebuilder;
  /** the types that parameters are for */
  typesOf(parameters: readonly Pick<SearchParameter, 'base'>[]): readonly string[];
  readonly catalog: Catalog;
  readonly keys: Keys;
  readonly numbers: Numbers;
  readonly codeKeys: CodeKeys;
  readonly units: Units;
  readonly words: WordIndex;
  readonly indexer: Indexer;
  readonly writer: Writer;
  readonly blobs: Blobs;
  /**
   * Reading within a transaction, whose connection is to plan for each search (PLAN_EACH).
   *
   * @param written numbers of what it has created
   */
  inside(executor: Executor, written: ReadonlyMap<string, number>): Reading;
  /** Reads as searches do; each statement is told with its plan. */
  explained(work: (reading: Reading) => Promise<void>): Promise<readonly Explained[]>;
  /** Reads in one snapshot of the database. */
  atOneMoment<T>(work: (executor: Executor) => Promise<T>): Promise<T>;
}

/**
 * Opens the store on a migrated database.
 *
 * @param pools `fixed` plans once, `searching` for each search
 */
export async function openStore(
  { fixed: pool, searching, transacting }: Pools,
  definitions: OpenDefinitions,
  blobs: Blobs,
): Promise<Store> {
  const catalog = await openCatalog(pool, definitions);
  const keys = makeKeys(catalog.secret);
  const numbers = makeNumbers(pool, catalog);
  const words = makeWordIndex(pool, catalog);
  const codeKeys = makeCodeKeys(pool);
  const units = makeUnits(pool, keys.units);
  const indexer = makeIndexer(definitions, keys, catalog);
  const parameters = openSearchParameters(pool, definitions, catalog);
  await parameters.refresh();
  return {
    pool,
    transacting,
    catalog,
    keys,
    numbers,
    codeKeys,
    units,
    words,
    indexer,
    parameters,
    rebuilder: makeRebuilder({ definitions, catalog, indexer, numbers, codeKeys, units }),
    typesOf: (wanted) =>
      definitions.resourceTypes.filter((type) => wanted.some((one) => isFor(definitions, one, type))),
    read: makeReader(pool),
    writer: makeWriter(pool, transacting, catalog),
    searcher: makeSearcher(searching, definitions, catalog, keys, numbers, words),
    includer: makeIncluder(pool, definitions, catalog, keys),
    blobs,
    atOneMoment: (work) => transaction(transacting, work, 'isolation level repeatable read, read only'),
    async explained(work) {
      const told: Explained[] = [];
      await transaction(
        searching,
        async (executor) => {
          const watched = watching(executor, told);
          const searcher = makeSearcher(watched, definitions, catalog, keys, numbers, words);
          const includer = makeIncluder(watched, definitions, catalog, keys);
          await work({ pool: watched, numbers, read: makeReader(watched), searcher, includer });
        },
        'read only',
      );
      return told;
    },
    inside(executor, written) {
      const seen: Reading['numbers'] = {
        async find(names) {
          const outside = await numbers.find(names);
          return names.map(({ type, id }, i) => written.get(`${type}/${id}`) ?? outside[i]);
        },
      };
      const searcher = makeSearcher(executor, definitions, catalog, keys, seen);
      const includer = makeIncluder(executor, definitions, catalog, keys);
      return { pool: executor, numbers: seen, read: makeReader(executor), searcher, includer };
    },
  };
}
