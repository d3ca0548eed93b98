/** Writing: creates and changes under way at the same time share a statement; a transaction has its own. */
import type pg from 'pg';
import type { Catalog } from '../catalog.ts';
import { lane } from '../lane.ts';
import { type Hold, takeLocks } from '../locks.ts';
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
   * @param around what else belongs to the transaction
   * @returns of the creates lastUpdated, of the changes what came of them
   * @throws  as create and change; what `before` and `after` throw
   */
  together(creates: readonly Write[], changes: readonly Change[], around?: Around): Promise<Together>;
}

export interface Together {
  /** PostgreSQL's text of lastUpdated of each; none where nothing was done */
  readonly created: readonly string[];
  readonly changed: readonly Changed[];
}

export interface Around {
  /** of the conditions that led to it */
  readonly holds: readonly Hold[];
  /** runs when all locks are held, before anything is written; to throw is to give up */
  readonly before?: (executor: Executor) => Promise<void>;
  /** runs when all is written and not yet committed */
  readonly after?: (executor: Executor) => Promise<void>;
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

/**
 * Makes the writer of this process.
 *
 * @param transacting for transactions of several statements
 */
export function makeWriter(pool: pg.Pool, transacting: pg.Pool, catalog: Catalog): Writer {
  const statements = { create: remembering(createStatement), change: remembering(changeStatement) };

  function runNamed(executor: Executor, statement: Named, writes: readonly Write[]): Promise<Row[]> {
    const all = parametersOf(catalog, writes);
    return run(
      executor,
      statement,
      statement.parameters.map((name) => all[name]()),
    );
  }

  /** @param locked whether the locks are held already */
  async function create(executor: Executor, writes: readonly Write[], locked = false): Promise<string> {
    const statement = statements.create(tablesOfAll(writes), claims(writes), !locked && identified(writes));
    const [row] = await runNamed(executor, statement, writes);
    if (!row) throw new StaleEpoch();
    if (writes[0]?.check) await checkTargets(executor, writes);
    return row[0] as string;
  }

  async function createAll(executor: Executor, writes: readonly Write[], locked: boolean): Promise<string[]> {
    if (writes.length === 0) return [];
    const stamp = await create(executor, writes, locked);
    return writes.map(() => stamp);
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
    locked = false,
  ): Promise<readonly (Changed | 'again')[]> {
    const locks = !locked && identified(changes);
    const statement = statements.change(whole ? ALL : tablesOfAll(changes), whole, claims(changes), locks);
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
    const changed = [...(await attempt(executor, changes, true, true))];
    const again = changes.filter((_, i) => changed[i] === 'again');
    if (again.length === 0) return changed as Changed[];
    const rest = await changeAll(executor, again);
    let at = 0;
    return changed.map((one) => (one === 'again' ? (rest[at++] as Changed) : one));
  }

  async function change(change: Change): Promise<Changed> {
    // Most changes are updates of what is there: what needs more is told so, and asked again.
    let whole = change.content === null;
    for (let n = 0; n < ATTEMPTS; n++) {
      const changed = await changeOne({ change, whole });
      if (changed !== 'again') return changed;
      whole = true;
    }
    throw new Error('a resource is written too often at once');
  }

  return {
    create: lane<Write, string>({ ...LANE, weigh: weight, undone }, (batch) => {
      return batch[0]?.check
        ? transaction(pool, (executor) => createAll(executor, batch, false))
        : createAll(pool, batch, false);
    }),
    change,
    async together(creates, changes, around) {
      if (!around && changes.length === 0 && !creates[0]?.check && inOne(creates))
        return { created: await createAll(pool, creates, false), changed: [] };
      const [alone] = changes;
      if (!around && creates.length === 0 && changes.length === 1 && alone)
        return { created: [], changed: [await change(alone)] };
      const changed: Changed[] = [];
      const created: string[] = [];
      // Locked in the order of numbers, as everywhere, also where they go in several statements.
      const order = changes
        .map((_, i) => i)
        .sort((a, b) => (changes[a] as Change).rid - (changes[b] as Change).rid);
      try {
        await transaction(transacting, async (executor) => {
          await takeLocks(executor, [...stripes(creates), ...stripes(changes)], around?.holds ?? []);
          await around?.before?.(executor);
          let done = 0;
          for (const chunk of chunksOf(order.map((i) => changes[i] as Change)))
            for (const one of await changeAll(executor, chunk)) changed[order[done++] as number] = one;
          if (changed.some(({ status }) => status === 'other version' || status === 'labels'))
            throw new Undone();
          for (const chunk of chunksOf(creates)) created.push(...(await createAll(executor, chunk, true)));
          await around?.after?.(executor);
        });
      } catch (fault) {
        if (!(fault instanceof Undone)) throw fault;
      }
      return { created, changed };
    },
  };
}

/** Statements of bounded size: while one is under way, other requests have their turn. */
function* chunksOf<W extends Write>(writes: readonly W[]): Generator<readonly W[]> {
  let chunk: W[] = [];
  let heavy = 0;
  for (const write of writes) {
    if (chunk.length > 0 && heavy + weight(write) > LANE.heaviest) {
      yield chunk;
      chunk = [];
      heavy = 0;
    }
    chunk.push(write);
    heavy += weight(write);
  }
  if (chunk.length > 0) yield chunk;
}

const inOne = (writes: readonly Write[]): boolean =>
  writes.reduce((sum, write) => sum + weight(write), 0) <= LANE.heaviest;

const stripes = (writes: readonly Write[]): readonly number[] => writes.flatMap(({ locks }) => locks);

const identified = (writes: readonly Write[]): boolean => writes.some(({ locks }) => locks.length > 0);

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
