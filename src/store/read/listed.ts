/** The resources in a List, for `_list` (R4 search.html#list). */
import { type Executor, run } from '../pool.ts';

const LISTED = {
  name: 'listed',
  text: `select e.target
         from resource r
         join resource_index i on i.rid = r.rid
         cross join unnest(i.targets, i.paths) e (target, path)
         join path p on p.code = e.path and p.name = 'List.entry.item'
         where r.type = $1 and r.id = $2`,
};

/** Their numbers; none where there is no such List. */
export async function readListed(
  executor: Executor,
  list: { readonly type: number; readonly id: string },
): Promise<number[]> {
  return (await run(executor, LISTED, [list.type, list.id])).map(([target]) => target as number);
}
