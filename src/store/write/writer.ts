/** Writing: creates and changes under way at the same time share a statement; a transaction has its own. */
import type pg from 'pg';
import type { Catalog } from '../catalog.ts';
import { lane } from '../lane.ts';
import { run, transaction } from '../pool.ts';
import { CHANGE, type Change, CREATE, changeValues, createValues, type Write, weight } from './batch.ts';
import { CREATE_ONE, createOneValues, isPlain } from './create-one.ts';

/** What came of a change. */
export interface Changed {
  readonly status: 'done' | 'other version' | 'labels' | 'nothing to delete';
  /** the new version where done, else the current one */
  readonly version: number;
  /** PostgreSQL's text of the time stamp */
  readonly updated: string;
  /** whether there was an undeleted version before */
  readonly existed: boolean;
  /** the labels of the version before */
  readonly labels: string | null;
}

export interface Writer {
  /**
   * Writes version 1 of a resource whose number and id nobody has.
   *
   * @returns PostgreSQL's text of lastUpdated
   * @throws  pg's error: 23505 where the id is taken; see `isStale` and `danglingOf`
   */
  create(write: Write): Promise<string>;
  change(change: Change): Promise<Changed>;
  /**
   * All or nothing. Where a change is not done, nothing is.
   *
   * @returns of the creates lastUpdated, of the changes what came of them
   */
  together(
    creates: readonly Write[],
    changes: readonly Change[],
  ): Promise<{ readonly created: string | undefined; readonly changed: readonly Changed[] }>;
}

const STATUS: Readonly<Record<string, Changed['status']>> = {
  d: 'done',
  m: 'other version',
  s: 'labels',
  g: 'nothing to delete',
};

// One lane would give PostgreSQL the least work, two do not let a large write hold up the small ones (measured).
const LANE = { width: 2, most: 64, heaviest: 2_000_000, weigh: weight };

/** Makes the writer of this process. */
export function makeWriter(pool: pg.Pool, catalog: Catalog): Writer {
  const changedOf = ([status, version, updated, existed, labels]: unknown[]): Changed => ({
    status: STATUS[status as string] as Changed['status'],
    version: version as number,
    updated: updated as string,
    existed: existed as boolean,
    labels: labels as string | null,
  });
  return {
    create: lane<Write, string>(LANE, async (batch) => {
      const [first] = batch as [Write];
      if (batch.length === 1 && isPlain(first)) {
        const [row] = await run(pool, CREATE_ONE, createOneValues(catalog, first));
        if (!row) throw new StaleEpoch();
        return [row[0] as string];
      }
      const [row] = await run(pool, CREATE, createValues(catalog, batch));
      return batch.map(() => row?.[0] as string);
    }),
    change: lane<Change, Changed>({ ...LANE, identity: ({ rid }) => rid }, async (batch) => {
      const rows = await run(pool, CHANGE, changeValues(catalog, batch));
      return rows.map(changedOf);
    }),
    async together(creates, changes) {
      const create = async (executor: Parameters<typeof run>[0]): Promise<string | undefined> =>
        creates.length === 0
          ? undefined
          : ((await run(executor, CREATE, createValues(catalog, creates)))[0]?.[0] as string);
      if (changes.length === 0) return { created: await create(pool), changed: [] };
      let changed: readonly Changed[] = [];
      let created: string | undefined;
      try {
        await transaction(pool, async (executor) => {
          changed = (await run(executor, CHANGE, changeValues(catalog, changes))).map(changedOf);
          if (changed.some(({ status }) => status === 'other version' || status === 'labels'))
            throw new Undone();
          created = await create(executor);
        });
      } catch (fault) {
        if (!(fault instanceof Undone)) throw fault;
      }
      return { created, changed };
    },
  };
}

/** Rolls a transaction back in which a change was not done. */
class Undone extends Error {}

/** What PostgreSQL's functions raise as CN002. */
class StaleEpoch extends Error {
  readonly code = 'CN002';
}

/** Whether a write failed as what allowed it is out of date. */
export const isStale = (fault: unknown): boolean => (fault as { code?: unknown }).code === 'CN002';

/** Whether a create failed as its id was given away meanwhile. */
export const isTaken = (fault: unknown): boolean => (fault as { code?: unknown }).code === '23505';

/** The number of a target that is not there, where a write failed for that (REFERENCES=check). */
export function danglingOf(fault: unknown): number | undefined {
  const { code, detail } = fault as { code?: unknown; detail?: string };
  return code === 'CN001' ? Number(detail) : undefined;
}
