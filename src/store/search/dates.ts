/** Prefixes on dates: the range searched for against the range that the resource's date stands for (R4 search.html#prefix). */
import type { DateValue } from '../../search/request.ts';
import { timestampText } from '../read/history.ts';
import type { Sql } from './sql.ts';

/**
 * The condition on a range [low, high) in two columns.
 *
 * @param low  SQL of the column with the inclusive beginning
 * @param high SQL of the column with the exclusive end
 */
export function dateCondition(sql: Sql, { prefix, range }: DateValue, low: string, high: string): string {
  const from = (): string => sql.bind(timestampText(range.low));
  const to = (): string => sql.bind(timestampText(range.high));
  switch (prefix) {
    case 'eq':
      return `(${low} >= ${from()} and ${high} <= ${to()})`;
    case 'ne':
      return `(${low} < ${from()} or ${high} > ${to()})`;
    case 'gt':
      return `${high} > ${to()}`;
    case 'lt':
      return `${low} < ${from()}`;
    case 'ge':
      return `(${low} >= ${from()} or ${high} > ${to()})`;
    case 'le':
      return `(${high} <= ${to()} or ${low} < ${from()})`;
    case 'sa':
      return `${low} >= ${to()}`;
    case 'eb':
      return `${high} <= ${from()}`;
    case 'ap': {
      const { low: least, high: most } = approximate(range, Date.now());
      return `(${low} < ${sql.bind(timestampText(most))} and ${high} > ${sql.bind(timestampText(least))})`;
    }
  }
}

/** R4 recommends a tenth of the distance to now on either side. */
function approximate({ low, high }: DateValue['range'], now: number): DateValue['range'] {
  const gap = Math.round(Math.abs(now - low) / 10);
  return { low: low - gap, high: high + gap };
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
    const below = { eq: range.high, lt: range.low, le: range.high, eb: range.low }[prefix as string];
    to = Math.max(to, below ?? Number.POSITIVE_INFINITY);
  }
  return { from, to };
}
