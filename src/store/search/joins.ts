/** Conditions on other resources: chains, `_has`, lists and compartments (R4 search.html#chaining, #has, #list). */
import type { SearchParameter } from '../../fhir/definitions.ts';
import type { Filter } from '../../search/request.ts';
import { compartmentKey, keyText } from '../index/keys.ts';
import { type Condition, or, type Setting } from './setting.ts';
import type { Sql } from './sql.ts';

type Of<Kind extends Filter['kind']> = Extract<Filter, { readonly kind: Kind }>;

/** The row refers, by the parameter, to a current resource of one of the types that passes that type's filter. */
export function chainCondition(
  sql: Sql,
  { parameter, targets }: Of<'chain'>,
  setting: Setting,
  condition: Condition,
): string {
  return or(
    targets.map(({ type, filter }) => {
      const t = sql.alias();
      const one = condition(sql, filter, setting.of(type, t));
      // Looked up by its number, and judged then: coalesced, as the index of keys would be asked anew for each row.
      const passes = `${t}.type = ${sql.bind(setting.typeNumber(type))} and ${KEYED.has(filter.kind) ? `coalesce(${one}, false)` : one}`;
      if (type === 'Patient' && setting.patient.has(parameter.code))
        return `exists (select from resource_index ${t} where ${t}.rid = any (${setting.row}.patients) and ${passes})`;
      const e = sql.alias();
      return `exists (select from ${edges(setting.row, e)} join resource_index ${t} on ${t}.rid = ${e}.target
        where ${atPaths(sql, parameter, setting, e)} and ${passes})`;
    }),
  );
}

/** What is judged by keys. */
const KEYED = new Set<Filter['kind']>(['token', 'uri', 'of-type', 'reference', 'reference-identifier']);

/** The row refers, by the parameter, to one of some resources: their numbers become a hash table, where they are many. */
export function refersCondition(
  sql: Sql,
  parameter: SearchParameter,
  rids: readonly number[],
  setting: Setting,
): string {
  const e = sql.alias();
  const one = `${e}.target = any (${sql.bind(rids)}::bigint[])`;
  return setting.patient.has(parameter.code)
    ? `exists (select from unnest(${setting.row}.patients) ${e} (target) where ${one})`
    : `exists (select from ${edges(setting.row, e)} where ${atPaths(sql, parameter, setting, e)} and ${one})`;
}

/** A current resource of the type refers to the row by the parameter, and passes the filter. */
export function hasCondition(
  sql: Sql,
  { type, parameter, filter }: Of<'has'>,
  setting: Setting,
  condition: Condition,
): string {
  const s = sql.alias();
  const source = setting.of(type, s);
  if (setting.type === 'Patient' && source.patient.has(parameter.code)) {
    const l = sql.alias();
    return `exists (select from timeline ${l} join resource_index ${s} on ${s}.rid = ${l}.rid
      where ${l}.patient = ${setting.row}.rid and ${l}.key = ${sql.bind(keyText(setting.keys.type(type)))}
        and ${condition(sql, filter, source)})`;
  }
  const e = sql.alias();
  return `${setting.row}.rid in (select ${e}.target from resource_index ${s} cross join ${edges(s, e)}
    where ${s}.type = ${sql.bind(setting.typeNumber(type))} and ${atPaths(sql, parameter, source, e)}
      and ${condition(sql, filter, source)})`;
}

const edges = (row: string, alias: string): string =>
  `unnest(${row}.targets, ${row}.paths) ${alias} (target, path)`;

function atPaths(sql: Sql, parameter: SearchParameter, setting: Setting, edge: string): string {
  const names = sql.bind(setting.pathsOf(parameter));
  return `${edge}.path = any (array(select code from path where name = any (${names}::text[])))`;
}

/** The row is an item of a current List. */
export function listCondition(sql: Sql, { id }: Of<'list'>, { row, typeNumber }: Setting): string {
  const [r, l, e] = [sql.alias(), sql.alias(), sql.alias()];
  return `${row}.rid in (select ${e}.target
    from resource ${r} join resource_index ${l} on ${l}.rid = ${r}.rid cross join ${edges(l, e)}
    where ${r}.type = ${sql.bind(typeNumber('List'))} and ${r}.id = ${sql.bind(id)}
      and ${e}.path = any (array(select code from path where name = 'List.entry.item')))`;
}

/** The row is in the compartment of a patient: it is about him, or refers to him otherwise, or is himself. */
export function compartmentCondition(
  sql: Sql,
  { id }: Of<'compartment'>,
  { type: own, row, keys, typeNumber }: Setting,
): string {
  const [t, x] = [sql.alias(), sql.alias()];
  const patient = `array(select rid from resource where type = ${sql.bind(typeNumber('Patient'))} and id = ${sql.bind(id)})`;
  // A patient's own number is among those that it is about.
  return `${row}.rid in (
    select ${t}.rid from timeline ${t} where ${t}.patient = any (${patient}) and ${t}.key = ${sql.bind(keyText(keys.type(own)))}
    union all select ${x}.rid from resource_index ${x}
    where ${x}.keys @> array[${sql.bind(keyText(compartmentKey(keys.type(own), id)))}::bigint])`;
}

/** The row is about one of some patients: their numbers become a hash table, where they are many. */
export function patientsCondition(
  sql: Sql,
  { patients }: Of<'patients'>,
  { row, patientSets }: Setting,
): string {
  const p = sql.alias();
  const rids = sql.bind(patientSets.numbersOf(patients).parameter);
  // Coalesced, it is looked up in a hash table that is made once.
  return `exists (select from unnest(${row}.patients) ${p} (rid) where coalesce(${p}.rid in (select unnest(${rids}::bigint[])), false))`;
}
