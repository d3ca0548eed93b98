/** Filters as conditions on a row of `resource_index`; each is exact by itself, whatever found the row. */
import type { Filter } from '../../search/request.ts';
import { keyText, uriKey } from '../index/keys.ts';
import { combined } from './combined.ts';
import { containsCondition } from './contained.ts';
import { dateCondition } from './dates.ts';
import {
  chainCondition,
  compartmentCondition,
  hasCondition,
  listCondition,
  patientsCondition,
  refersCondition,
} from './joins.ts';
import { missingCondition } from './missing.ts';
import { referenceCondition, referenceIdentifierCondition } from './references.ts';
import { hasOneOf, type Judged, or, type Setting } from './setting.ts';
import type { Sql } from './sql.ts';
import { ofTypeCondition, tokenCondition } from './tokens.ts';
import { compositeCondition, valueCondition, valuedCondition } from './value-rows.ts';
import { stringCondition, uriCondition } from './values.ts';
import { indexedWordsCondition, wordsCondition } from './words.ts';

/** The condition of one filter. */
export function condition(sql: Sql, filter: Judged, setting: Setting): string {
  const { type, keys, row } = setting;
  const parts = combined(type, filter as Filter);
  if (parts) return or(parts.map((part) => condition(sql, part, setting)));
  switch (filter.kind) {
    case 'keys':
      return hasOneOf(sql, row, filter.keys);
    case 'has-keys':
      return `exists (select from timeline h where h.patient = ${row}.rid and h.key = any (${sql.bind(filter.keys)}::bigint[]))`;
    case 'refers':
      return refersCondition(sql, filter.parameter, filter.rids, setting);
    case 'indexed-words':
      return indexedWordsCondition(sql, filter, setting);
    case 'rids':
      return `${row}.rid = any (${sql.bind(filter.rids)}::bigint[])`;
    case 'valued':
      return valuedCondition(sql, filter.filter, setting);
    case 'id':
      return `${row}.rid in (select rid from resource where type = ${sql.bind(setting.typeNumber(type))} and id = any (${sql.bind(filter.ids)}))`;
    case 'updated': {
      // An instant in milliseconds lasts one.
      const u = sql.alias();
      const either = or(
        filter.values.map((value) =>
          dateCondition(sql, value, `${u}.updated`, `${u}.updated + interval '1 millisecond'`),
        ),
      );
      return `exists (select from resource ${u} where ${u}.rid = ${row}.rid and ${either})`;
    }
    case 'date': {
      if (filter.parameter.code === setting.clinical)
        return or(filter.values.map((value) => dateCondition(sql, value, `${row}.at`, `${row}.until`)));
      const key = keyText(keys.parameter(type, filter.parameter));
      const v = sql.alias();
      const either = or(filter.values.map((value) => dateCondition(sql, value, `${v}.low`, `${v}.high`)));
      return `exists (select from value_date ${v} where ${v}.rid = ${row}.rid and ${v}.key = ${sql.bind(key)} and ${either})`;
    }
    case 'number':
    case 'quantity':
    case 'near':
      return valueCondition(sql, filter, setting);
    case 'composite':
      return compositeCondition(sql, filter, setting);
    case 'token':
      return tokenCondition(sql, filter, setting);
    case 'of-type':
      return ofTypeCondition(sql, filter, setting);
    case 'uri': {
      if (filter.modifier) return uriCondition(sql, filter, setting);
      const parameter = keys.parameter(type, filter.parameter);
      return hasOneOf(
        sql,
        row,
        filter.values.map((uri) => keyText(uriKey(parameter, uri))),
      );
    }
    case 'reference':
      return referenceCondition(sql, filter.parameter, filter.values, setting);
    case 'reference-identifier':
      return referenceIdentifierCondition(sql, filter, setting);
    case 'string':
      return stringCondition(sql, filter, setting);
    case 'words':
      return wordsCondition(sql, filter, setting);
    case 'missing':
      return missingCondition(sql, filter, setting);
    case 'chain':
      return chainCondition(sql, filter, setting, condition);
    case 'has':
      return hasCondition(sql, filter, setting, condition);
    case 'list':
      return listCondition(sql, filter, setting);
    case 'contains':
      return containsCondition(sql, filter, setting);
    case 'compartment':
      return compartmentCondition(sql, filter, setting);
    case 'patients':
      return patientsCondition(sql, filter, setting);
    case 'not':
      // What a row has no value for is unknown to SQL, and not so to us.
      return `not coalesce(${condition(sql, filter.filter, setting)}, false)`;
    case 'all':
      return filter.filters.length === 0
        ? 'true'
        : `(${filter.filters.map((one) => condition(sql, one, setting)).join(' and ')})`;
    case 'any':
      return or(
        filter.filters.map((one) =>
          one.kind === 'reference'
            ? referenceCondition(sql, one.parameter, one.values, setting, filter.filters.length === 1)
            : condition(sql, one, setting),
        ),
      );
    default:
      throw new Error(`${filter.kind} is judged on values, and has no condition (search/widen.ts)`);
  }
}
