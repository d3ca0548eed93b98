/** Filters as conditions on `resource_index i`; each is exact by itself, whatever found the row. */

import type { SearchParameter } from '../../fhir/definitions.ts';
import { fold } from '../../fhir/fold.ts';
import type { Filter, ReferenceValue, TokenValue } from '../../search/request.ts';
import type { Key } from '../hash.ts';
import {
  codeKey,
  isWalked,
  type Keys,
  keyText,
  localKey,
  systemKey,
  tokenKey,
  uriKey,
} from '../index/keys.ts';
import { dateCondition } from './dates.ts';
import type { Sql } from './sql.ts';

/** What conditions are made with. */
export interface Setting {
  readonly type: string;
  readonly keys: Keys;
  /** code of the clinical date's parameter: its values are columns */
  readonly clinical: string | undefined;
  /** codes of the parameters whose patients are columns */
  readonly patient: ReadonlySet<string>;
  readonly typeNumber: (name: string) => number;
}

/** What is left to be judged: a filter, or codes and categories as the keys that these have. */
export type Judged = Filter | { readonly kind: 'keys'; readonly keys: readonly string[] };

/** The condition of one filter. */
export function condition(sql: Sql, filter: Judged, setting: Setting): string {
  const { type, keys } = setting;
  switch (filter.kind) {
    case 'keys':
      return hasOneOf(sql, filter.keys);
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
      const parts = type === 'Observation' ? COMBINED[filter.parameter.code] : undefined;
      if (parts) return or(parts.map((part) => tokenCondition(sql, part, filter.values, setting)));
      return tokenCondition(sql, filter.parameter, filter.values, setting);
    }
    case 'uri': {
      const parameter = keys.parameter(type, filter.parameter);
      return hasOneOf(
        sql,
        filter.values.map((uri) => keyText(uriKey(parameter, uri))),
      );
    }
    case 'reference':
      return referenceCondition(sql, filter.parameter, filter.values, setting);
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
    default:
      throw new Error(`no condition of ${filter.kind} yet`);
  }
}

/** Patients are found by their numbers, other local targets by key and number, what is elsewhere by key. */
function referenceCondition(
  sql: Sql,
  parameter: SearchParameter,
  values: readonly ReferenceValue[],
  { type, keys, patient, typeNumber }: Setting,
): string {
  const own = keys.parameter(type, parameter);
  const patients: string[] = [];
  const urls: string[] = [];
  const local = { keys: [] as string[], types: [] as number[], ids: [] as string[] };
  for (const value of values) {
    if (value.kind === 'absolute') urls.push(keyText(uriKey(own, value.url)));
    else
      for (const target of value.type === undefined ? (parameter.target ?? []) : [value.type]) {
        if (target === 'Patient' && patient.has(parameter.code)) patients.push(value.id);
        else {
          local.keys.push(keyText(localKey(own, target, value.id)));
          local.types.push(typeNumber(target));
          local.ids.push(value.id);
        }
      }
  }
  const found: string[] = [];
  // Keys find candidates; that the reference leads to this very resource is what its number says.
  if (local.keys.length > 0)
    found.push(`(${hasOneOf(sql, local.keys)} and i.targets && array(
      select r.rid from unnest(${sql.bind(local.types)}::smallint[], ${sql.bind(local.ids)}::text[]) e (type, id)
      join resource r on r.type = e.type and r.id = e.id))`);
  if (urls.length > 0) found.push(hasOneOf(sql, urls));
  if (patients.length === 0) return or(found);
  const numbers = `array(select rid from resource where type = ${sql.bind(typeNumber('Patient'))} and id = any (${sql.bind(patients)}::text[]))`;
  if (found.length === 0) return `i.patients && ${numbers}`;
  // Two ways that no one index serves.
  return `i.rid in (
    select t.rid from timeline t where t.patient = any (${numbers}) and t.key = ${sql.bind(keyText(keys.type(type)))}
    union all select i.rid from resource_index i where ${or(found)})`;
}

/** Parameters that have no keys of their own: each is one of the resource or of its components (index/row.ts). */
const COMBINED: Readonly<Record<string, readonly SearchParameter[]>> = Object.fromEntries(
  ['code', 'data-absent-reason', 'value-concept'].map((code) => [
    `combo-${code}`,
    [code, `component-${code}`].map((part) => ({
      code: part,
      type: 'token',
      base: ['Observation'],
      url: '',
    })),
  ]),
);

/** A code or category has no key but that of system and code: by one alone it is found in the dictionary. */
function tokenCondition(
  sql: Sql,
  parameter: SearchParameter,
  values: readonly TokenValue[],
  { type, keys }: Setting,
): string {
  const own = keys.parameter(type, parameter);
  if (!isWalked(parameter))
    return hasOneOf(sql, values.flatMap((value) => tokenValueKeys(own, value)).map(keyText));
  const full: string[] = [];
  const halves: string[] = [];
  for (const { system, code } of values) {
    if (code === undefined) halves.push(keyText(systemKey(own, system ?? '')));
    else if (system === undefined) halves.push(keyText(codeKey(own, code)));
    else full.push(keyText(tokenKey(own, system, code)));
  }
  const found = full.length > 0 ? [hasOneOf(sql, full)] : [];
  if (halves.length > 0)
    found.push(`i.keys && array(select key from code_key where code = any (${sql.bind(halves)}::bigint[]))`);
  return or(found);
}

/** The keys that a value of a token search looks for, any of them. */
function tokenValueKeys(parameter: Key, { system, code }: TokenValue): Key[] {
  if (code === undefined) return [systemKey(parameter, system ?? '')];
  if (system !== undefined) return [tokenKey(parameter, system, code)];
  return [codeKey(parameter, code), tokenKey(parameter, '', code)];
}

function hasOneOf(sql: Sql, keys: readonly string[]): string {
  const texts = sql.bind(keys);
  return `i.keys ${keys.length === 1 ? '@>' : '&&'} ${texts}::bigint[]`;
}

/** Any of the conditions: nothing passes where there are none (an id, and no type that it could be of). */
const or = (conditions: readonly string[]): string =>
  conditions.length === 1 ? (conditions[0] as string) : `(${conditions.join(' or ') || 'false'})`;
