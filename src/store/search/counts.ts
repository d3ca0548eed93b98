/** Counts over the records of many patients. */
import type { Walk } from './plans.ts';
import type { Sql } from './sql.ts';
import { parameterOf } from './stretches.ts';

/** Of so many patients a code's stretch is sooner gone through than each of theirs. */
const MANY_PATIENTS = 1000;

/**
 * How many rows of a stretch are about one of thousands of patients: each tells who its first patient is, so that none of
 * their own stretches is looked up. Resources that are about one of them as another patient are few. Rides on timeline_key
 * and timeline_more.
 *
 * @param type   key of the type, where no code is asked for
 * @param bounds on the clinical date
 * @returns      undefined where it is not the plan
 */
export function countOfMany(sql: Sql, walk: Walk, type: string, bounds: string): string | undefined {
  const { patients = [], keys: named } = walk;
  const [key = type, ...others] = named ?? [];
  if (patients.length < MANY_PATIENTS || others.length > 0) return undefined;
  const one = sql.bind(key);
  // Coalesced, they are looked up in a hash table that is made once.
  const theirs = `(select unnest(${sql.bind(parameterOf(walk))}::bigint[]))`;
  const isTheirs = (patient: string): string => `coalesce(${patient} in ${theirs}, false)`;
  return `select (select count(*) from timeline t where t.key = ${one} and t.lead and ${isTheirs('t.patient')}${bounds})
    + (select count(distinct t.rid) from timeline t where t.key = ${one} and not t.lead and ${isTheirs('t.patient')}${bounds}
        and not exists (select from resource_index i where i.rid = t.rid and ${isTheirs('i.patients[1]')}))`;
}
