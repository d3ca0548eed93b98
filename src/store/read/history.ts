/** The versions of one resource, of a type, or of all, newest first (R4 http.html#history). */
import { int2Array, int8Array } from '../arrays.ts';
import { type Executor, run } from '../pool.ts';
import { contentColumns, type PageRow } from './page.ts';

export interface HistoryWanted {
  /** types looked at, by number */
  readonly types: readonly number[];
  /** only these resources */
  readonly rids?: readonly number[];
  readonly count: number;
  /** milliseconds; only versions made at or after it */
  readonly since: number;
  /** only versions current at some time in [from, to), in milliseconds */
  readonly from: number;
  readonly to: number;
  /** only what is older than this entry */
  readonly before?: Position;
}

export interface Position {
  /** milliseconds */
  readonly updated: number;
  readonly rid: number;
  readonly version: number;
}

/** A version, and the epoch that was read along with it. */
export interface HistoryRow extends PageRow {
  readonly epoch: number;
  readonly type: number;
  readonly id: string;
  readonly deleted: boolean;
  readonly updated: string;
  readonly blob: string | null;
  /** whether the version before was a deletion, or there was none */
  readonly created: boolean;
}

// Both parts walk an index backwards from the position and stop after a page: the current versions on
// resource_updated, past ones and deletions on version_history. Contents are fetched for the page only.
const OF_TYPES = `
  select x.* from unnest($1::smallint[]) t (code) cross join lateral (
    (select r.rid, r.version, r.updated, r.type from resource r
     where r.type = t.code and r.version > 0 and not r.deleted and r.updated >= $3 and r.updated < $5
       and (r.updated, r.rid) <= ($6, $7) and (r.updated, r.rid, r.version) < ($6, $7, $8)
     order by r.updated desc, r.rid desc limit $2)
    union all
    (select v.rid, v.version, v.updated, v.type from version v
     where v.type = t.code and v.updated >= $3 and v.updated < $5 and v.superseded > $4
       and (v.updated, v.rid, v.version) < ($6, $7, $8)
     order by v.updated desc, v.rid desc, v.version desc limit $2)
  ) x`;
const OF_RESOURCES = `
  (select r.rid, r.version, r.updated, r.type from resource r
   where r.rid = any ($9::bigint[]) and r.type = any ($1) and r.version > 0 and not r.deleted
     and r.updated >= $3 and r.updated < $5 and (r.updated, r.rid, r.version) < ($6, $7, $8))
  union all
  (select v.rid, v.version, v.updated, v.type from version v
   where v.rid = any ($9) and v.type = any ($1) and v.updated >= $3 and v.updated < $5 and v.superseded > $4
     and (v.updated, v.rid, v.version) < ($6, $7, $8))`;

// '' of a deletion
const CONTENT = `coalesce(case when v.rid is null then r.content else v.content end, '')`;

const page = (found: string): string => `
  select (select value from epoch), p.rid, p.type, r.id, p.version, coalesce(v.deleted, false), p.updated,
    ${contentColumns(CONTENT, '$2')},
    case when v.rid is null then r.blob else v.blob end,
    p.version = 1 or coalesce(b.deleted, false)
  from (select * from (${found}) f order by updated desc, rid desc, version desc limit $2) p
  join resource r on r.rid = p.rid
  left join version v on v.rid = p.rid and v.version = p.version
  left join version b on b.rid = p.rid and b.version = p.version - 1
  order by p.updated desc, p.rid desc, p.version desc`;

const TYPES = { name: 'history', text: page(OF_TYPES) };
const RESOURCES = { name: 'history_of', text: page(OF_RESOURCES) };

const YEAR_1 = Date.parse('0001-01-01');

/** The first that PostgreSQL knows, as near as it matters. */
const EARLIEST = Date.parse('-004712-01-02');

/**
 * PostgreSQL's text for an instant in milliseconds, ±Infinity included. FHIR dates begin with year 1, and a zone or `ap`
 * may put them before it.
 */
export function timestampText(milliseconds: number): string {
  if (milliseconds === Number.POSITIVE_INFINITY) return 'infinity';
  if (milliseconds === Number.NEGATIVE_INFINITY) return '-infinity';
  if (milliseconds < YEAR_1) {
    // Here the year before 1 is 0, there it is 1 BC.
    const date = new Date(Math.max(milliseconds, EARLIEST));
    const year = String(1 - date.getUTCFullYear()).padStart(4, '0');
    return `${year}${date.toISOString().replace(/^-?\d+/, '')} BC`;
  }
  // Years after 9999 are written +0ddddd, which PostgreSQL reads without the sign only.
  return new Date(milliseconds).toISOString().replace('+', '');
}

/** Versions of one page; at most `count`. */
export async function readHistory(executor: Executor, wanted: HistoryWanted): Promise<HistoryRow[]> {
  const { before } = wanted;
  const values = [
    int2Array(wanted.types),
    wanted.count,
    timestampText(wanted.since),
    timestampText(wanted.from),
    timestampText(wanted.to),
    timestampText(before?.updated ?? Number.POSITIVE_INFINITY),
    before?.rid ?? Number.MAX_SAFE_INTEGER,
    before?.version ?? 0x7fffffff,
  ];
  const rows = wanted.rids
    ? await run(executor, RESOURCES, [...values, int8Array(wanted.rids)])
    : await run(executor, TYPES, values);
  return rows.map(
    ([epoch, rid, type, id, version, deleted, updated, size, content, blob, created]) =>
      ({ epoch, rid, type, id, version, deleted, updated, size, content, blob, created }) as HistoryRow,
  );
}
