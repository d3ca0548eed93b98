/**
 * The parts of a statement that make the index rows of resources what they should be. They lean on `done`, the resources
 * as they should be (content null: none), and `old`, their rows as they are, and touch only what differs.
 */
import { DATES, NUMBERS, STRINGS } from './batch.ts';
import { when } from './statement.ts';

/**
 * Timeline and values.
 *
 * @param tables the value tables that there are, or may have been, rows in
 */
export const valueParts = (tables: number): string => `moved as materialized (
      select done.rid from done left join old on old.rid = done.rid
      where old.rid is null or done.content is null or old.timeline <> done.timeline
        or old.at is distinct from done.at or old.patients <> done.patients
        or old.keys[1 : old.timeline] <> done.keys[1 : done.timeline]
    ), lines_old as materialized (
      -- apart, so that each line is looked up by its whole key
      select old.rid, coalesce(old.at, '-infinity') as at, k.key, p.patient
      from moved join old on old.rid = moved.rid
      cross join unnest(old.keys[1 : old.timeline]) k (key)
      cross join unnest(case when old.patients = '{}' then '{0}' else old.patients end) p (patient)
    ), lines_gone as (
      delete from timeline t using lines_old o
      where t.patient = o.patient and t.key = o.key and t.at = o.at and t.rid = o.rid
    ), lines as (
      insert into timeline (rid, key, patient, at, lead)
      select e.* from unnest($line_rid, $line_key, $line_patient, $line_at, $line_lead)
        e (rid, key, patient, at, lead)
      where e.rid in (select rid from moved)
    )${when(
      (tables & NUMBERS) > 0,
      `, numbers_gone as (
      -- of value rows only those that differ are taken away and put in
      delete from value_number v using old
      where old.tables & 1 > 0 and v.rid = old.rid and not exists (
        select from unnest($number_rid, $number_key, $number_unit, $number_low, $number_high)
          e (rid, key, unit, low, high)
        where e.rid = v.rid and e.key = v.key and e.unit is not distinct from v.unit and e.low = v.low and e.high = v.high)
    ), numbers as (
      insert into value_number (rid, key, unit, low, high)
      select e.* from unnest($number_rid, $number_key, $number_unit, $number_low, $number_high)
        e (rid, key, unit, low, high)
      where e.rid in (select rid from done) and not exists (
        select from value_number v
        where e.rid = v.rid and e.key = v.key and e.unit is not distinct from v.unit and e.low = v.low and e.high = v.high)
    )`,
    )}${when(
      (tables & STRINGS) > 0,
      `, strings_gone as (
      delete from value_string v using old
      where old.tables & 2 > 0 and v.rid = old.rid and not exists (
        select from unnest($string_rid, $string_key, $string_value, $string_whole) e (rid, key, value, whole)
        where e.rid = v.rid and e.key = v.key and e.value = v.value and e.whole is not distinct from v.whole)
    ), strings as (
      insert into value_string (rid, key, value, whole)
      select e.* from unnest($string_rid, $string_key, $string_value, $string_whole) e (rid, key, value, whole)
      where e.rid in (select rid from done) and not exists (
        select from value_string v
        where e.rid = v.rid and e.key = v.key and e.value = v.value and e.whole is not distinct from v.whole)
    )`,
    )}${when(
      (tables & DATES) > 0,
      `, dates_gone as (
      delete from value_date v using old
      where old.tables & 4 > 0 and v.rid = old.rid and not exists (
        select from unnest($date_rid, $date_key, $date_low, $date_high)
          e (rid, key, low, high)
        where e.rid = v.rid and e.key = v.key and e.low = v.low and e.high = v.high)
    ), dates as (
      insert into value_date (rid, key, low, high)
      select e.* from unnest($date_rid, $date_key, $date_low, $date_high) e (rid, key, low, high)
      where e.rid in (select rid from done) and not exists (
        select from value_date v where e.rid = v.rid and e.key = v.key and e.low = v.low and e.high = v.high)
    )`,
    )}`;

/** The index row itself. */
export const ROW_PART = `row as (
      insert into resource_index as i
        (rid, type, extractor, timeline, tables, at, until, patients, keys, targets, paths, present)
      select rid, type, $extractor, timeline, tables, at, until, patients, keys, targets, paths, present
      from done where content is not null
      on conflict (rid) do update set
        extractor = excluded.extractor, timeline = excluded.timeline, tables = excluded.tables,
        at = excluded.at, until = excluded.until, patients = excluded.patients,
        keys = excluded.keys, targets = excluded.targets, paths = excluded.paths, present = excluded.present
      where (i.extractor, i.timeline, i.tables, i.at, i.until, i.patients, i.keys, i.targets, i.paths, i.present)
        is distinct from (excluded.extractor, excluded.timeline, excluded.tables, excluded.at, excluded.until,
          excluded.patients, excluded.keys, excluded.targets, excluded.paths, excluded.present)
    )`;
