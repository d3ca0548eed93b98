/** Filters that rows of the value tables answer: as conditions, and as what is found from there. */
import { fold } from '../../fhir/fold.ts';
import { isIndexed, isWhole } from '../../search/composites.ts';
import type { ComponentValue, CompositeValue, Filter, TokenValue } from '../../search/request.ts';
import type { Key } from '../hash.ts';
import { codeKey, keyText, pairKey, systemKey, tokenKey } from '../index/keys.ts';
import { combined } from './combined.ts';
import { dateCondition } from './dates.ts';
import { missingCondition } from './missing.ts';
import { bothNumbers, nearRange, numberRanges, quantityRanges } from './numbers.ts';
import { hasOneOf, type Judged, or, type Setting } from './setting.ts';
import type { Sql } from './sql.ts';
import { beginsWith } from './values.ts';

type Of<Kind extends Filter['kind']> = Extract<Filter, { readonly kind: Kind }>;
type Answered = Of<'number'> | Of<'quantity'> | Of<'near'> | Of<'composite'>;

/** Rows of one key. */
interface Rows {
  readonly table: 'value_number' | 'value_date' | 'value_string';
  readonly alias: string;
  readonly key: string;
  /** any of these must hold; each is a stretch of an index */
  readonly ranges: readonly string[];
}

/** Numbers, quantities and places. */
export function valueCondition(
  sql: Sql,
  filter: Of<'number'> | Of<'quantity'> | Of<'near'>,
  setting: Setting,
): string {
  return isIn(setting.row, rowsOf(sql, filter, setting));
}

/**
 * Of a composite over the whole resource its parts are asked for beside it (search/composites.ts): what is left to say is
 * that it is one, and not of a part that the composite leaves out.
 *
 * @throws Error where the index has no pairs for its values (search/widen.ts)
 */
export function compositeCondition(sql: Sql, filter: Of<'composite'>, setting: Setting): string {
  const { parameter, values } = filter;
  const { type, keys, row } = setting;
  const own = keys.parameter(type, parameter);
  // Most have it: coalesced, as PostgreSQL takes what is equal to something for rare.
  if (isWhole(parameter))
    return `coalesce(${missingCondition(sql, { kind: 'missing', parameter, missing: false }, setting)}, false)`;
  const pairs = values.flatMap((value) => pairOf(own, value) ?? []).map(keyText);
  const rows = rowsOf(sql, filter, setting);
  const conditions = pairs.length > 0 ? [hasOneOf(sql, row, pairs)] : [];
  if (rows.length > 0) conditions.push(isIn(row, rows));
  return or(conditions);
}

/**
 * Where all resources are that pass a filter, and maybe others: selects of their numbers.
 *
 * @param columns 'at, rid': with their clinical dates, where the filter isDated
 * @returns       undefined where value rows do not say, or in too many stretches
 */
export function stretchesOfRows(
  sql: Sql,
  filter: Filter,
  setting: Setting,
  columns: 'rid' | 'at, rid' = 'rid',
): readonly string[] | undefined {
  if (!saysWhere(filter)) return undefined;
  const selects = candidatesOf(sql, filter, setting).flatMap(({ table, alias, key, ranges }) =>
    ranges.map((range) => `select ${columns} from ${table} ${alias} where ${key} and ${range}`),
  );
  return selects.length <= MOST_STRETCHES ? selects : undefined;
}

const MOST_STRETCHES = 20;

/** Whether candidates of a filter are known: asked first, as a statement may bind nothing that it does not use. */
function saysWhere(filter: Filter): boolean {
  switch (filter.kind) {
    case 'number':
    case 'quantity':
      return true;
    case 'composite':
      return !isWhole(filter.parameter) && filter.values.every(([, second]) => second?.kind !== 'token');
    case 'all':
      return filter.filters.some(saysWhere);
    case 'any':
      return filter.filters.every(saysWhere);
    default:
      return false;
  }
}

/** Whether what stretchesOfRows finds passes the filter, all of it. */
export const isAllOf = (filter: Filter): boolean =>
  filter.kind === 'any' ? filter.filters.every(isAllOf) : filter.kind !== 'all' && saysWhere(filter);

/** Whether the rows of a filter's values have dates, too. */
export function isDated(filter: Filter): boolean {
  switch (filter.kind) {
    case 'number':
    case 'quantity':
      return true;
    case 'composite':
      return filter.values.every(([, second]) => second?.kind === 'number' || second?.kind === 'quantity');
    case 'all': {
      // As in candidatesOf, one is enough.
      const asked = filter.filters.find(saysWhere);
      return asked !== undefined && isDated(asked);
    }
    case 'any':
      return filter.filters.every(isDated);
    default:
      return false;
  }
}

/** Whether all that is found from the values of a filter passes one: the filter itself, or what stands for it. */
export const isSaidBy = (valued: Filter, one: Judged): boolean =>
  isAllOf(valued) && (one === valued || (one.kind === 'valued' && one.filter === valued));

/** What is found from the values of a filter: asked once for all rows, as these are few. */
export function valuedCondition(sql: Sql, filter: Filter, setting: Setting): string {
  const stretches = stretchesOfRows(sql, filter, setting) ?? [];
  return `${setting.row}.rid = any (array(${stretches.join(' union all ')}))`;
}

function candidatesOf(sql: Sql, filter: Filter, setting: Setting): readonly Rows[] {
  // Of several filters that must all hold, one is enough.
  if (filter.kind === 'all') return candidatesOf(sql, filter.filters.find(saysWhere) as Filter, setting);
  if (filter.kind === 'any') return filter.filters.flatMap((part) => candidatesOf(sql, part, setting));
  return (combined(setting.type, filter) ?? [filter]).flatMap((part) =>
    rowsOf(sql, part as Answered, setting),
  );
}

/** By `exists`, which PostgreSQL looks up for each row or all at once, also where it is one of several conditions. */
const isIn = (row: string, rows: readonly Rows[]): string =>
  or(
    rows.map(
      ({ table, alias, key, ranges }) =>
        `exists (select from ${table} ${alias} where ${alias}.rid = ${row}.rid and ${key} and ${or(ranges)})`,
    ),
  );

function rowsOf(sql: Sql, filter: Answered, { type, keys }: Setting): readonly Rows[] {
  const { parameter } = filter;
  const own = keys.parameter(type, parameter);
  if (filter.kind === 'composite') return filter.values.flatMap((value) => rowsOfPair(sql, own, value));
  const alias = sql.alias();
  const ranges =
    filter.kind === 'number'
      ? filter.values.flatMap((value) => numberRanges(sql, value, alias))
      : filter.kind === 'quantity'
        ? filter.values.flatMap((value) => quantityRanges(sql, value, alias))
        : filter.values.map((value) => nearRange(sql, value, alias));
  return keyed({ table: 'value_number', alias, ranges }, () => sql.bind(keyText(own)));
}

/** The key of two tokens in one element. */
function pairOf(own: Key, [first, second]: CompositeValue): Key | undefined {
  if (first?.kind !== 'token' || second?.kind !== 'token') return undefined;
  const keyOf = ({ system, code = '' }: TokenValue): Key =>
    system === undefined ? codeKey(own, code) : tokenKey(own, system, code);
  return pairKey(own, keyOf(first.value), keyOf(second.value));
}

/** The rows of a token and something else in one element. */
function rowsOfPair(sql: Sql, own: Key, value: CompositeValue): readonly Rows[] {
  if (!isIndexed(value)) throw new Error('A composite without pairs is judged on values (search/widen.ts)');
  const [first, second, third] = value;
  if (first?.kind !== 'token' || !second || second.kind === 'token') return [];
  const alias = sql.alias();
  const found: Pick<Rows, 'table' | 'ranges'> =
    third?.kind === 'number' && second.kind === 'number'
      ? { table: 'value_number', ranges: [bothNumbers(sql, [second.value, third.value], alias)] }
      : rangesOf(sql, second, alias);
  return keyed({ ...found, alias }, () => pairsKey(sql, own, first.value));
}

/** Of units that nothing here is in there are no ranges: then there is nothing to be found, and no key to be bound. */
function keyed(rows: Omit<Rows, 'key'>, key: () => string): readonly Rows[] {
  return rows.ranges.length === 0 ? [] : [{ ...rows, key: `${rows.alias}.key = ${key()}` }];
}

/** Of a code or a system alone the pairs are looked up. */
function pairsKey(sql: Sql, own: Key, { system, code }: TokenValue): string {
  if (system !== undefined && code !== undefined)
    return sql.bind(keyText(pairKey(own, tokenKey(own, system, code))));
  const half = code === undefined ? systemKey(own, system ?? '') : codeKey(own, code);
  return `any (array(select key from code_key where code = ${sql.bind(keyText(pairKey(own, half)))}))`;
}

function rangesOf(sql: Sql, part: ComponentValue, alias: string): Pick<Rows, 'table' | 'ranges'> {
  switch (part.kind) {
    case 'number':
      return { table: 'value_number', ranges: numberRanges(sql, part.value, alias) };
    case 'quantity':
      return { table: 'value_number', ranges: quantityRanges(sql, part.value, alias) };
    case 'date':
      return {
        table: 'value_date',
        ranges: [dateCondition(sql, part.value, `${alias}.low`, `${alias}.high`)],
      };
    case 'string':
      return { table: 'value_string', ranges: [beginsWith(sql, fold(part.value), `${alias}.value`)] };
    default:
      throw new Error(`The index has no rows for a ${part.kind} in a composite`);
  }
}
