/** Conditions of references (R4 search.html#reference). */
import type { SearchParameter } from '../../fhir/definitions.ts';
import type { Filter, ReferenceValue } from '../../search/request.ts';
import { keyText, localKey, uriKey, versionOf } from '../index/keys.ts';
import { hasOneOf, or, type Setting } from './setting.ts';
import type { Sql } from './sql.ts';
import { tokenValueKeys } from './tokens.ts';

/**
 * Patients are found by their numbers, other local targets by key and number, what is elsewhere by key.
 *
 * @param alone whether nothing else will do: then what else must hold finds the rows, or patients have (plans.ts)
 */
export function referenceCondition(
  sql: Sql,
  parameter: SearchParameter,
  values: readonly ReferenceValue[],
  { type, keys, patient, typeNumber, row }: Setting,
  alone = true,
): string {
  const own = keys.parameter(type, parameter);
  const patients: string[] = [];
  const urls: string[] = [];
  const local = { keys: [] as string[], types: [] as number[], ids: [] as string[] };
  for (const value of values) {
    if (value.kind === 'absolute') urls.push(keyText(uriKey(own, value.url)));
    else
      for (const target of value.type === undefined ? (parameter.target ?? []) : [value.type]) {
        const { id, version } = value;
        if (target === 'Patient' && patient.has(parameter.code) && version === undefined) patients.push(id);
        else {
          const wanted = version === undefined ? id : versionOf(id, version);
          local.keys.push(keyText(localKey(own, target, wanted)));
          local.types.push(typeNumber(target));
          local.ids.push(id);
        }
      }
  }
  // Patients and others are found in two ways that no one index serves: then by rows of their own.
  const both = patients.length > 0 && local.keys.length + urls.length > 0;
  const at = both ? sql.alias() : row;
  const found: string[] = [];
  // Keys find candidates; that the reference leads to this very resource is what its number says.
  if (local.keys.length > 0)
    found.push(`(${hasOneOf(sql, at, local.keys)} and ${at}.targets && array(
      select r.rid from unnest(${sql.bind(local.types)}::smallint[], ${sql.bind(local.ids)}::text[]) e (type, id)
      join resource r on r.type = e.type and r.id = e.id))`);
  if (urls.length > 0) found.push(hasOneOf(sql, at, urls));
  if (patients.length === 0) return or(found);
  const numbers = `array(select rid from resource where type = ${sql.bind(typeNumber('Patient'))} and id = any (${sql.bind(patients)}::text[]))`;
  if (!both && alone) return `${row}.patients && ${numbers}`;
  const ofPatients = `select t.rid from timeline t where t.patient = any (${numbers}) and t.key = ${sql.bind(keyText(keys.type(type)))}`;
  if (!both) return `${row}.rid in (${ofPatients})`;
  return `${row}.rid in (
    ${ofPatients}
    union all select ${at}.rid from resource_index ${at} where ${or(found)})`;
}

/** `:identifier` (R4 search.html#reference): a logical reference is found as a token. */
export function referenceIdentifierCondition(
  sql: Sql,
  { parameter, values }: Extract<Filter, { readonly kind: 'reference-identifier' }>,
  { type, keys, row }: Setting,
): string {
  const own = keys.parameter(type, parameter);
  return hasOneOf(sql, row, values.flatMap((value) => tokenValueKeys(own, value)).map(keyText));
}
