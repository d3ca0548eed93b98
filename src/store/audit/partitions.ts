/** The months of access_log: made ahead, and dropped when they are older than they have to be. */
import type pg from 'pg';
import { type Executor, run, transaction } from '../pool.ts';

const AHEAD = 2;

const PARTITIONS = {
  name: 'access_log_partitions',
  text: `select inhrelid::regclass::text from pg_inherits where inhparent = 'access_log'::regclass`,
};

/**
 * @param keep months that are kept besides this one; 0: all
 * @returns    names of partitions that were dropped
 */
export async function turnPartitions(
  pool: pg.Pool,
  keep: number,
  now = new Date(),
): Promise<readonly string[]> {
  return transaction(pool, async (executor) => {
    // One process at a time.
    await executor.query(`select pg_advisory_xact_lock(hashtext('access_log partitions'))`);
    const known = new Set((await run(executor, PARTITIONS, [])).map(([name]) => name as string));
    for (let ahead = 0; ahead <= AHEAD; ahead++) {
      const [from, to] = [month(now, ahead), month(now, ahead + 1)];
      if (known.has(nameOf(from))) continue;
      await executor.query(
        `create table ${nameOf(from)} partition of access_log for values from ('${text(from)}') to ('${text(to)}')`,
      );
    }
    if (keep === 0) return [];
    const oldest = nameOf(month(now, -keep));
    const old = [...known].filter((name) => isMonth(name) && name < oldest);
    for (const name of old) await executor.query(`drop table ${name}`);
    return old;
  });
}

/** The months that there are, as `YYYY-MM`, the oldest first. */
export async function monthsKept(executor: Executor): Promise<readonly string[]> {
  const names = (await run(executor, PARTITIONS, [])).map(([name]) => name as string);
  return names
    .filter(isMonth)
    .map((name) => name.slice('access_log_'.length).replace('_', '-'))
    .sort();
}

const isMonth = (name: string): boolean => /^access_log_\d{4}_\d{2}$/.test(name);

const month = (now: Date, ahead: number): Date =>
  new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead));
const nameOf = (month: Date): string => `access_log_${month.toISOString().slice(0, 7).replace('-', '_')}`;
const text = (month: Date): string => `${month.toISOString().slice(0, 10)} 00:00:00+00`;
