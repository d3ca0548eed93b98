/** Conditions on dates, from what their prefixes mean. */
import { MEANING, searchedRange } from '../../search/dates.ts';
import type { DateValue } from '../../search/request.ts';
import { timestampText } from '../read/history.ts';
import type { Sql } from './sql.ts';

/**
 * The condition on a range [low, high) in two columns.
 *
 * @param low  SQL of the column with the inclusive beginning
 * @param high SQL of the column with the exclusive end
 */
export function dateCondition(sql: Sql, value: DateValue, low: string, high: string): string {
  const column = { low, high };
  const range = searchedRange(value);
  const { joined, comparisons } = MEANING[value.prefix];
  const each = comparisons.map(
    ({ end, is, than }) => `${column[end]} ${is} ${sql.bind(timestampText(range[than]))}`,
  );
  return `(${each.join(` ${joined} `)})`;
}

/**
 * What the beginning of a matching range must at least be, and be less than: as far as a btree on beginnings can
 * use it. A period may have begun long before the time that `ge` and `gt` ask for, so these have no lower bound.
 */
export function boundsOf(values: readonly DateValue[]): { readonly from: number; readonly to: number } {
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  for (const { prefix, range } of values) {
    from = Math.min(
      from,
      prefix === 'eq' ? range.low : prefix === 'sa' ? range.high : Number.NEGATIVE_INFINITY,
    );
    const below = {
      eq: range.high,
      lt: range.low,
      le: range.high,
      eb: range.low,
      po: range.high,
      co: range.high,
    }[prefix as string];
    to = Math.max(to, below ?? Number.POSITIVE_INFINITY);
  }
  return { from, to };
}
