/** Reading the audit trail: what was shown and what was written, newest first. */
import { int8Array } from '../arrays.ts';
import { type Executor, type Row, run } from '../pool.ts';

/** An entry of the trail. */
export interface Entry {
  /** `a-n` of an access, `w-rid-version` of a write */
  readonly id: string;
  /** PostgreSQL's text of the time stamp */
  readonly at: string;
  /** as in access_log; or c, u, d of a write */
  readonly action: string;
  readonly status: number;
  readonly found: number;
  readonly agent: number;
  /** who used the token; null of the command line */
  readonly client: string | null;
  /** `Type/id` of the person behind it */
  readonly fhirUser: string | null;
  /** name of a resource type */
  readonly type: string | null;
  /** id of the one resource that it is about, where it is about one */
  readonly resource: string | null;
  readonly version: number | null;
  /** ids */
  readonly patients: readonly string[];
  readonly purpose: string | null;
  readonly query: Buffer | null;
}

/** Where a page ended. */
export type Place = readonly [at: string, source: string, first: number, second: number];

export interface Wanted {
  /** numbers of patients; undefined: about whomever */
  readonly patients?: readonly number[] | undefined;
  /** [from, to), PostgreSQL's text */
  readonly from: string;
  readonly to: string;
  readonly before?: Place | undefined;
  readonly count: number;
}

// $1 patients, $2 from, $3 to, $4 limit, $5 to $8 the place. Each part rides on its index of time, or of patients.
const ROWS = `
  (select 'a' as source, a.at, a.n as first, 0 as second, a.action::text as action, a.status, a.found, a.agent, a.type, a.rid,
     case when a.patient is null then '{}'::bigint[] else array[a.patient] end as patients, a.purpose, a.query, a.person
   from access_log a
   where ($1::bigint[] is null or a.patient = any ($1)) and a.at >= $2 and a.at < $3
     and (a.at, 'a', a.n, 0) < ($5::timestamptz, $6::text, $7::bigint, $8::integer)
   order by a.at desc, a.n desc limit $4)
  union all
  (select 'w', c.at, c.rid, c.version, c.interaction::text, 200, 1, c.agent, c.type, c.rid, c.patients, null, null, null
   from change c
   where ($1 is null or c.patients && $1) and c.at >= $2 and c.at < $3
     and (c.at, 'w', c.rid, c.version) < ($5, $6, $7, $8)
   order by c.at desc, c.rid desc, c.version desc limit $4)`;
const shown = (rows: string): string => `
  select e.source, e.at, e.first, e.second, e.action, e.status, e.found, e.agent, k.client, coalesce(e.person, k.payload->'extra'->>'fhirUser'),
    t.name, r.id, (select coalesce(array_agg(p.id), '{}') from resource p where p.rid = any (e.patients)), e.purpose, e.query
  from (select * from (${rows}) f order by at desc, source desc, first desc, second desc limit $4) e
  left join token k on k.number = e.agent left join type t on t.code = e.type left join resource r on r.rid = e.rid
  order by e.at desc, e.source desc, e.first desc, e.second desc`;
const PAGE = { name: 'audit_trail', text: shown(ROWS) };
const ONE_ACCESS = {
  name: 'audit_access',
  text: shown(`select 'a' as source, a.at, a.n as first, 0 as second, a.action::text as action, a.status, a.found, a.agent, a.type, a.rid,
      case when a.patient is null then '{}'::bigint[] else array[a.patient] end as patients, a.purpose, a.query, a.person
    from access_log a where a.n = $1`).replaceAll('$4', '1'),
};
const ONE_WRITE = {
  name: 'audit_write',
  text: shown(`select 'w' as source, c.at, c.rid as first, c.version as second, c.interaction::text as action, 200 as status, 1 as found,
      c.agent, c.type, c.rid, c.patients, null as purpose, null::bytea as query, null as person
    from change c where c.rid = $1 and c.version = $2`).replaceAll('$4', '1'),
};

const LAST: Place = ['infinity', 'z', 0, 0];

/** Entries in [from, to), newest first, each with its place. */
export async function readTrail(
  executor: Executor,
  { patients, from, to, before = LAST, count }: Wanted,
): Promise<{ readonly entry: Entry; readonly place: Place }[]> {
  const values = [patients ? int8Array(patients) : null, from, to, count, ...before];
  return (await run(executor, PAGE, values)).map((row) => {
    const [source, at, first, second] = row;
    return { entry: entryOf(row), place: [at, source, first, second] as unknown as Place };
  });
}

/** Ids that entries have, and nothing that is written. */
export const isOfTrail = (type: string, id: string): boolean =>
  type === 'AuditEvent' && /^(?:a-\d{1,18}|w-\d{1,18}-\d{1,9})$/.test(id);

export async function readEntry(executor: Executor, id: string): Promise<Entry | undefined> {
  const [source, first, second] = id.split('-');
  const [row] =
    source === 'a'
      ? await run(executor, ONE_ACCESS, [first])
      : await run(executor, ONE_WRITE, [first, second]);
  return row && entryOf(row);
}

function entryOf(row: Row): Entry {
  const [
    source,
    at,
    first,
    second,
    action,
    status,
    found,
    agent,
    client,
    fhirUser,
    type,
    resource,
    patients,
    purpose,
    query,
  ] = row;
  return {
    id: source === 'a' ? `a-${first}` : `w-${first}-${second}`,
    at,
    action,
    status,
    found,
    agent,
    client,
    fhirUser,
    type,
    resource,
    version: source === 'w' ? second : null,
    patients,
    purpose,
    query,
  } as Entry;
}
