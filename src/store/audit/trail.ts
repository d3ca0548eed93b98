/** Reading the audit trail: what was shown and what was written, newest first. */
import { int8Array } from '../arrays.ts';
import { type Executor, type Row, run } from '../pool.ts';

/** An entry of the trail. */
export interface Entry {
  /** `a-tx-n` of an access, `w-tx-rid-version` of a write */
  readonly id: string;
  /** PostgreSQL's text of the time stamp */
  readonly at: string;
  /** as in access_log; or c, u, d of a write */
  readonly action: string;
  readonly status: number;
  readonly found: number;
  /** number of the access token; null where there was none */
  readonly agent: number | null;
  /** through which client; null of the command line */
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
  /** id of the request and the address that it came from, apart by a space */
  readonly origin: string | null;
  readonly query: Buffer | null;
}

/** Where a page ended. */
export type Place = readonly [at: string, source: string, tx: number, first: number, second: number];

export interface Wanted {
  /** numbers of patients; undefined: about whomever */
  readonly patients?: readonly number[] | undefined;
  /** [from, to), PostgreSQL's text */
  readonly from: string;
  readonly to: string;
  readonly before?: Place | undefined;
  readonly count: number;
}

/** Columns of the rows of both tables, of which `shown` makes entries. */
export const OF_ACCESSES = `'a' as source, a.at, a.tx, a.n as first, 0 as second, a.action::text as action, a.status, a.found, a.agent,
    a.type, a.rid, case when a.patient is null then '{}'::bigint[] else array[a.patient] end as patients, a.purpose,
    a.origin, a.query, a.client, a.person`;
export const OF_CHANGES = `'w' as source, c.at, c.tx, c.rid as first, c.version as second, c.interaction::text as action, 200 as status,
    1 as found, c.agent, c.type, c.rid, c.patients, null as purpose, c.origin, null::bytea as query, null as client,
    null as person`;

// $1 patients, $2 from, $3 to, $4 limit, $5 to $9 the place. Each part rides on its index of time; accesses about patients on
// that of patients, and writes about them are looked through by time.
const rowsOf = (ofAccesses: string, ofChanges: string): string => `
  (select ${OF_ACCESSES} from access_log a
   where ${ofAccesses} and a.at >= $2 and a.at < $3
     and (a.at, 'a', a.tx, a.n, 0) < ($5::timestamptz, $6::text, $7::bigint, $8::bigint, $9::integer)
   order by a.at desc, a.tx desc, a.n desc limit $4)
  union all
  (select ${OF_CHANGES} from change c
   where ${ofChanges} and c.at >= $2 and c.at < $3
     and (c.at, 'w', c.tx, c.rid, c.version) < ($5, $6, $7, $8, $9)
   order by c.at desc, c.tx desc, c.rid desc, c.version desc limit $4)`;
/** What entries are made of (`entryOf`), of such rows. */
export const shown = (rows: string, order: string): string => `
  select e.source, e.at, e.tx, e.first, e.second, e.action, e.status, e.found, e.agent, coalesce(e.client, k.client),
    coalesce(e.person, k.payload->'extra'->>'fhirUser'), t.name, r.id,
    (select coalesce(array_agg(p.id), '{}') from resource p where p.rid = any (e.patients)), e.purpose, e.origin, e.query
  from (${rows}) e
  left join token k on k.number = e.agent left join type t on t.code = e.type left join resource r on r.rid = e.rid
  order by ${order}`;
const NEWEST = 'at desc, source desc, tx desc, first desc, second desc';
const page = (rows: string): string => shown(`select * from (${rows}) f order by ${NEWEST} limit $4`, NEWEST);
const PAGE = { name: 'audit_trail', text: page(rowsOf('$1::bigint[] is null', 'true')) };
const PAGE_OF_PATIENTS = {
  name: 'audit_trail_of',
  text: page(rowsOf('a.patient = any ($1::bigint[])', 'c.patients && $1')),
};
const ONE_ACCESS = {
  name: 'audit_access',
  text: shown(`select ${OF_ACCESSES} from access_log a where a.tx = $1 and a.n = $2`, '1'),
};
const ONE_WRITE = {
  name: 'audit_write',
  text: shown(`select ${OF_CHANGES} from change c where c.tx = $1 and c.rid = $2 and c.version = $3`, '1'),
};

const LAST: Place = ['infinity', 'z', 0, 0, 0];

/** Entries in [from, to), newest first, each with its place. */
export async function readTrail(
  executor: Executor,
  { patients, from, to, before = LAST, count }: Wanted,
): Promise<{ readonly entry: Entry; readonly place: Place }[]> {
  const values = [patients ? int8Array(patients) : null, from, to, count, ...before];
  return (await run(executor, patients ? PAGE_OF_PATIENTS : PAGE, values)).map((row) => {
    const [source, at, tx, first, second] = row;
    return { entry: entryOf(row), place: [at, source, tx, first, second] as unknown as Place };
  });
}

/** Ids that entries have, and nothing that is written. */
export const isOfTrail = (type: string, id: string): boolean =>
  (type === 'Provenance' && /^w-\d{1,18}-\d{1,16}-\d{1,9}$/.test(id)) ||
  (type === 'AuditEvent' && /^(?:a-\d{1,18}-\d{1,9}|w-\d{1,18}-\d{1,16}-\d{1,9})$/.test(id));

export async function readEntry(executor: Executor, id: string): Promise<Entry | undefined> {
  const [source, ...numbers] = id.split('-');
  const [row] = await run(executor, source === 'a' ? ONE_ACCESS : ONE_WRITE, numbers);
  return row && entryOf(row);
}

/** What a row of `shown` ends with, in its order. */
const FIELDS = [
  ...['action', 'status', 'found', 'agent', 'client', 'fhirUser', 'type', 'resource', 'patients', 'purpose'],
  ...['origin', 'query'],
];

/** Of a row of `shown`. */
export function entryOf([source, at, tx, first, second, ...fields]: Row): Entry {
  return {
    ...Object.fromEntries(FIELDS.map((name, i) => [name, fields[i]])),
    id: source === 'a' ? `a-${tx}-${first}` : `w-${tx}-${first}-${second}`,
    at,
    version: source === 'w' ? second : null,
  } as Entry;
}
