/** Conditions on texts of the value tables: strings, and beginnings of uris. */
import { fold } from '../../fhir/fold.ts';
import type { Filter } from '../../search/request.ts';
import { keyText, pairKey } from '../index/keys.ts';
import { beginningOf, END, SHORT } from '../index/values.ts';
import { or, type Setting } from './setting.ts';
import type { Sql } from './sql.ts';

type Of<Kind extends Filter['kind']> = Extract<Filter, { readonly kind: Kind }>;

/** The beginning, the whole, or any part of it (R4 search.html#string, search_filter.html#ops). */
export function stringCondition(
  sql: Sql,
  { parameter, values, modifier }: Of<'string'>,
  { type, keys, row }: Setting,
): string {
  const v = sql.alias();
  const own = keys.parameter(type, parameter);
  // The beginning of a long string is under one key, its pieces are under another.
  const key = `${v}.key = ${sql.bind(keyText(own))}`;
  const keyed =
    modifier === 'contains' || modifier === 'ends'
      ? `(${key} or ${v}.key = ${sql.bind(keyText(pairKey(own, own)))})`
      : key;
  const either = or(
    values.map((value) => {
      const folded = fold(value);
      switch (modifier) {
        case 'contains':
          return `strpos(${v}.value, ${sql.bind(folded)}) > 0`;
        case 'ends': {
          // Of a long string it is known where it ends by the row of its end only.
          const end = (of: string): string => `right(${v}.value, char_length(${of}::text)) = ${of}`;
          return `(${key} and char_length(${v}.value) < ${SHORT} and ${end(sql.bind(folded))}
            or ${v}.key = ${sql.bind(keyText(pairKey(own, own)))} and ${end(sql.bind(folded + END))})`;
        }
        case 'exact':
          return `(${v}.value = ${sql.bind(beginningOf(folded))} and coalesce(${v}.whole, ${v}.value) = ${sql.bind(value)})`;
        case undefined:
          return beginsWith(sql, folded, `${v}.value`);
        default:
          return `${v}.value ${COMPARED[modifier]} ${sql.bind(folded)}`;
      }
    }),
  );
  return `exists (select from value_string ${v} where ${v}.rid = ${row}.rid and ${keyed} and ${either})`;
}

/** What is compared with is shorter than the beginning that a row has: there it is decided (search/values.ts). */
const COMPARED = { eq: '=', ne: '<>', gt: '>', lt: '<', ge: '>=', le: '<=' } as const;

/** By code points, nothing that begins with the prefix comes after it and the last of all characters. */
export const beginsWith = (sql: Sql, folded: string, column: string): string =>
  `(${column} >= ${sql.bind(folded)} and ${column} <= ${sql.bind(`${folded}\u{10ffff}`)})`;

/** `:below`: the uri itself and what begins with it; `:above`: itself and what it begins with (R4 search.html#uri); `ne`. */
export function uriCondition(
  sql: Sql,
  { parameter, values, modifier }: Of<'uri'>,
  { type, keys, row }: Setting,
): string {
  const v = sql.alias();
  const key = sql.bind(keyText(keys.parameter(type, parameter)));
  const whole = `coalesce(${v}.whole, ${v}.value)`;
  const either = or(
    values.map((uri) => {
      const given = sql.bind(uri);
      if (modifier === 'ne') return `${whole} <> ${given}`;
      if (modifier === 'above') return `starts_with(${given}, ${whole})`;
      const from = beginningOf(uri);
      return `(${v}.value >= ${sql.bind(from)} and ${v}.value <= ${sql.bind(`${from}\u{10ffff}`)} and starts_with(${whole}, ${given}))`;
    }),
  );
  return `exists (select from value_string ${v} where ${v}.rid = ${row}.rid and ${v}.key = ${key} and ${either})`;
}
