/** Conditions on dates, from what their prefixes mean. */
import { type Comparison, MEANING, searchedRange } from '../../search/dates.ts';
import type { DateValue } from '../../search/request.ts';
import { timestampText } from '../read/history.ts';
import { or } from './setting.ts';
import type { Sql } from './sql.ts';

/**
 * The condition on a range [low, high) in two columns.
 *
 * @param low  SQL of the column with the inclusive beginning
 * @param high SQL of the column with the exclusive end
 */
export const dateCondition = (sql: Sql, value: DateValue, low: string, high: string): string =>
  compared(sql, value, ({ end, is }, bound) => `${{ low, high }[end]} ${is} ${bound}`);

/**
 * The condition on the clinical date of rows that come by in its order. What begins after a time is not over by then: for
 * most rows of `date=ge…` that is all there is to say, and the row of `resource_index` with its end is not looked up.
 *
 * @param walked alias of rows of `at` and `rid`, where -infinity stands for no date, too
 */
export function walkedDates(sql: Sql, values: readonly DateValue[], walked: string): string {
  const own = (column: string): string => {
    const d = sql.alias();
    return `(select ${d}.${column} from resource_index ${d} where ${d}.rid = ${walked}.rid)`;
  };
  return or(
    values.map((value) =>
      compared(sql, value, ({ end, is }, bound) => {
        const begins = `${walked}.at ${is} ${bound}`;
        const isLater = is === '>' || is === '>=';
        if (end === 'high') {
          const ends = `${own('until')} ${is} ${bound}`;
          return isLater ? `(${begins} or ${ends})` : ends;
        }
        return isLater ? begins : `(${begins} and (${walked}.at > '-infinity' or ${own('at')} is not null))`;
      }),
    ),
  );
}

function compared(
  sql: Sql,
  value: DateValue,
  comparison: (one: Comparison, bound: string) => string,
): string {
  const range = searchedRange(value);
  const { joined, comparisons } = MEANING[value.prefix];
  const each = comparisons.map((one) => comparison(one, sql.bind(timestampText(range[one.than]))));
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
