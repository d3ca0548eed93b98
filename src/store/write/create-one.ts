/** A create that is alone: one statement without a function, which costs PostgreSQL half as much as a batch of one. */
import { EXTRACTOR_VERSION } from '../../fhir/extract.ts';
import { float8Array, int2Array, int8Array, keyArray, textArray, timestamptzArray } from '../arrays.ts';
import type { Catalog } from '../catalog.ts';
import { timestampText } from '../read/history.ts';
import { tablesOf, type Write } from './batch.ts';

/** Writes what create_resources writes (migrations/0002), but claims no Binaries. No row where the epoch has passed. */
export const CREATE_ONE = {
  name: 'create_one',
  text: `
    with ok as materialized (
      select date_trunc('milliseconds', clock_timestamp()) as stamp from epoch where value = $1::bigint
    ), r as (
      insert into resource (rid, type, id, version, updated, content, security, blob)
      select $2::bigint, $3::smallint, $4::text, 1, stamp, $5::text, $6::text, $7::uuid from ok
    ), i as (
      insert into resource_index (rid, type, extractor, timeline, tables, at, until, patients, keys, targets, paths)
      select $2, $3, $8::smallint, $9::integer, $10::smallint, $11::timestamptz, $12::timestamptz,
        $13::bigint[], $14::bigint[], $15::bigint[], $16::smallint[] from ok
    ), t as (
      insert into timeline (rid, key, patient, at, lead)
      select $2, k.key, p.patient, coalesce($11, '-infinity'), p.n = 1
      from ok, unnest($14[1:$9]) k (key),
        unnest(case when $13 = '{}' then '{0}'::bigint[] else $13 end) with ordinality p (patient, n)
    ), n as (
      insert into value_number (rid, key, unit, low, high)
      select $2, e.* from ok, unnest($17::bigint[], $18::bigint[], $19::float8[], $20::float8[]) e
    ), s as (
      insert into value_string (rid, key, value) select $2, e.* from ok, unnest($21::bigint[], $22::text[]) e
    ), d as (
      insert into value_date (rid, key, low, high)
      select $2, e.* from ok, unnest($23::bigint[], $24::timestamptz[], $25::timestamptz[]) e
    ), c as (
      insert into change (tx, rid, at, patients, version, agent, type, interaction)
      select pg_current_xact_id()::text::bigint + $26::bigint, $2, stamp, $13, 1, $27::integer, $3, 'c' from ok
    )
    select stamp from ok`,
};

/** Whether a write can go this way. */
export function isPlain({ check, owns, row }: Write): boolean {
  return !check && owns.length === 0 && row !== null;
}

export function createOneValues(catalog: Catalog, write: Write): unknown[] {
  const row = write.row as NonNullable<Write['row']>;
  const { numbers, strings, dates } = row;
  const { epoch, rid, type, id, content, security, blob, agent } = write;
  return [
    ...[epoch, rid, type, id, content, security, blob],
    ...[EXTRACTOR_VERSION, row.timeline, tablesOf(row)],
    row.at === null ? null : timestampText(row.at),
    row.until === null ? null : timestampText(row.until),
    ...[int8Array(row.patients), keyArray(row.keys), int8Array(row.targets), int2Array(row.paths)],
    ...[keyArray(numbers.keys), keyArray(numbers.units), float8Array(numbers.low), float8Array(numbers.high)],
    ...[keyArray(strings.keys), textArray(strings.values)],
    ...[keyArray(dates.keys), timestamptzArray(dates.low), timestamptzArray(dates.high)],
    ...[catalog.feedBase, agent],
  ];
}
