/**
 * All that belongs to a patient or to an encounter, and what it refers to, by number (R4
 * operation-patient-everything.html, operation-encounter-everything.html). Numbers are found by one statement, however
 * many there are, and their contents read in pieces.
 */
import { int2Array, int8Array, keyArray, textArray } from '../arrays.ts';
import { type Executor, type Row, run } from '../pool.ts';
import { type Named, numbered } from '../write/statement.ts';
import { timestampText } from './history.ts';
import { contentColumns, type PageRow } from './page.ts';

/** Whose everything it is. */
export type Whose =
  /** of one patient: `lines` are the timeline keys of all types, `keys` those of his compartment */
  | {
      readonly kind: 'patient';
      readonly rid: number;
      readonly lines: readonly number[];
      readonly keys: readonly number[];
    }
  /** a resource, and what refers to it: `keys` are those of references to it */
  | { readonly kind: 'referring'; readonly rid: number; readonly keys: readonly number[] }
  /** of all patients: `paths` are those by which something is in a patient's compartment */
  | { readonly kind: 'patients'; readonly paths: readonly string[] };

export interface EverythingWanted {
  readonly whose: Whose;
  /** types of members: what belongs to it by itself */
  readonly members: readonly number[];
  /** types of what members refer to */
  readonly supports: readonly number[];
  /** types that are shown, of both */
  readonly shown: readonly number[];
  /** milliseconds: only members whose clinical date meets [from, to) */
  readonly from: number;
  readonly to: number;
  /** types whose clinical date is none of care */
  readonly undated: readonly number[];
  /** number of the type Patient */
  readonly patient: number;
  /** milliseconds: only versions made at or after it */
  readonly since?: number;
  readonly after?: Place;
  readonly count: number;
}

/** Where it is in the order: members first, each kind by number. */
export interface Place {
  readonly support: boolean;
  readonly rid: number;
}

const TYPES = {
  rid: 'bigint',
  lines: 'bigint[]',
  keys: 'bigint[]',
  paths: 'text[]',
  members: 'smallint[]',
  supports: 'smallint[]',
  shown: 'smallint[]',
  undated: 'smallint[]',
  patient: 'smallint',
  from: 'timestamptz',
  to: 'timestamptz',
  since: 'timestamptz',
  support: 'boolean',
  after: 'bigint',
  count: 'integer',
} as const;

/** What has no clinical date cannot be said to be outside of the range. */
const dated = (i: string): string =>
  `(${i}.at is null or ${i}.type = any ($undated) or ${i}.at < $to and ${i}.until > $from)`;

const MEMBERS = {
  // Rides on timeline_patient, and on the GIN index of keys, whose hashes are confirmed by the edges.
  patient: {
    candidates: `
      select t.rid from timeline t where t.patient = $rid and t.key = any ($lines)
      union select x.rid from resource_index x where x.keys && $keys and $rid = any (x.targets)`,
    is: (i: string) =>
      `(${i}.type = any ($members) and ($rid = any (${i}.patients) or ${i}.keys && $keys and $rid = any (${i}.targets)))`,
  },
  referring: {
    candidates: `
      select $rid as rid
      union select x.rid from resource_index x where x.keys && $keys and $rid = any (x.targets)`,
    is: (i: string) =>
      `(${i}.rid = $rid or ${i}.type = any ($members) and ${i}.keys && $keys and $rid = any (${i}.targets))`,
  },
  patients: {
    // in the order of numbers, along the primary key
    candidates: '',
    is: (i: string) => `(${i}.type = any ($members) and (${i}.patients <> '{}' or exists (
      select from unnest(${i}.targets, ${i}.paths) e (target, path)
      join path p on p.code = e.path and p.name = any ($paths)
      join resource q on q.rid = e.target and q.type = $patient)))`,
  },
};

/** Nothing that is about another patient than those of `own`, or about nobody and refers to another. */
export const ownAlone = (t: string): string => `${t}.patients <@ (select patients from own)
  and (${t}.patients <> '{}' or not exists (
    select from unnest(${t}.targets) e (target) join resource q on q.rid = e.target
    where q.type = $patient and q.rid <> all ((select patients from own)::bigint[])))`;

/**
 * What members refer to and, as long as it is about no patient, what that refers to in turn: the organization of a
 * practitioner, the organization that this is a part of.
 */
const supports = (isMember: (t: string) => string, isOwn: (t: string) => string): string => `
  support (rid) as (
    select t.rid from (select distinct unnest(m.targets) as rid from member m) e
    join resource_index t on t.rid = e.rid
    where t.type = any ($supports) and not (${isMember('t')} and ${dated('t')}) and ${isOwn('t')}
    union
    select t.rid from support s
    join resource_index i on i.rid = s.rid and i.patients = '{}'
    cross join unnest(i.targets) e (rid)
    join resource_index t on t.rid = e.rid
    where t.type = any ($supports) and not (${isMember('t')} and ${dated('t')}) and ${isOwn('t')}
  )`;

const changed = (rid: string): string =>
  `($since is null or exists (select from resource u where u.rid = ${rid} and u.updated >= $since))`;

/** Of one resource: both kinds in one. */
const ofOne = ({ candidates, is }: (typeof MEMBERS)['patient']): string => `
  with recursive own as (
    select patients from resource_index where rid = $rid
  ), member as materialized (
    select i.rid, i.type, i.targets from (${candidates}) f join resource_index i on i.rid = f.rid
    where ${is('i')} and ${dated('i')}
  ), ${supports(is, ownAlone)}
  select (select value from epoch), x.support, x.rid
  from (
    select false as support, rid, type from member
    union all select true, s.rid, i.type from support s join resource_index i on i.rid = s.rid
  ) x
  where (x.support, x.rid) > ($support, $after) and x.type = any ($shown) and ${changed('x.rid')}
  order by x.support, x.rid limit $count`;

const OF_PATIENT = numbered(TYPES, 'everything_of_patient', ofOne(MEMBERS.patient));
const OF_REFERRING = numbered(TYPES, 'everything_referring', ofOne(MEMBERS.referring));
const ALL_MEMBERS = numbered(
  TYPES,
  'everything_members',
  `select (select value from epoch), false, i.rid from resource_index i
         where i.rid > $after and i.type = any ($shown) and ${MEMBERS.patients.is('i')} and ${dated('i')}
           and ${changed('i.rid')}
         order by i.rid limit $count`,
);
const ALL_SUPPORTS = numbered(
  TYPES,
  'everything_supports',
  `with recursive member as (
           select i.targets from resource_index i where ${MEMBERS.patients.is('i')} and ${dated('i')}
         ), ${supports(MEMBERS.patients.is, () => 'true')}
         select (select value from epoch), true, s.rid from support s join resource_index i on i.rid = s.rid
         where s.rid > $after and i.type = any ($shown) and ${changed('s.rid')}
         order by s.rid limit $count`,
);

/** A resource that was found, and the epoch that was read along. */
export interface Placed extends Place {
  readonly epoch: number;
}

const FIRST: Place = { support: false, rid: -1 };

/** So many of them as are wanted, in their order. */
export async function findEverything(executor: Executor, wanted: EverythingWanted): Promise<Placed[]> {
  const { whose, after = FIRST, count } = wanted;
  if (whose.kind === 'patient') return found(executor, OF_PATIENT, wanted, after, count);
  if (whose.kind === 'referring') return found(executor, OF_REFERRING, wanted, after, count);
  const members = after.support ? [] : await found(executor, ALL_MEMBERS, wanted, after, count);
  if (members.length === count) return members;
  const from = after.support ? after : { support: true, rid: -1 };
  return [...members, ...(await found(executor, ALL_SUPPORTS, wanted, from, count - members.length))];
}

async function found(
  executor: Executor,
  statement: Named<keyof typeof TYPES>,
  { whose, ...wanted }: EverythingWanted,
  { support, rid: after }: Place,
  count: number,
): Promise<Placed[]> {
  const { since } = wanted;
  const values: Record<keyof typeof TYPES, () => unknown> = {
    rid: () => 'rid' in whose && whose.rid,
    lines: () => 'lines' in whose && keyArray(whose.lines),
    keys: () => 'keys' in whose && keyArray(whose.keys),
    paths: () => 'paths' in whose && textArray(whose.paths),
    members: () => int2Array(wanted.members),
    supports: () => int2Array(wanted.supports),
    shown: () => int2Array(wanted.shown),
    undated: () => int2Array(wanted.undated),
    patient: () => wanted.patient,
    from: () => timestampText(wanted.from),
    to: () => timestampText(wanted.to),
    since: () => (since === undefined ? null : timestampText(since)),
    support: () => support,
    after: () => after,
    count: () => count,
  };
  const rows = await run(
    executor,
    statement,
    statement.parameters.map((name) => values[name]()),
  );
  return rows.map(([epoch, isSupport, rid]) => ({ epoch, support: isSupport, rid }) as Placed);
}

/** A current resource with its content, and the epoch that was read along. */
export interface ContentRow extends PageRow {
  readonly epoch: number;
  readonly type: number;
  readonly id: string;
  readonly updated: string;
  readonly blob: string | null;
}

const CONTENTS = {
  name: 'contents',
  text: `select (select value from epoch), e.rid, r.type, r.id, r.version, r.updated,
           ${contentColumns('r.content', '$2::integer')}, r.blob
         from unnest($1::bigint[]) with ordinality e (rid, n) join resource r on r.rid = e.rid
         where r.version > 0 and not r.deleted order by e.n`,
};

/** The current versions of resources, in their order; what has been deleted is left out. */
export async function readContents(executor: Executor, rids: readonly number[]): Promise<ContentRow[]> {
  const rows = await run(executor, CONTENTS, [int8Array(rids), rids.length]);
  return rows.map(
    ([epoch, rid, type, id, version, updated, size, content, blob]: Row) =>
      ({ epoch, rid, type, id, version, updated, size, content, blob }) as ContentRow,
  );
}
