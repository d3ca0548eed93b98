/** The statement that makes the index rows of current resources anew, whose contents stay as they are. */
import { DATES, NUMBERS, STRINGS } from './batch.ts';
import { ROW_PART, valueParts } from './rows.ts';
import { named } from './statement.ts';

/**
 * It gives how many were done: none where the posted parameters are others by now. Who runs it holds the locks of the
 * resources, so that their contents are those that the rows were made from.
 */
export const REBUILD = named(
  'rebuild',
  `
    with ok as materialized (
      select from epoch where parameters = $parameters
    ), done as materialized (
      select e.rid, e.type, e.timeline, e.tables, e.at, e.until, '' as content,
        $patients[coalesce($patients_end[e.n - 1], 0) + 1 : e.patients_end] as patients,
        $keys[coalesce($keys_end[e.n - 1], 0) + 1 : e.keys_end] as keys,
        $targets[coalesce($targets_end[e.n - 1], 0) + 1 : e.targets_end] as targets,
        $paths[coalesce($targets_end[e.n - 1], 0) + 1 : e.targets_end] as paths, e.present
      from ok, unnest($rid, $type, $patients_end, $at, $until, $timeline, $tables, $keys_end, $targets_end, $present)
        with ordinality e (rid, type, patients_end, at, until, timeline, tables, keys_end, targets_end, present, n)
    ), old as materialized (
      select i.rid, i.timeline, i.tables, i.at, i.patients, i.keys from done join resource_index i on i.rid = done.rid
    ), ${valueParts(NUMBERS | STRINGS | DATES)}, ${ROW_PART}
    select count(*) from done`,
);
