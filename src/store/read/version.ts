/** One version of a resource, current or past. */
import { type Executor, run } from '../pool.ts';
import type { Current } from './current.ts';

// The current version stands in `resource`, deletions and past ones in `version`.
const VERSION = {
  name: 'vread',
  text: `select epoch.value, coalesce(v.version, 0), v.deleted, v.updated, v.content, v.blob, v.rid
         from epoch left join (
           select version, deleted, updated, content, blob, rid
           from resource where type = $1 and id = $2 and version = $3 and not deleted
           union all
           select v.version, v.deleted, v.updated, v.content, v.blob, v.rid
           from resource r join version v on v.rid = r.rid and v.version = $3
           where r.type = $1 and r.id = $2
         ) v on true`,
};

/** Reads version `version` of a resource; its `version` is 0 where there is none. */
export async function readVersion(
  executor: Executor,
  wanted: { readonly type: number; readonly id: string; readonly version: number },
): Promise<Current> {
  const [row = []] = await run(executor, VERSION, [wanted.type, wanted.id, wanted.version]);
  const [epoch, version, deleted, updated, content, blob, rid] = row;
  return { epoch, version, deleted, updated, content, blob, rid } as Current;
}
