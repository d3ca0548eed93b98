/** Whether transactions are there as a whole or not at all. */
import type pg from 'pg';
import { MARKS } from './bundles.ts';
import type { Sent } from './step.ts';

/**
 * Looks for transactions of which there is a part, or nothing although the server said that it was done.
 *
 * @param sent  all that were sent since
 * @param since when the first of them was sent
 * @returns     a line for each fault
 */
export async function halves(pool: pg.Pool, sent: readonly Sent[], since: Date): Promise<string[]> {
  const there = await marksSince(pool, since);
  const deleted = await deletionsSince(pool, since);
  return sent.flatMap(({ mark, marked, deletions, acknowledged }) => {
    const written = there.get(mark) ?? 0;
    const gone = deletions.filter(({ type, id, version }) => deleted.has(`${type}/${id}/${version}`)).length;
    const whole = written === marked && gone === deletions.length;
    const nothing = written === 0 && gone === 0;
    if (whole || (nothing && !acknowledged)) return [];
    const found = `${written} of ${marked} writes and ${gone} of ${deletions.length} deletions are there`;
    return [`transaction ${mark}${acknowledged ? ', acknowledged' : ''}: ${found}`];
  });
}

/** How many versions carry each mark, past ones included. */
async function marksSince(pool: pg.Pool, since: Date): Promise<Map<string, number>> {
  const { rows } = await pool.query(
    `select substring(content from $2) as mark, count(*)::integer as count
     from (
       select content, updated from resource union all select content, updated from version
     ) v
     where updated >= $1 and content like '%' || $3 || '%' group by mark`,
    [since, `"system":"${MARKS}","value":"([^"]+)"`, MARKS],
  );
  return new Map(rows.map(({ mark, count }) => [mark, count]));
}

async function deletionsSince(pool: pg.Pool, since: Date): Promise<Set<string>> {
  const { rows } = await pool.query(
    `select t.name, r.id, v.version
     from version v join resource r on r.rid = v.rid join type t on t.code = v.type
     where v.deleted and v.updated >= $1`,
    [since],
  );
  return new Set(rows.map(({ name, id, version }) => `${name}/${id}/${version}`));
}
