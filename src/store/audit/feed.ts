/**
 * The audit trail in the order of commits, for whoever is sent all of it: as in the change feed, a position is a snapshot, so
 * that what is committed late is not passed over (store/feed.ts).
 */
import type pg from 'pg';
import type { Catalog } from '../catalog.ts';
import { type Executor, run, transaction } from '../pool.ts';
import { type Entry, entryOf, OF_ACCESSES, OF_CHANGES, shown } from './trail.ts';

/** All that `seen` saw is behind; of what `upto` sees, all up to `last` is too. */
interface Position {
  readonly base: number;
  readonly seen: string;
  readonly upto?: string;
  readonly last?: Last;
}

type Last = readonly [tx: number, source: string, first: number, second: number];

// $1 and $2 base and snapshot that were seen, $3 and $4 those up to which is read, $5 to $8 the last entry, $9 limit. Both
// parts ride on their index by tx.
const between = (table: string): string => `
  ${table}.tx >= $1::bigint + pg_snapshot_xmin($2::pg_snapshot)::text::bigint
  and not pg_visible_in_snapshot(greatest(${table}.tx - $1, 0)::text::xid8, $2)
  and pg_visible_in_snapshot(greatest(${table}.tx - $3::bigint, 0)::text::xid8, $4::pg_snapshot)`;
const ORDER = 'tx, source, first, second';
const READ = {
  name: 'audit_feed',
  text: shown(
    `select * from (
      (select ${OF_ACCESSES} from access_log a
       where ${between('a')} and (a.tx, 'a', a.n, 0) > ($5::bigint, $6::text, $7::bigint, $8::integer)
       order by a.tx, a.n limit $9)
      union all
      (select ${OF_CHANGES} from change c
       where ${between('c')} and (c.tx, 'w', c.rid, c.version) > ($5, $6, $7, $8)
       order by c.tx, c.rid, c.version limit $9)) f
     order by ${ORDER} limit $9`,
    ORDER,
  ),
};
const NOW = { name: 'snapshot', text: 'select pg_current_snapshot()::text' };
const FIND = { name: 'audit_output', text: `select value from setting where name = 'audit_output'` };
const KEEP = {
  name: 'keep_audit_output',
  text: `insert into setting (name, value) values ('audit_output', $1)
         on conflict (name) do update set value = excluded.value`,
};
const LOCK = {
  name: 'lock_audit_output',
  text: `select pg_try_advisory_xact_lock(hashtext('audit output'))`,
};

async function read(
  executor: Executor,
  { base, seen, upto, last = [-1, '', -1, -1] }: Position,
  now: { readonly base: number; readonly snapshot: string },
  limit: number,
): Promise<{ readonly entries: readonly Entry[]; readonly position: Position; readonly more: boolean }> {
  const end = upto ?? now.snapshot;
  const rows = await run(executor, READ, [base, seen, now.base, end, ...last, limit]);
  const [source, , tx, first, second] = rows.at(-1) ?? [];
  const more = rows.length === limit;
  return {
    entries: rows.map(entryOf),
    position: more
      ? { base, seen, upto: end, last: [tx, source, first, second] as unknown as Last }
      : { base: now.base, seen: end },
    more,
  };
}

/**
 * Hands on what has come since the last time, in one process at a time. Where it is not taken, it is offered again. The
 * first time it begins with what comes from then on.
 *
 * @param take resolves when the entries are taken
 * @returns    whether there is more
 * @throws     what `take` throws
 */
export function handOn(
  pool: pg.Pool,
  { feedBase: base }: Pick<Catalog, 'feedBase'>,
  limit: number,
  take: (entries: readonly Entry[]) => Promise<void>,
): Promise<boolean> {
  return transaction(pool, async (executor) => {
    const [[isMine] = []] = await run(executor, LOCK, []);
    if (!isMine) return false;
    const [[snapshot] = []] = (await run(executor, NOW, [])) as [string][];
    const now = { base, snapshot: snapshot as string };
    const [[kept] = []] = await run(executor, FIND, []);
    if (kept === undefined) {
      await run(executor, KEEP, [JSON.stringify({ base, seen: now.snapshot })]);
      return false;
    }
    const { entries, position, more } = await read(executor, JSON.parse(kept as string), now, limit);
    if (entries.length > 0) await take(entries);
    await run(executor, KEEP, [JSON.stringify(position)]);
    return more;
  });
}
