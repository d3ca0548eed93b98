/**
 * Writes on their way to PostgreSQL. Many resources go in one statement: what belongs to them comes as parallel
 * arrays, ragged ones (keys, targets) as one flat array and, for each resource, where its slice ends.
 */
import { EXTRACTOR_VERSION } from '../../fhir/extract.ts';
import {
  boolArray,
  float8Array,
  int2Array,
  int4Array,
  int8Array,
  keyArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import type { IndexRow } from '../index/row.ts';

/** A resource to write; without content and row a deletion. */
export interface Write {
  readonly rid: number;
  readonly type: number;
  readonly id: string;
  readonly content: string | null;
  readonly security: string | null;
  readonly blob: string | null;
  readonly agent: number;
  readonly row: IndexRow | null;
  /** the epoch under which it was allowed */
  readonly epoch: number;
  /** whether the targets must be there */
  readonly check: boolean;
  /** Binaries that are claimed by their number: the first claim holds */
  readonly owns: readonly { readonly binary: number; readonly owner: number }[];
}

/** A write to what may already be there. */
export interface Change extends Write {
  /** the version that it must have */
  readonly expected: number | null;
  /** labels as they were read, where these are meant to be replaced */
  readonly labels: string | null;
}

/** So many bytes and rows a write brings along, roughly: to bound a statement. */
export function weight({ content, row }: Write): number {
  return (content?.length ?? 0) + (row ? 8 * row.keys.length + 64 * row.numbers.low.length : 0) + 500;
}

/** The parameters that CREATE and CHANGE share, from the numbers on. */
function rowsOf(writes: readonly Write[], withId: boolean): Buffer[] {
  const timeline: number[] = [];
  const patients: number[] = [];
  const patientsEnd: number[] = [];
  const keys: number[] = [];
  const keysEnd: number[] = [];
  const targets: number[] = [];
  const paths: number[] = [];
  const targetsEnd: number[] = [];
  const lines = {
    rid: [] as number[],
    key: [] as number[],
    patient: [] as number[],
    at: [] as (number | null)[],
    lead: [] as boolean[],
  };
  const numbers = {
    rid: [] as number[],
    key: [] as number[],
    unit: [] as number[],
    low: [] as number[],
    high: [] as number[],
  };
  const strings = { rid: [] as number[], key: [] as number[], value: [] as string[] };
  const dates = { rid: [] as number[], key: [] as number[], low: [] as number[], high: [] as number[] };
  const owned = { binary: [] as number[], owner: [] as number[] };
  for (const { rid, row, owns } of writes) {
    timeline.push(row?.timeline ?? 0);
    if (row) {
      append(patients, row.patients);
      append(keys, row.keys);
      append(targets, row.targets);
      append(paths, row.paths);
      const about = row.patients.length > 0 ? row.patients : NOBODY;
      for (let p = 0; p < about.length; p++)
        for (let k = 0; k < row.timeline; k++) {
          lines.rid.push(rid);
          lines.key.push(row.keys[2 * k] as number, row.keys[2 * k + 1] as number);
          lines.patient.push(about[p] as number);
          lines.at.push(row.at ?? Number.NEGATIVE_INFINITY);
          lines.lead.push(p === 0);
        }
      for (let i = 0; i < row.numbers.low.length; i++) numbers.rid.push(rid);
      append(numbers.key, row.numbers.keys);
      append(numbers.unit, row.numbers.units);
      append(numbers.low, row.numbers.low);
      append(numbers.high, row.numbers.high);
      for (let i = 0; i < row.strings.values.length; i++) strings.rid.push(rid);
      append(strings.key, row.strings.keys);
      for (const value of row.strings.values) strings.value.push(value);
      for (let i = 0; i < row.dates.low.length; i++) dates.rid.push(rid);
      append(dates.key, row.dates.keys);
      append(dates.low, row.dates.low);
      append(dates.high, row.dates.high);
    }
    patientsEnd.push(patients.length);
    keysEnd.push(keys.length / 2);
    targetsEnd.push(targets.length);
    for (const { binary, owner } of owns) {
      owned.binary.push(binary);
      owned.owner.push(owner);
    }
  }
  return [
    int8Array(writes.map(({ rid }) => rid)),
    int2Array(writes.map(({ type }) => type)),
    ...(withId ? [textArray(writes.map(({ id }) => id))] : []),
    textArray(writes.map(({ content }) => content)),
    textArray(writes.map(({ security }) => security)),
    uuidArray(writes.map(({ blob }) => blob)),
    int4Array(writes.map(({ agent }) => agent)),
    int8Array(patients),
    int4Array(patientsEnd),
    timestamptzArray(writes.map(({ row }) => row?.at ?? null)),
    timestamptzArray(writes.map(({ row }) => row?.until ?? null)),
    int2Array(timeline),
    int2Array(writes.map(({ row }) => (row ? tablesOf(row) : 0))),
    keyArray(keys),
    int4Array(keysEnd),
    int8Array(targets),
    int2Array(paths),
    int4Array(targetsEnd),
    int8Array(lines.rid),
    keyArray(lines.key),
    int8Array(lines.patient),
    timestamptzArray(lines.at),
    boolArray(lines.lead),
    int8Array(numbers.rid),
    keyArray(numbers.key),
    keyArray(numbers.unit),
    float8Array(numbers.low),
    float8Array(numbers.high),
    int8Array(strings.rid),
    keyArray(strings.key),
    textArray(strings.value),
    int8Array(dates.rid),
    keyArray(dates.key),
    timestamptzArray(dates.low),
    timestamptzArray(dates.high),
    int8Array(owned.binary),
    int8Array(owned.owner),
  ];
}

/** A resource that is about no patient has its timeline rows under the number 0. */
const NOBODY: readonly number[] = [0];

/** Where a resource has value rows, as resource_index.tables says it. */
export function tablesOf({ numbers, strings, dates }: IndexRow): number {
  return (
    (numbers.low.length > 0 ? 1 : 0) | (strings.values.length > 0 ? 2 : 0) | (dates.low.length > 0 ? 4 : 0)
  );
}

/** Of one mind, or an epoch that never is: the lane then runs each alone, and each is judged by its own. */
function epochOf(writes: readonly Write[]): number {
  const { epoch } = writes[0] as Write;
  return writes.every((write) => write.epoch === epoch) ? epoch : -1;
}

/** `push(...many)` would put all on the stack. */
function append(to: number[], from: readonly number[]): void {
  for (let i = 0; i < from.length; i++) to.push(from[i] as number);
}

/**
 * The statement that creates resources whose numbers and ids are new; its parameters by `createValues`. It gives
 * lastUpdated of all of them, or no row where the caller's epoch has passed and nothing is written. As one statement
 * of many parts it costs PostgreSQL half of what a function of many statements does.
 */
export const CREATE = {
  name: 'create',
  text: `
    with ok as materialized (
      select date_trunc('milliseconds', clock_timestamp()) as stamp from epoch where value = $1::bigint
    ), r as (
      insert into resource (rid, type, id, version, updated, content, security, blob)
      select e.rid, e.type, e.id, 1, stamp, e.content, e.security, e.blob
      from ok, unnest($4::bigint[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::uuid[])
        e (rid, type, id, content, security, blob)
    ), i as (
      insert into resource_index (rid, type, extractor, timeline, tables, at, until, patients, keys, targets, paths)
      select e.rid, e.type, $3::smallint, e.timeline, e.tables, e.at, e.until,
        ($11::bigint[])[coalesce($12[e.n - 1], 0) + 1 : e.patients_end],
        ($17::bigint[])[coalesce($18[e.n - 1], 0) + 1 : e.keys_end],
        ($19::bigint[])[coalesce($21[e.n - 1], 0) + 1 : e.targets_end],
        ($20::smallint[])[coalesce($21[e.n - 1], 0) + 1 : e.targets_end]
      from ok, unnest($4, $5, $15::smallint[], $16::smallint[], $12::integer[], $13::timestamptz[], $14::timestamptz[],
          $18::integer[], $21::integer[])
        with ordinality e (rid, type, timeline, tables, patients_end, at, until, keys_end, targets_end, n)
    ), t as (
      insert into timeline (rid, key, patient, at, lead)
      select e.* from ok, unnest($22::bigint[], $23::bigint[], $24::bigint[], $25::timestamptz[], $26::boolean[]) e
    ), n as (
      insert into value_number (rid, key, unit, low, high)
      select e.* from ok, unnest($27::bigint[], $28::bigint[], $29::bigint[], $30::float8[], $31::float8[]) e
    ), s as (
      insert into value_string (rid, key, value)
      select e.* from ok, unnest($32::bigint[], $33::bigint[], $34::text[]) e
    ), d as (
      insert into value_date (rid, key, low, high)
      select e.* from ok, unnest($35::bigint[], $36::bigint[], $37::timestamptz[], $38::timestamptz[]) e
    ), o as (
      insert into binary_owner (rid, owner)
      select e.* from ok, unnest($39::bigint[], $40::bigint[]) e on conflict do nothing
    ), c as (
      insert into change (tx, rid, at, patients, version, agent, type, interaction)
      select pg_current_xact_id()::text::bigint + $2::bigint, e.rid, stamp,
        $11[coalesce($12[e.n - 1], 0) + 1 : e.patients_end], 1, e.agent, e.type, 'c'
      from ok, unnest($4, $12, $10::integer[], $5) with ordinality e (rid, patients_end, agent, type, n)
    )
    select stamp from ok`,
};

export function createValues(catalog: Catalog, writes: readonly Write[]): unknown[] {
  return [epochOf(writes), catalog.feedBase, EXTRACTOR_VERSION, ...rowsOf(writes, true)];
}

export function changeValues(catalog: Catalog, changes: readonly Change[]): unknown[] {
  return [
    epochOf(changes),
    catalog.feedBase,
    EXTRACTOR_VERSION,
    int4Array(changes.map(({ expected }) => expected)),
    textArray(changes.map(({ labels }) => labels)),
    ...rowsOf(changes, false),
  ];
}
