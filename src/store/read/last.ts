/** The contents by which access to resources is judged: the newest that each had, also of deleted ones. */
import { int2Array, int8Array, textArray } from '../arrays.ts';
import { type Executor, type Row, run } from '../pool.ts';

/** What a resource is, or was before it was deleted. */
export interface Last {
  readonly rid: number;
  /** number of its type */
  readonly type: number;
  readonly id: string;
  /** of the current version, the deletion included */
  readonly version: number;
  readonly deleted: boolean;
  readonly updated: string;
  /** null where it never had any */
  readonly content: string | null;
  readonly blob: string | null;
}

const COLUMNS = `r.rid, r.type, r.id, r.version, r.deleted, r.updated, coalesce(r.content, (
    select v.content from version v
    where v.rid = r.rid and v.content is not null order by v.version desc limit 1)), r.blob`;
const OF_NUMBERS = {
  name: 'last_contents',
  text: `select ${COLUMNS} from resource r where r.rid = any ($1::bigint[]) and r.version > 0`,
};
// Rides on the unique index (type, id).
const OF_NAMES = {
  name: 'last_contents_of_names',
  text: `select ${COLUMNS}
         from unnest($1::smallint[], $2::text[]) e (type, id) join resource r on r.type = e.type and r.id = e.id
         where r.version > 0`,
};
const OWNERS = {
  name: 'owners_of_binaries',
  text: `select b.id, ${COLUMNS}
         from resource b join binary_owner o on o.rid = b.rid join resource r on r.rid = o.owner
         where b.type = $1 and b.id = any ($2::text[]) and r.version > 0 and not r.deleted`,
};

export async function readLast(executor: Executor, rids: readonly number[]): Promise<Last[]> {
  return (await run(executor, OF_NUMBERS, [int8Array(rids)])).map(lastOf);
}

export async function readLastOf(
  executor: Executor,
  names: readonly { readonly type: number; readonly id: string }[],
): Promise<Last[]> {
  const [types, ids] = [names.map(({ type }) => type), names.map(({ id }) => id)];
  return (await run(executor, OF_NAMES, [int2Array(types), textArray(ids)])).map(lastOf);
}

/** What owns Binaries (decision 10), by their ids. */
export async function readOwners(
  executor: Executor,
  binary: number,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Last>> {
  const rows = await run(executor, OWNERS, [binary, ids]);
  return new Map(rows.map(([id, ...owner]) => [id as string, lastOf(owner)]));
}

const lastOf = ([rid, type, id, version, deleted, updated, content, blob]: Row): Last =>
  ({ rid, type, id, version, deleted, updated, content, blob }) as Last;
