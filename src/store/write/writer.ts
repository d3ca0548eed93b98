/** Writing: creates and changes under way at the same time share a statement; a transaction has its own. */
import type pg from 'pg';
import type { Catalog } from '../catalog.ts';
import { lane } from '../lane.ts';
import { type Executor, type Row, run, transaction } from '../pool.ts';
import { type Change, DATES, NUMBERS, STRINGS, tablesOf, type Write, weight } from './batch.ts';
import { changeStatement } from './change.ts';
import { checkTargets, Dangling } from './check.ts';
import { createStatement } from './create.ts';
import { parametersOf } from './parameters.ts';
import type { Named } from './statement.ts';

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
  /** @throws StaleEpoch; Dangling */
  change(change: Change): Promise<Changed>;
  /**
   * All or nothing. Where a change is not done, nothing is.
   *
   * @returns of the creates lastUpdated, of the changes what came of them
   * @throws  as create and change
   */
  together(
    creates: readonly Write[],
    changes: readonly Change[],
  ): Promise<{ readonly created: string | undefined; readonly changed: readonly Changed[] }>;
}

/** Thrown where what allowed a write is out of date: nothing is written. */
export class StaleEpoch extends Error {}

/** Whether a fault proves that its statement or transaction was rolled back: not that of a lost connection. */
function undone(fault: unknown): boolean {
  const { severity } = fault as { severity?: unknown };
  return fault instanceof StaleEpoch || fault instanceof Dangling || severity === 'ERROR';
}

/** Rolls a transaction back in which a change was not done. */
class Undone extends Error {}

/** Whether a create failed as its id was given away meanwhile. */
export const isTaken = (fault: unknown): boolean => (fault as { code?: unknown }).code === '23505';

// One lane would give PostgreSQL the least work, two do not let a large write hold up the small ones (measured).
const LANE = { width: 2, most: 64, heaviest: 2_000_000 };

const STATUS: Readonly<Record<string, Changed['status']>> = {
  d: 'done',
  m: 'other version',
  s: 'labels',
  g: 'nothing to delete',
};
/** A change that is to be asked for again (change.ts), so often at most. */
const AGAIN = new Set(['x', 'f']);
const ATTEMPTS = 100;

const ALL = NUMBERS | STRINGS | DATES;

/** Makes the writer of this process. */
export function makeWriter(pool: pg.Pool, catalog: Catalog): Writer {
  const statements = { create: remembering(createStatement), change: remembering(changeStatement) };

  function runNamed(executor: Executor, statement: Named, writes: readonly Write[]): Promise<Row[]> {
    const all = parametersOf(catalog, writes);
    return run(
      executor,
      statement,
      statement.parameters.map((name) => all[name]()),
    );
  }

  async function create(executor: Executor, writes: readonly Write[]): Promise<string> {
    const [row] = await runNamed(executor, statements.create(tablesOfAll(writes), claims(writes)), writes);
    if (!row) throw new StaleEpoch();
    if (writes[0]?.check) await checkTargets(executor, writes);
    return row[0] as string;
  }

  /**
   * One attempt.
   *
   * @param whole whether the batch needs more than updates of what is there
   * @returns     of each change what came of it, or `again` where it is to be asked anew, as a whole
   */
  async function attempt(
    executor: Executor,
    changes: readonly Change[],
    whole: boolean,
  ): Promise<readonly (Changed | 'again')[]> {
    const statement = statements.change(whole ? ALL : tablesOfAll(changes), whole, claims(changes));
    const rows = await runNamed(executor, statement, changes);
    if (rows.length === 0) throw new StaleEpoch();
    if (changes[0]?.check) await checkTargets(executor, changes);
    return rows.map((row) => (AGAIN.has(row[0] as string) ? 'again' : changedOf(row)));
  }

  const changeOne = lane<{ readonly change: Change; readonly whole: boolean }, Changed | 'again'>(
    { ...LANE, weigh: ({ change }) => weight(change), identity: ({ change }) => change.rid, undone },
    (batch) => {
      const changes = batch.map(({ change }) => change);
      const whole = batch.some((one) => one.whole);
      return changes[0]?.check
        ? transaction(pool, (executor) => attempt(executor, changes, whole))
        : attempt(pool, changes, whole);
    },
  );

  /** Within a transaction: a second attempt holds the locks of the first, so it succeeds. */
  async function changeAll(executor: Executor, changes: readonly Change[]): Promise<readonly Changed[]> {
    const changed = [...(await attempt(executor, changes, true))];
    const again = changes.filter((_, i) => changed[i] === 'again');
    if (again.length === 0) return changed as Changed[];
    const rest = await changeAll(executor, again);
    let at = 0;
    return changed.map((one) => (one === 'again' ? (rest[at++] as Changed) : one));
  }

  return {
    create: lane<Write, string>({ ...LANE, weigh: weight, undone }, async (batch) => {
      const stamp = batch[0]?.check
        ? await transaction(pool, (executor) => create(executor, batch))
        : await create(pool, batch);
      return batch.map(() => stamp);
    }),
    async change(change) {
      // Most changes are updates of what is there: what needs more is told so, and asked again.
      let whole = change.content === null;
      for (let n = 0; n < ATTEMPTS; n++) {
        const changed = await changeOne({ change, whole });
        if (changed !== 'again') return changed;
        whole = true;
      }
      throw new Error('a resource is written too often at once');
    },
    async together(creates, changes) {
      if (changes.length === 0 && !creates[0]?.check)
        return { created: creates.length === 0 ? undefined : await create(pool, creates), changed: [] };
      let changed: readonly Changed[] = [];
      let created: string | undefined;
      try {
        await transaction(pool, async (executor) => {
          if (changes.length > 0) changed = await changeAll(executor, changes);
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

function changedOf([status, version, updated, existed, labels]: Row): Changed {
  return {
    status: STATUS[status as string] as Changed['status'],
    version: version as number,
    updated: updated as string,
    existed: existed as boolean,
    labels: labels as string | null,
  };
}

/** The statements by what they are made of: a few dozen in all, each made at its first use. */
function remembering<P extends readonly (number | boolean)[]>(
  make: (...of: P) => Named,
): (...of: P) => Named {
  const made = new Map<string, Named>();
  return (...of) => {
    const key = of.join();
    const statement = made.get(key) ?? make(...of);
    made.set(key, statement);
    return statement;
  };
}

const tablesOfAll = (writes: readonly Write[]): number =>
  writes.reduce((tables, { row }) => tables | (row ? tablesOf(row) : 0), 0);

const claims = (writes: readonly Write[]): boolean => writes.some(({ owns }) => owns.length > 0);
