/** `:missing` (R4 search.html#modifiers), by what a row says itself: no index has what is not there. */
import type { Filter } from '../../search/request.ts';
import type { Setting } from './setting.ts';
import type { Sql } from './sql.ts';

/** Beyond the last bit that is set a row has none. */
export function missingCondition(
  sql: Sql,
  { parameter, missing }: Extract<Filter, { readonly kind: 'missing' }>,
  { row, bitOf }: Setting,
): string {
  const bit = `substring(${row}.present from ${sql.bind(bitOf(parameter) + 1)}::integer for 1)`;
  return `${bit} ${missing ? '<>' : '='} '1'::varbit`;
}
