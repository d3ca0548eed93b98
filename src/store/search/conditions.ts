/** Filters as conditions on `resource_index i`; each is exact by itself, whatever found the row. */
import { fold } from '../../fhir/fold.ts';
import type { Filter, ReferenceValue, TokenValue } from '../../search/request.ts';
import type { Key } from '../hash.ts';
import { codeKey, type Keys, keyText, localKey, systemKey, tokenKey, uriKey } from '../index/keys.ts';
import { dateCondition } from './dates.ts';
import type { Sql } from './sql.ts';

/** What conditions are made with. */
export interface Setting {
  readonly type: string;
  readonly keys: Keys;
  /** codes of the clinical date's parameter: its values are columns */
  readonly clinical: string | undefined;
  readonly typeNumber: (name: string) => number;
}

/** The condition of one filter. */
export function condition(sql: Sql, filter: Filter, setting: Setting): string {
  const { type, keys } = setting;
  switch (filter.kind) {
    case 'id':
      return `i.rid in (select rid from resource where type = ${sql.bind(setting.typeNumber(type))} and id = any (${sql.bind(filter.ids)}))`;
    case 'updated': {
      // An instant in milliseconds lasts one.
      const either = or(
        filter.values.map((value) =>
          dateCondition(sql, value, 'u.updated', `u.updated + interval '1 millisecond'`),
        ),
      );
      return `exists (select from resource u where u.rid = i.rid and ${either})`;
    }
    case 'date': {
      if (filter.parameter.code === setting.clinical)
        return or(filter.values.map((value) => dateCondition(sql, value, 'i.at', 'i.until')));
      const key = keyText(keys.parameter(type, filter.parameter));
      const either = or(filter.values.map((value) => dateCondition(sql, value, 'v.low', 'v.high')));
      return `i.rid in (select v.rid from value_date v where v.key = ${sql.bind(key)} and ${either})`;
    }
    case 'token': {
      const parameter = keys.parameter(type, filter.parameter);
      return hasOneOf(
        sql,
        filter.values.flatMap((value) => tokenValueKeys(parameter, value)),
      );
    }
    case 'uri': {
      const parameter = keys.parameter(type, filter.parameter);
      return hasOneOf(
        sql,
        filter.values.map((uri) => uriKey(parameter, uri)),
      );
    }
    case 'reference': {
      const parameter = keys.parameter(type, filter.parameter);
      return or(
        filter.values.map((value) =>
          filter.parameter.code === 'patient' && value.kind === 'local'
            ? patientCondition(sql, value.id, setting)
            : referenceCondition(sql, parameter, value, filter.parameter.target ?? [], setting),
        ),
      );
    }
    case 'string': {
      const key = sql.bind(keyText(keys.parameter(type, filter.parameter)));
      const either = or(
        filter.values.map((value) => {
          const prefix = fold(value);
          // By code points, nothing that begins with the prefix comes after it and the last of all characters.
          return `(s.value >= ${sql.bind(prefix)} and s.value <= ${sql.bind(`${prefix}\u{10ffff}`)})`;
        }),
      );
      return `i.rid in (select s.rid from value_string s where s.key = ${key} and ${either})`;
    }
  }
}

function referenceCondition(
  sql: Sql,
  parameter: Key,
  value: ReferenceValue,
  targets: readonly string[],
  { typeNumber }: Setting,
): string {
  if (value.kind === 'absolute') return hasOneOf(sql, [uriKey(parameter, value.url)]);
  const types = value.type === undefined ? targets : [value.type];
  const keys = types.map((type) => localKey(parameter, type, value.id));
  const numbers = sql.bind(types.map(typeNumber));
  // Keys find candidates; that the reference leads to this very resource is what its number says.
  return `(${hasOneOf(sql, keys)} and i.targets && (
    select coalesce(array_agg(rid), '{}') from resource where type = any (${numbers}::smallint[]) and id = ${sql.bind(value.id)}))`;
}

/** Rows keep the numbers of the patients of this parameter, and no key for it. */
function patientCondition(sql: Sql, id: string, { typeNumber }: Setting): string {
  const type = sql.bind(typeNumber('Patient'));
  return `i.patients && array(select rid from resource where type = ${type} and id = ${sql.bind(id)})`;
}

/** The keys that a value of a token search looks for, any of them. */
function tokenValueKeys(parameter: Key, { system, code }: TokenValue): Key[] {
  if (code === undefined) return [systemKey(parameter, system ?? '')];
  if (system !== undefined) return [tokenKey(parameter, system, code)];
  return [codeKey(parameter, code), tokenKey(parameter, '', code)];
}

function hasOneOf(sql: Sql, keys: readonly Key[]): string {
  const texts = sql.bind(keys.map(keyText));
  return `i.keys ${keys.length === 1 ? '@>' : '&&'} ${texts}::bigint[]`;
}

const or = (conditions: readonly string[]): string =>
  conditions.length === 1 ? (conditions[0] as string) : `(${conditions.join(' or ')})`;
