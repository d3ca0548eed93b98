/** What was written since a snapshot, of some types: whom it is and was about, and what it refers to. */
import { int2Array } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import { type Executor, run } from '../pool.ts';

// $1 the snapshot, $2 types, $3 the feed's base, $4 limit. Rides on the primary key (tx, …), as the feed does (feed.ts).
const TOUCHED = {
  name: 'touched',
  text: `select (select pg_current_snapshot()::text), c.type, c.interaction = 'd', c.rid,
           c.patients || coalesce(v.patients, '{}'), coalesce(i.targets, '{}')
         from (values (1)) one
         left join change c on c.tx >= $3::bigint + pg_snapshot_xmin($1::pg_snapshot)::text::bigint
           and not pg_visible_in_snapshot(greatest(c.tx - $3, 0)::text::xid8, $1)
           and c.type = any ($2::smallint[])
         left join version v on v.rid = c.rid and v.version = c.version - 1
         left join resource_index i on i.rid = c.rid
         limit $4`,
};

export interface Touched {
  readonly type: number;
  readonly deleted: boolean;
  readonly rid: number;
  readonly patients: readonly number[];
  readonly targets: readonly number[];
}

export interface Since {
  /** what is seen now */
  readonly snapshot: string;
  /** undefined: more than are looked at */
  readonly touched: readonly Touched[] | undefined;
}

const MOST = 500;

export async function touchedSince(
  executor: Executor,
  { feedBase }: Pick<Catalog, 'feedBase'>,
  snapshot: string,
  types: readonly number[],
): Promise<Since> {
  const rows = await run(executor, TOUCHED, [snapshot, int2Array(types), feedBase, MOST]);
  const now = rows[0]?.[0] as string;
  if (rows.length === MOST) return { snapshot: now, touched: undefined };
  const touched = rows
    .filter(([, type]) => type !== null)
    .map(
      ([, type, deleted, rid, patients, targets]): Touched => ({
        type: type as number,
        deleted: deleted as boolean,
        rid: rid as number,
        patients: (patients as unknown[]).map(Number),
        targets: (targets as unknown[]).map(Number),
      }),
    );
  return { snapshot: now, touched };
}
