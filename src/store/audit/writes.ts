/** Who wrote what by one request: rows of the change feed, together. */
import { int2Array, int8Array } from '../arrays.ts';
import { type Executor, type Row, run } from '../pool.ts';
import { timestampText } from '../read/history.ts';

/** One version that was written. */
export interface WrittenVersion {
  readonly tx: number;
  readonly rid: number;
  readonly version: number;
  /** PostgreSQL's text of the time stamp */
  readonly at: string;
  readonly interaction: 'c' | 'u' | 'd';
  readonly type: string;
  readonly id: string;
  /** ids of those whom it was about */
  readonly patients: readonly string[];
}

/** What one request has written, in one transaction. */
export interface Writing {
  readonly versions: readonly WrittenVersion[];
  /** through which client; null of the command line */
  readonly client: string | null;
  /** `Type/id` */
  readonly fhirUser: string | null;
}

/** Where a page ended: the newest of the writing that was shown last. */
export type WritingPlace = readonly [at: string, tx: number, rid: number, version: number];

// Writes of the command line have no origin. $2 types that are not told of. Rides on the primary key.
const OF_TRANSACTIONS = {
  name: 'writings',
  text: `select c.tx, c.rid, c.version, c.at, c.interaction::text, t.name, r.id,
           (select coalesce(array_agg(p.id), '{}') from resource p where p.rid = any (c.patients)), c.agent, c.origin,
           k.client, k.payload->'extra'->>'fhirUser'
         from change c join resource r on r.rid = c.rid join type t on t.code = c.type left join token k on k.number = c.agent
         where c.tx = any ($1::bigint[]) and c.origin is not null and c.type <> all ($2::smallint[])
         order by c.tx, c.rid, c.version`,
};
// The time of a version leads to its change by the index of time.
const OF_RESOURCES = {
  name: 'transactions_of_resources',
  text: `select c.tx, max(c.at) from (
           select rid, updated from resource where rid = any ($1::bigint[]) and version > 0
           union select rid, updated from version where rid = any ($1)) v
         join change c on c.at = v.updated and c.rid = v.rid
         where c.origin is not null and c.at <= $2 group by c.tx order by max(c.at) desc, c.tx desc limit $3`,
};
// $1 patients, $2 from, $3 to, $4 to $7 the place, $8 limit, $9 types that are not told of. Looked through by time.
const BY_TIME = {
  name: 'transactions_by_time',
  text: `select c.tx, c.at, c.rid, c.version from change c
         where c.at >= $2 and c.at < $3 and c.origin is not null and c.type <> all ($9::smallint[])
           and ($1::bigint[] is null or c.patients && $1)
           and (c.at, c.tx, c.rid, c.version) < ($4::timestamptz, $5::bigint, $6::bigint, $7::integer)
         order by c.at desc, c.tx desc, c.rid desc, c.version desc limit $8`,
};

/** The writings of some transactions. */
export async function writingsOf(
  executor: Executor,
  transactions: readonly number[],
  untold: readonly number[],
): Promise<readonly Writing[]> {
  if (transactions.length === 0) return [];
  const rows = await run(executor, OF_TRANSACTIONS, [int8Array(transactions), int2Array(untold)]);
  // Creates of several requests share a transaction.
  const groups = new Map<string, { readonly row: Row; readonly versions: WrittenVersion[] }>();
  for (const row of rows) {
    const [tx, rid, version, at, interaction, type, id, patients, agent, origin] = row;
    const name = `${tx} ${agent} ${origin}`;
    const group = groups.get(name) ?? { row, versions: [] };
    groups.set(name, group);
    group.versions.push({ tx, rid, version, at, interaction, type, id, patients } as WrittenVersion);
  }
  return [...groups.values()].map(
    ({ row, versions }): Writing => ({
      versions,
      client: row[10] as string | null,
      fhirUser: row[11] as string | null,
    }),
  );
}

/** Transactions that have written these resources, up to a time stamp, newest first. */
export async function transactionsOf(
  executor: Executor,
  rids: readonly number[],
  upTo: string,
  limit: number,
): Promise<readonly { readonly tx: number; readonly at: string }[]> {
  const rows = await run(executor, OF_RESOURCES, [int8Array(rids), upTo, limit]);
  return rows.map(([tx, at]) => ({ tx, at }) as { tx: number; at: string });
}

/** Places of what was written in [from, to), in milliseconds, about some patients or anybody; newest first. */
export async function placesByTime(
  executor: Executor,
  wanted: {
    readonly patients: readonly number[] | undefined;
    readonly from: number;
    readonly to: number;
    readonly before: WritingPlace | undefined;
    readonly untold: readonly number[];
  },
  limit: number,
): Promise<readonly WritingPlace[]> {
  const { patients, from, to, before = ['infinity', 0, 0, 0], untold } = wanted;
  const rows = await run(executor, BY_TIME, [
    patients ? int8Array(patients) : null,
    timestampText(from),
    timestampText(to),
    ...before,
    limit,
    int2Array(untold),
  ]);
  return rows.map(([tx, at, rid, version]) => [at, tx, rid, version] as unknown as WritingPlace);
}
