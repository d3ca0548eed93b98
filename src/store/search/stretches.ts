/** Where in the timeline a search walks. */
import { int8Array } from '../arrays.ts';
import { type Keys, keyText } from '../index/keys.ts';
import { timestampText } from '../read/history.ts';
import { MOST_STRETCHES, type Walk } from './plans.ts';
import type { Sql } from './sql.ts';

/** Rows of the timeline, in its order; `distinct` where a resource may come more than once. */
export interface Stretch {
  readonly where: string;
  readonly distinct: '' | 'distinct';
  /** of many patients: parameters that hold them and the keys */
  readonly many?: { readonly patients: string; readonly keys: string };
}

/** Whether so many stretches that they are not walked side by side. */
export const isOfMany = ({ patients = [], keys }: Pick<Walk, 'patients' | 'keys'>): boolean =>
  patients.length * (keys?.length ?? 1) > MOST_STRETCHES;

/** The patients of a walk as a parameter. */
export const parameterOf = ({ patients = [], parameter }: Pick<Walk, 'patients' | 'parameter'>): unknown =>
  parameter ?? int8Array(patients);

/** Where in the timeline: one stretch for each patient and key, or all in one where these would be too many. */
export function stretchesOf(sql: Sql, walk: Walk, type: string, keys: Keys): Stretch[] {
  const { patients, keys: named = [keyText(keys.type(type))] } = walk;
  if (!patients) return named.map((key) => ({ where: `t.key = ${sql.bind(key)} and t.lead`, distinct: '' }));
  if (isOfMany(walk)) {
    const many = { patients: sql.bind(parameterOf(walk)), keys: sql.bind(named) };
    // Not as a list of the statement's own: the planner would weigh each of thousands, for longer than the search takes.
    const where = `t.patient = any (array(select unnest(${many.patients}::bigint[]))) and t.key = any (${many.keys}::bigint[])`;
    return [{ where, distinct: 'distinct', many }];
  }
  return patients.flatMap((patient) =>
    named.map((key): Stretch => {
      const where = `t.patient = ${sql.bind(patient)} and t.key = ${sql.bind(key)}`;
      return { where, distinct: '' };
    }),
  );
}

/** Whether something was asked for that nothing here has. */
export const findsNothing = ({ patients, keys, rest }: Walk): boolean =>
  patients?.length === 0 ||
  keys?.length === 0 ||
  rest.some((filter) => filter.kind === 'rids' && filter.rids.length === 0);

export const isOne = (stretches: readonly Stretch[]): boolean =>
  stretches.length === 1 && stretches[0]?.distinct === '';

export function boundsIn(sql: Sql, { from, to }: Walk): string {
  const low = from === Number.NEGATIVE_INFINITY ? '' : ` and t.at >= ${sql.bind(timestampText(from))}`;
  return to === Number.POSITIVE_INFINITY ? low : `${low} and t.at < ${sql.bind(timestampText(to))}`;
}
