/** What is said of rows of `resource_index` beside the stretch that they stand in. */
import { condition } from './conditions.ts';
import { walkedDates } from './dates.ts';
import type { Walk } from './plans.ts';
import { isOfRow, type Judged, type Setting } from './setting.ts';
import type { Sql } from './sql.ts';
import { stretchesOf } from './stretches.ts';

/** Of so many dates each may look its row up by itself: of more, PostgreSQL would plan for seconds. */
const MOST_DATES = 4;

/**
 * Filters as conditions on `resource_index i`.
 *
 * @param walked alias of rows of `at` and `rid` that come by in their order: then no index is to be asked for what a row
 *               says itself
 */
export function judged(sql: Sql, filters: readonly Judged[], setting: Setting, walked?: string): string {
  const conditions = filters.map((filter) => {
    if (walked === undefined || !isOfRow(filter, setting)) return condition(sql, filter, setting);
    const isWalked = filter.kind === 'date' && filter.values.length <= MOST_DATES;
    const one = isWalked ? walkedDates(sql, filter.values, walked) : condition(sql, filter, setting);
    return `coalesce(${one}, false)`;
  });
  return conditions.map((one) => ` and ${one}`).join('');
}

/** The rows of `resource_index` that conditions look at, or what stands for them where their numbers are enough. */
export const joined = (conditions: string, walked: string): string =>
  /\bi\.(?!rid\b)/.test(conditions)
    ? ` join resource_index i on i.rid = ${walked}.rid`
    : ` cross join lateral (select ${walked}.rid) i`;

/** All conditions of a search on `resource_index i`, patients and timeline keys included. */
export function candidates(sql: Sql, walk: Walk, type: string, setting: Setting): string {
  const conditions = judged(sql, walk.rest, setting);
  if (walk.patients) {
    const stretches = stretchesOf(sql, walk, type, setting.keys);
    const rows = stretches.map(({ where }) => `select t.rid from timeline t where ${where}`).join(' union ');
    return `i.rid in (${rows})${conditions}`;
  }
  const ofType = `i.type = ${sql.bind(setting.typeNumber(type))}`;
  return walk.keys
    ? `${ofType} and i.keys && ${sql.bind(walk.keys)}::bigint[]${conditions}`
    : `${ofType}${conditions}`;
}
