/** Conditions on the value tables: numbers, quantities, strings, beginnings of uris, places. */
import { fold } from '../../fhir/fold.ts';
import { distanceSql, numberTest } from '../../search/numbers.ts';
import type { Filter, NumberValue } from '../../search/request.ts';
import { keyText, pairKey, unitKey } from '../index/keys.ts';
import { or, type Setting } from './setting.ts';
import type { Sql } from './sql.ts';

type Of<Kind extends Filter['kind']> = Extract<Filter, { readonly kind: Kind }>;

function test(sql: Sql, value: NumberValue, table: string): string {
  const { joined, comparisons } = numberTest(value);
  const each = comparisons.map(({ end, is, than }) => `${table}.${end} ${is} ${sql.bind(than)}::float8`);
  return `(${each.join(` ${joined} `)})`;
}

export function numberCondition(
  sql: Sql,
  { parameter, values }: Of<'number'>,
  { type, keys, row }: Setting,
): string {
  const v = sql.alias();
  const key = sql.bind(keyText(keys.parameter(type, parameter)));
  const either = or(values.map((value) => test(sql, value, v)));
  return `${row}.rid in (select ${v}.rid from value_number ${v} where ${v}.key = ${key} and ${either})`;
}

/** A unit is that of system and code; without a system that of UCUM, or of none. */
export function quantityCondition(
  sql: Sql,
  { parameter, values }: Of<'quantity'>,
  { type, keys, row }: Setting,
): string {
  const v = sql.alias();
  const own = keys.parameter(type, parameter);
  const either = or(
    values.map((value) => {
      const passes = test(sql, value, v);
      const { system, code } = value;
      if (code === undefined) return passes;
      const systems = system === undefined ? [UCUM, ''] : [system];
      const units = systems.map((one) => keyText(unitKey(own, one, code)));
      return `(${passes} and ${v}.unit = any (${sql.bind(units)}::bigint[]))`;
    }),
  );
  return `${row}.rid in (select ${v}.rid from value_number ${v} where ${v}.key = ${sql.bind(keyText(own))} and ${either})`;
}

const UCUM = 'http://unitsofmeasure.org';

/** The beginning, or any part of it, whatever case and accents (R4 search.html#string). */
export function stringCondition(
  sql: Sql,
  { parameter, values, modifier }: Of<'string'>,
  { type, keys, row }: Setting,
): string {
  const v = sql.alias();
  const key = sql.bind(keyText(keys.parameter(type, parameter)));
  const either = or(
    values.map((value) => {
      const folded = fold(value);
      if (modifier === 'contains') return `strpos(${v}.value, ${sql.bind(folded)}) > 0`;
      // By code points, nothing that begins with the prefix comes after it and the last of all characters.
      return `(${v}.value >= ${sql.bind(folded)} and ${v}.value <= ${sql.bind(`${folded}\u{10ffff}`)})`;
    }),
  );
  return `${row}.rid in (select ${v}.rid from value_string ${v} where ${v}.key = ${key} and ${either})`;
}

/** `:below`: the uri itself and what begins with it; `:above`: itself and what it begins with (R4 search.html#uri). */
export function uriCondition(
  sql: Sql,
  { parameter, values, modifier }: Of<'uri'>,
  { type, keys, row }: Setting,
): string {
  const v = sql.alias();
  const key = sql.bind(keyText(keys.parameter(type, parameter)));
  const either = or(
    values.map((uri) => {
      const given = sql.bind(uri);
      return modifier === 'below' ? `starts_with(${v}.value, ${given})` : `starts_with(${given}, ${v}.value)`;
    }),
  );
  return `${row}.rid in (select ${v}.rid from value_string ${v} where ${v}.key = ${key} and ${either})`;
}

/** Within a distance: a Location has one position, as two rows (index/values.ts). */
export function nearCondition(
  sql: Sql,
  { parameter, values }: Of<'near'>,
  { type, keys, row }: Setting,
): string {
  const [a, b] = [sql.alias(), sql.alias()];
  const own = keys.parameter(type, parameter);
  const either = or(
    values.map(({ latitude, longitude, meters }) => {
      const far = distanceSql(
        `${a}.low`,
        `${b}.low`,
        `${sql.bind(latitude)}::float8`,
        `${sql.bind(longitude)}::float8`,
      );
      return `${far} <= ${sql.bind(meters)}::float8`;
    }),
  );
  return `exists (select from value_number ${a} join value_number ${b} on ${b}.rid = ${a}.rid and ${b}.key = ${sql.bind(keyText(pairKey(own, own)))}
    where ${a}.rid = ${row}.rid and ${a}.key = ${sql.bind(keyText(own))} and ${either})`;
}
