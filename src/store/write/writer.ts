/** Writing: creates and changes under way at the same time share a statement; a transaction has its own. */
import type pg from 'pg';
import { int8Array } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import { lane } from '../lane.ts';
import { type Executor, run, transaction } from '../pool.ts';
import {
  CHANGE,
  CHECK,
  type Change,
  CREATE,
  changeValues,
  createValues,
  type Write,
  weight,
} from './batch.ts';

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
  async function create(executor: Executor, writes: readonly Write[]): Promise<string> {
    const [row] = await run(executor, CREATE, createValues(catalog, writes));
    if (!row) throw new StaleEpoch();
    if (writes[0]?.check)
      await run(executor, CHECK, [int8Array(writes.flatMap((write) => write.row?.targets ?? []))]);
    return row[0] as string;
  }
  return {
    create: lane<Write, string>(LANE, async (batch) => {
      const stamp = batch[0]?.check
        ? await transaction(pool, (executor) => create(executor, batch))
        : await create(pool, batch);
      return batch.map(() => stamp);
    }),
    change: lane<Change, Changed>({ ...LANE, identity: ({ rid }) => rid }, async (batch) => {
      const rows = await run(pool, CHANGE, changeValues(catalog, batch));
      return rows.map(changedOf);
    }),
    async together(creates, changes) {
      if (changes.length === 0 && !creates[0]?.check)
        return { created: creates.length === 0 ? undefined : await create(pool, creates), changed: [] };
      let changed: readonly Changed[] = [];
      let created: string | undefined;
      try {
        await transaction(pool, async (executor) => {
          if (changes.length > 0)
            changed = (await run(executor, CHANGE, changeValues(catalog, changes))).map(changedOf);
          if (changed.some(({ status }) => status === 'other version' || status === 'labels'))
            throw new Undone();
          if (creates.length > 0) created = await create(executor, creates);
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
