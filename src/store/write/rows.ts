/**
 * The parts of a statement that make the index rows of resources what they should be. They lean on `done`, the resources
 * as they should be (content null: none), and `old`, their rows as they are, and touch only what differs.
 */
import { brought, isSame, ofTables, type ValueTable } from './value-tables.ts';

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
    )${ofTables(tables, tableParts)}`;

/** Of value rows only those that differ are taken away and put in. */
function tableParts(table: ValueTable): string {
  const { bit, kind } = table;
  const { insert, rows } = brought(table);
  const same = isSame(table);
  return `, ${kind}s_gone as (
      delete from value_${kind} v using old
      where old.tables & ${bit} > 0 and v.rid = old.rid and not exists (select from ${rows} where ${same})
    ), ${kind}s as (
      ${insert}
      select e.* from ${rows}
      where e.rid in (select rid from done) and not exists (select from value_${kind} v where ${same})
    )`;
}

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
