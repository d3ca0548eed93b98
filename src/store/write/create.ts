/** The statements that create resources whose numbers and ids are new. */
import { SHARE_LOCKS } from '../locks.ts';
import { type Named, named, when } from './statement.ts';
import { brought, ofTables, type ValueTable } from './value-tables.ts';

/**
 * A statement of many parts, which costs PostgreSQL half of what a function of as many statements does. It gives
 * lastUpdated of all resources, or no row where the caller's epoch has passed and nothing is written.
 *
 * Each part costs a lone write some microseconds, even where it has nothing to do: those for value tables and owners
 * are there only where they are needed.
 *
 * @param tables the value tables that there are rows for
 * @param owned  whether Binaries are claimed
 * @param locks  whether it takes locks on what it writes: not where its transaction holds them, or there are none
 */
export function createStatement(tables: number, owned: boolean, locks: boolean): Named {
  return named(
    `create_${tables}${owned ? '_owned' : ''}${locks ? '_locks' : ''}`,
    `
    with ${when(locks, SHARE_LOCKS)}ok as materialized (
      select date_trunc('milliseconds', clock_timestamp()) as stamp from epoch${when(locks, ', held')}
      where value = $epoch
    ), resources as (
      insert into resource (rid, type, id, version, updated, content, security, blob)
      select e.rid, e.type, e.id, 1, stamp, e.content, e.security, e.blob
      from ok, unnest($rid, $type, $id, $content, $security, $blob) e (rid, type, id, content, security, blob)
    ), rows as (
      insert into resource_index (rid, type, extractor, timeline, tables, at, until, patients, keys, targets, paths, present)
      select e.rid, e.type, $extractor, e.timeline, e.tables, e.at, e.until,
        $patients[coalesce($patients_end[e.n - 1], 0) + 1 : e.patients_end],
        $keys[coalesce($keys_end[e.n - 1], 0) + 1 : e.keys_end],
        $targets[coalesce($targets_end[e.n - 1], 0) + 1 : e.targets_end],
        $paths[coalesce($targets_end[e.n - 1], 0) + 1 : e.targets_end], e.present
      from ok, unnest($rid, $type, $timeline, $tables, $patients_end, $at, $until, $keys_end, $targets_end, $present)
        with ordinality e (rid, type, timeline, tables, patients_end, at, until, keys_end, targets_end, present, n)
    ), lines as (
      insert into timeline (rid, key, patient, at, lead)
      select e.* from ok, unnest($line_rid, $line_key, $line_patient, $line_at, $line_lead) e
    )${ofTables(tables, tablePart)}${when(
      owned,
      `, owned as (
      insert into binary_owner (rid, owner)
      select e.* from ok, unnest($owned_rid, $owned_owner) e on conflict do nothing
    )`,
    )}, changes as (
      insert into change (tx, rid, at, patients, version, agent, type, interaction, origin)
      select pg_current_xact_id()::text::bigint + $base, e.rid, stamp,
        $patients[coalesce($patients_end[e.n - 1], 0) + 1 : e.patients_end], 1, e.agent, e.type, 'c', e.origin
      from ok, unnest($rid, $patients_end, $agent, $type, $origin) with ordinality e (rid, patients_end, agent, type, origin, n)
    )
    select stamp from ok`,
  );
}

function tablePart(table: ValueTable): string {
  const { insert, rows } = brought(table);
  return `, ${table.kind}s as (
      ${insert}
      select e.* from ok, ${rows}
    )`;
}
