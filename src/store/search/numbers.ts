/** Numbers, quantities and places as rows of value_number (R4 search.html#number, #quantity, location.html#search). */
import { invalid } from '../../fhir/outcome.ts';
import { withInner } from '../../search/inner.ts';
import { distanceSql, type NumberTest, numberTest } from '../../search/numbers.ts';
import type { Filter, NearValue, NumberValue, QuantityValue } from '../../search/request.ts';
import type { Key } from '../hash.ts';
import { findUnits, type UnitsFound } from '../index/units.ts';
import type { Executor } from '../pool.ts';
import type { Sql } from './sql.ts';

/** A quantity once it is known in which units it is looked for. */
interface Sought extends QuantityValue {
  readonly found?: readonly UnitsFound[];
}

/** So many conditions the values of a search and the units that they are looked for in may make. */
const MOST_UNITS = 5000;

/**
 * Looks up the units of all quantities that the filters ask for, wherever they stand.
 *
 * @param base the key that those of units are made from
 * @throws     Refusal too-costly
 */
export async function withUnits(
  executor: Executor,
  base: Key,
  filters: readonly Filter[],
): Promise<readonly Filter[]> {
  const asked: QuantityValue[] = [];
  for (const filter of filters)
    changed(filter, (value) => {
      if (value.system !== undefined || value.code !== undefined) asked.push(value);
      return value;
    });
  if (asked.length === 0) return filters;
  const units = await findUnits(executor, base, asked);
  if (units.reduce((sum, { length }) => sum + length, 0) > MOST_UNITS)
    throw invalid(
      'too-costly',
      'The quantities of this search are looked for in too many units: ask for fewer at a time',
    );
  const found = new Map(asked.map((value, i) => [value, units[i]]));
  return filters.map((filter) =>
    changed(filter, (value): Sought => (found.has(value) ? { ...value, found: found.get(value) } : value)),
  );
}

/** A filter with its quantities changed. */
function changed(filter: Filter, change: (value: QuantityValue) => QuantityValue): Filter {
  switch (filter.kind) {
    case 'quantity':
      return { ...filter, values: filter.values.map(change) };
    case 'composite':
      return {
        ...filter,
        values: filter.values.map((parts) =>
          parts.map((part) => (part.kind === 'quantity' ? { ...part, value: change(part.value) } : part)),
        ),
      };
    default:
      return withInner(filter, (one) => changed(one, change));
  }
}

/**
 * Conditions on a row of value_number, any of which makes it one that is looked for. Each is a stretch of one of its
 * indexes: that by low ends, or the small one of those rows whose ends differ.
 */
export function numberRanges(sql: Sql, value: NumberValue, table: string): readonly string[] {
  return ranges(sql, numberTest(value), table);
}

export function quantityRanges(sql: Sql, value: QuantityValue, table: string): readonly string[] {
  if (value.system === undefined && value.code === undefined) return numberRanges(sql, value, table);
  return ((value as Sought).found ?? []).flatMap(({ units, convert }) => {
    const unit = `${table}.unit = any (${sql.bind(units)}::bigint[])`;
    return ranges(sql, numberTest(value, convert), table).map((range) => `(${unit} and ${range})`);
  });
}

function ranges(sql: Sql, { joined, comparisons }: NumberTest, table: string): readonly string[] {
  const [low, high] = [`${table}.low`, `${table}.high`];
  const each = comparisons.map(({ end, is, than }): readonly string[] => {
    const bound = `${sql.bind(than)}::float8`;
    if (end === 'low') return [`${low} ${is} ${bound}`];
    // A low end is never above the high one, and mostly the same: what is said of one tells where to look for the other.
    return is === '<' || is === '<='
      ? [`${low} ${is} ${bound} and ${high} ${is} ${bound}`]
      : [`${low} ${is} ${bound}`, `${low} < ${high} and ${high} ${is} ${bound}`];
  });
  if (joined === 'or') return each.flat().map((one) => `(${one})`);
  // One of each: there are two at most.
  return each
    .reduce((found, some) => found.flatMap((one) => some.map((other) => `${one} and ${other}`)))
    .map((one) => `(${one})`);
}

/** Of two numbers in one row: the first is its low end, the second its high end (index/values.ts). */
export function bothNumbers(sql: Sql, values: readonly [NumberValue, NumberValue], table: string): string {
  const tests = values.map((value, i) => {
    const { joined, comparisons } = numberTest(value);
    const end = i === 0 ? `${table}.low` : `${table}.high`;
    return `(${comparisons.map(({ is, than }) => `${end} ${is} ${sql.bind(than)}::float8`).join(` ${joined} `)})`;
  });
  return `(${tests.join(' and ')})`;
}

/** Meters of one degree of latitude, a little less than there are. */
const DEGREE = 111_000;

/** Within a distance: the latitude is the row's low end, the longitude its high end. */
export function nearRange(sql: Sql, { latitude, longitude, meters }: NearValue, table: string): string {
  const far = distanceSql(
    `${table}.low`,
    `${table}.high`,
    `${sql.bind(latitude)}::float8`,
    `${sql.bind(longitude)}::float8`,
  );
  const degrees = meters / DEGREE;
  const band = `${table}.low between ${sql.bind(latitude - degrees)}::float8 and ${sql.bind(latitude + degrees)}::float8`;
  return `(${band} and ${far} <= ${sql.bind(meters)}::float8)`;
}
