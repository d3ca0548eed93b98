/** The statements that change resources which have a row in `resource`. */
import { SHARE_LOCKS } from '../locks.ts';
import { DATES, NUMBERS, STRINGS } from './batch.ts';
import { ROW_PART, valueParts } from './rows.ts';
import { type Named, named, when } from './statement.ts';

const ALL = NUMBERS | STRINGS | DATES;

/**
 * A statement that updates, revives, creates under a client's id (all: a new content) and deletes (content null)
 * resources, each at most once. An entry is done or not for itself:
 *
 *     d  done: version and updated are the new ones
 *     m  the current version is not the expected one: version is the current one
 *     s  a security label would be lost: labels is what the resource has
 *     g  there is nothing to delete
 *     x  somebody else wrote it while this waited for its lock: to be asked again, with a new snapshot
 *     f  it needs parts that this statement lacks: to be asked again, by the whole one
 *
 * No row at all where the caller's epoch has passed. It is one statement of many parts, as that costs PostgreSQL half
 * of what a function of as many statements does. All parts see the snapshot of its beginning; the lock alone sees
 * later commits, and what had one is left (x). So everything else that is read of a resource belongs to the version
 * that is locked.
 *
 * @param tables the value tables that there are, or may have been, rows in
 * @param whole  with what revivals, creations and deletions need; else for updates alone, which thereby cost half
 * @param owned  whether Binaries are claimed
 * @param locks  as of createStatement
 */
export function changeStatement(tables: number, whole: boolean, owned: boolean, locks: boolean): Named {
  return named(
    `change_${tables}${whole ? '_whole' : ''}${owned ? '_owned' : ''}${locks ? '_locks' : ''}`,
    `
    with ${when(locks, SHARE_LOCKS)}ok as materialized (
      select from epoch${when(locks, ', held')} where value = $epoch
    ), cur as materialized (
      -- in the order of numbers, as all writers lock, so that no two wait for each other
      select r.rid, r.version, r.deleted, r.updated, r.security
      from ok, resource r where r.rid = any $rid order by r.rid for no key update of r
    ), did as materialized (
      select e.n, e.rid, e.type, e.content, e.security, e.blob, e.agent, e.origin, e.timeline, e.tables, e.at, e.until,
        $patients[coalesce($patients_end[e.n - 1], 0) + 1 : e.patients_end] as patients,
        $keys[coalesce($keys_end[e.n - 1], 0) + 1 : e.keys_end] as keys,
        $targets[coalesce($targets_end[e.n - 1], 0) + 1 : e.targets_end] as targets,
        $paths[coalesce($targets_end[e.n - 1], 0) + 1 : e.targets_end] as paths, e.present,
        cur.version as was, cur.version > 0 and not cur.deleted as existed, cur.deleted, cur.security as labels,
        -- after the wait: a version is never older than the one before
        greatest(date_trunc('milliseconds', clock_timestamp()), cur.updated) as stamp,
        case when cur.version <> seen.version then 'x'
             when e.expected is not null and case when e.expected < 0 then -e.expected <> cur.version or not cur.deleted
                  else e.expected <> cur.version or cur.deleted end then 'm'
             when e.content is null and (cur.version = 0 or cur.deleted) then 'g'
             when e.content is not null and not cur.deleted and cur.security is not null
               and cur.security is distinct from e.security and cur.security is distinct from e.labels then 's'
             ${when(!whole, `when cur.version = 0 or cur.deleted or i.tables & ${~tables & ALL} > 0 then 'f'`)}
             else 'd' end as status
      from unnest($rid, $type, $expected, $labels, $content, $security, $blob, $agent, $origin,
          $patients_end, $at, $until, $timeline, $tables,
          $keys_end, $targets_end, $present)
        with ordinality e (rid, type, expected, labels, content, security, blob, agent, origin,
          patients_end, at, until, timeline, tables, keys_end, targets_end, present, n)
      join cur on cur.rid = e.rid
      join resource seen on seen.rid = e.rid
      ${when(!whole, 'left join resource_index i on i.rid = e.rid')}
    ), done as materialized (
      select * from did where status = 'd'
    ), old as materialized (
      select i.rid, i.timeline, i.tables, i.at, i.patients, i.keys from done join resource_index i on i.rid = done.rid
    ), past as (
      insert into version (rid, version, type, deleted, updated, superseded, patients, blob, keys, content)
      select r.rid, r.version, r.type, false, r.updated, done.stamp, old.patients, r.blob, old.keys, r.content
      from done join resource r on r.rid = done.rid join old on old.rid = done.rid where done.existed
    )${when(
      whole,
      `, revived as (
      update version v set superseded = done.stamp from done
      where done.deleted and v.rid = done.rid and v.version = done.was
    ), deletion as (
      insert into version (rid, version, type, deleted, updated, superseded, patients, keys)
      select done.rid, done.was + 1, done.type, true, done.stamp, 'infinity', old.patients, old.keys
      from done join old on old.rid = done.rid where done.content is null
    )`,
    )}, change as (
      insert into change (tx, rid, at, patients, version, agent, type, interaction, origin)
      select pg_current_xact_id()::text::bigint + $base, done.rid, done.stamp,
        case when done.content is null then old.patients else done.patients end, done.was + 1, done.agent, done.type,
        case when done.content is null then 'd' when done.existed then 'u' else 'c' end::"char",
        done.origin
      from done left join old on old.rid = done.rid
    ), ${valueParts(tables)}${when(
      whole,
      `, row_gone as (
      delete from resource_index i using done where i.rid = done.rid and done.content is null
    )`,
    )}, ${ROW_PART}${when(
      owned,
      `, owned as (
      insert into binary_owner (rid, owner)
      select e.rid, e.owner from unnest($owned_rid, $owned_owner, $owned_n) e (rid, owner, n)
      where e.n in (select n from done) on conflict do nothing
    )`,
    )}, current as (
      update resource r set version = done.was + 1, updated = done.stamp, deleted = done.content is null,
        content = done.content, security = done.security, blob = done.blob
      from done where r.rid = done.rid
    )
    select status, case when status = 'd' then was + 1 else was end, stamp, existed, labels from did order by n`,
  );
}
