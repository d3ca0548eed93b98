/**
 * The statement that updates, revives, creates under a client's id (all: a new content) and deletes (content null)
 * resources that have a row in `resource`, each at most once; its parameters by `changeValues`.
 *
 * An entry is done or not for itself:
 *
 *     d  done: version and updated are the new ones
 *     m  the current version is not the expected one: version is the current one
 *     s  a security label would be lost: labels is what the resource has
 *     g  there is nothing to delete
 *     x  somebody else wrote it while this waited for its lock: to be asked again, with a new snapshot
 *
 * No row at all where the caller's epoch has passed. It is one statement of many parts, as that costs PostgreSQL half
 * of what a function of as many statements does. All parts see the snapshot of its beginning; the lock alone sees
 * later commits, and what had one is left (x). So everything else that is read of a resource belongs to the version
 * that is locked.
 */
export const CHANGE = {
  name: 'change',
  text: `
    with ok as materialized (
      select from epoch where value = $1::bigint
    ), cur as materialized (
      -- in the order of numbers, as all writers lock, so that no two wait for each other
      select r.rid, r.version, r.deleted, r.updated, r.security
      from ok, resource r where r.rid = any ($6::bigint[]) order by r.rid for no key update of r
    ), did as materialized (
      select e.n, e.rid, e.type, e.content, e.security, e.blob, e.agent, e.timeline, e.tables, e.at, e.until,
        ($12::bigint[])[coalesce($13[e.n - 1], 0) + 1 : e.patients_end] as patients,
        ($18::bigint[])[coalesce($19[e.n - 1], 0) + 1 : e.keys_end] as keys,
        ($20::bigint[])[coalesce($22[e.n - 1], 0) + 1 : e.targets_end] as targets,
        ($21::smallint[])[coalesce($22[e.n - 1], 0) + 1 : e.targets_end] as paths,
        cur.version as was, cur.version > 0 and not cur.deleted as existed, cur.deleted, cur.security as labels,
        -- after the wait: a version is never older than the one before
        greatest(date_trunc('milliseconds', clock_timestamp()), cur.updated) as stamp,
        case when cur.version <> seen.version then 'x'
             when e.expected is not null and (e.expected <> cur.version or cur.deleted) then 'm'
             when e.content is null and (cur.version = 0 or cur.deleted) then 'g'
             when e.content is not null and not cur.deleted and cur.security is not null
               and cur.security is distinct from e.security and cur.security is distinct from e.labels then 's'
             else 'd' end as status
      from unnest($6, $7::smallint[], $4::integer[], $5::text[], $8::text[], $9::text[], $10::uuid[], $11::integer[],
          $13::integer[], $14::timestamptz[], $15::timestamptz[], $16::smallint[], $17::smallint[],
          $19::integer[], $22::integer[])
        with ordinality e (rid, type, expected, labels, content, security, blob, agent,
          patients_end, at, until, timeline, tables, keys_end, targets_end, n)
      join cur on cur.rid = e.rid
      join resource seen on seen.rid = e.rid
    ), done as materialized (
      select * from did where status = 'd'
    ), old as materialized (
      select i.rid, i.timeline, i.tables, i.at, i.patients, i.keys from done join resource_index i on i.rid = done.rid
    ), past as (
      insert into version (rid, version, type, deleted, updated, superseded, patients, blob, keys, content)
      select r.rid, r.version, r.type, false, r.updated, done.stamp, old.patients, r.blob, old.keys, r.content
      from done join resource r on r.rid = done.rid join old on old.rid = done.rid where done.existed
    ), revived as (
      update version v set superseded = done.stamp from done
      where done.deleted and v.rid = done.rid and v.version = done.was
    ), deletion as (
      insert into version (rid, version, type, deleted, updated, superseded, patients, keys)
      select done.rid, done.was + 1, done.type, true, done.stamp, 'infinity', old.patients, old.keys
      from done join old on old.rid = done.rid where done.content is null
    ), change as (
      insert into change (tx, rid, at, patients, version, agent, type, interaction)
      select pg_current_xact_id()::text::bigint + $2::bigint, done.rid, done.stamp,
        case when done.content is null then old.patients else done.patients end, done.was + 1, done.agent, done.type,
        case when done.content is null then 'd' when done.existed then 'u' else 'c' end::"char"
      from done left join old on old.rid = done.rid
    ), moved as materialized (
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
      select e.* from unnest($23::bigint[], $24::bigint[], $25::bigint[], $26::timestamptz[], $27::boolean[])
        e (rid, key, patient, at, lead)
      where e.rid in (select rid from moved)
    ), numbers_gone as (
      -- of value rows only those that differ are taken away and put in
      delete from value_number v using old
      where old.tables & 1 > 0 and v.rid = old.rid and not exists (
        select from unnest($28::bigint[], $29::bigint[], $30::bigint[], $31::float8[], $32::float8[])
          e (rid, key, unit, low, high)
        where e.rid = v.rid and e.key = v.key and e.unit is not distinct from v.unit and e.low = v.low and e.high = v.high)
    ), numbers as (
      insert into value_number (rid, key, unit, low, high)
      select e.* from unnest($28, $29, $30, $31, $32)
        e (rid, key, unit, low, high)
      where e.rid in (select rid from done) and not exists (
        select from value_number v
        where e.rid = v.rid and e.key = v.key and e.unit is not distinct from v.unit and e.low = v.low and e.high = v.high)
    ), strings_gone as (
      delete from value_string v using old
      where old.tables & 2 > 0 and v.rid = old.rid and not exists (
        select from unnest($33::bigint[], $34::bigint[], $35::text[]) e (rid, key, value)
        where e.rid = v.rid and e.key = v.key and e.value = v.value)
    ), strings as (
      insert into value_string (rid, key, value)
      select e.* from unnest($33, $34, $35) e (rid, key, value)
      where e.rid in (select rid from done) and not exists (
        select from value_string v where e.rid = v.rid and e.key = v.key and e.value = v.value)
    ), dates_gone as (
      delete from value_date v using old
      where old.tables & 4 > 0 and v.rid = old.rid and not exists (
        select from unnest($36::bigint[], $37::bigint[], $38::timestamptz[], $39::timestamptz[])
          e (rid, key, low, high)
        where e.rid = v.rid and e.key = v.key and e.low = v.low and e.high = v.high)
    ), dates as (
      insert into value_date (rid, key, low, high)
      select e.* from unnest($36, $37, $38, $39) e (rid, key, low, high)
      where e.rid in (select rid from done) and not exists (
        select from value_date v where e.rid = v.rid and e.key = v.key and e.low = v.low and e.high = v.high)
    ), row_gone as (
      delete from resource_index i using done where i.rid = done.rid and done.content is null
    ), row as (
      insert into resource_index as i (rid, type, extractor, timeline, tables, at, until, patients, keys, targets, paths)
      select rid, type, $3::smallint, timeline, tables, at, until, patients, keys, targets, paths
      from done where content is not null
      on conflict (rid) do update set
        extractor = excluded.extractor, timeline = excluded.timeline, tables = excluded.tables,
        at = excluded.at, until = excluded.until, patients = excluded.patients,
        keys = excluded.keys, targets = excluded.targets, paths = excluded.paths
      where (i.extractor, i.timeline, i.tables, i.at, i.until, i.patients, i.keys, i.targets, i.paths)
        is distinct from (excluded.extractor, excluded.timeline, excluded.tables, excluded.at, excluded.until,
          excluded.patients, excluded.keys, excluded.targets, excluded.paths)
    ), owned as (
      insert into binary_owner (rid, owner)
      select e.* from ok, unnest($40::bigint[], $41::bigint[]) e on conflict do nothing
    ), current as (
      update resource r set version = done.was + 1, updated = done.stamp, deleted = done.content is null,
        content = done.content, security = done.security, blob = done.blob
      from done where r.rid = done.rid
    )
    select status, case when status = 'd' then was + 1 else was end, stamp, existed, labels from did order by n`,
};
