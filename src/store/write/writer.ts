/** Writing: creates and changes under way at the same time share a statement; a transaction has its own. */
import type pg from 'pg';
import type { Catalog } from '../catalog.ts';
import { lane } from '../lane.ts';
import { type Executor, run, transaction } from '../pool.ts';
import { type Change, CREATE, changeValues, createValues, type Write, weight } from './batch.ts';
import { CHANGE } from './change.ts';
import { checkTargets } from './check.ts';

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
   * @throws  pg's error: 23505 where the id is taken; StaleEpoch; Dangling
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

/** Another process wrote the resource while the statement waited. */
const OVERTAKEN = 'x';

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
  async function change(executor: Executor, changes: readonly Change[]): Promise<readonly Changed[]> {
    const changed: Changed[] = [];
    let asked = changes.map((each, i) => ({ each, i }));
    for (let attempt = 0; asked.length > 0; attempt++) {
      const values = changeValues(
        catalog,
        asked.map(({ each }) => each),
      );
      const rows = await run(executor, CHANGE, values);
      if (rows.length === 0) throw new StaleEpoch();
      const again: typeof asked = [];
      rows.forEach((row, n) => {
        const { each, i } = asked[n] as (typeof asked)[number];
        if (row[0] === OVERTAKEN && attempt < 100) again.push({ each, i });
        else changed[i] = changedOf(row);
      });
      asked = again;
    }
    if (changes[0]?.check) await checkTargets(executor, changes);
    return changed;
  }

  async function create(executor: Executor, writes: readonly Write[]): Promise<string> {
    const [row] = await run(executor, CREATE, createValues(catalog, writes));
    if (!row) throw new StaleEpoch();
    if (writes[0]?.check) await checkTargets(executor, writes);
    return row[0] as string;
  }
  return {
    create: lane<Write, string>(LANE, async (batch) => {
      const stamp = batch[0]?.check
        ? await transaction(pool, (executor) => create(executor, batch))
        : await create(pool, batch);
      return batch.map(() => stamp);
    }),
    change: lane<Change, Changed>({ ...LANE, identity: ({ rid }) => rid }, (batch) =>
      batch[0]?.check ? transaction(pool, (executor) => change(executor, batch)) : change(pool, batch),
    ),
    async together(creates, changes) {
      if (changes.length === 0 && !creates[0]?.check)
        return { created: creates.length === 0 ? undefined : await create(pool, creates), changed: [] };
      let changed: readonly Changed[] = [];
      let created: string | undefined;
      try {
        await transaction(pool, async (executor) => {
          if (changes.length > 0) changed = await change(executor, changes);
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

/** Thrown where what allowed a write is out of date: nothing is written. */
export class StaleEpoch extends Error {}

/** Whether a create failed as its id was given away meanwhile. */
export const isTaken = (fault: unknown): boolean => (fault as { code?: unknown }).code === '23505';
