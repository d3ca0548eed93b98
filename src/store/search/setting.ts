/** What conditions are made with, and the pieces that they have in common. */
import { clinicalDate } from '../../fhir/clinical-date.ts';
import { type Definitions, nameOf, type SearchParameter } from '../../fhir/definitions.ts';
import { patientParameters } from '../../fhir/patient-parameters.ts';
import { referencePaths } from '../../fhir/reference-paths.ts';
import type { Filter } from '../../search/request.ts';
import type { Catalog } from '../catalog.ts';
import type { Keys } from '../index/keys.ts';
import type { PatientSets } from './patient-sets.ts';
import type { Sql } from './sql.ts';

export interface Setting {
  readonly type: string;
  /** alias of the row of `resource_index` that is judged */
  readonly row: string;
  readonly keys: Keys;
  /** code of the clinical date's parameter: its values are columns */
  readonly clinical: string | undefined;
  /** codes of the parameters whose patients are columns */
  readonly patient: ReadonlySet<string>;
  readonly typeNumber: (name: string) => number;
  /** where a row says whether it has a value for a parameter of the type */
  readonly bitOf: (parameter: SearchParameter) => number;
  /** names of the paths at which a reference parameter of the type finds its references */
  readonly pathsOf: (parameter: SearchParameter) => readonly string[];
  readonly patientSets: PatientSets;
  /** the setting of another type, on another row */
  readonly of: (type: string, row: string) => Setting;
}

/** Makes the settings of types. What the standard's own parameters say of one is found out once: nothing posted changes it. */
export function makeSettings(
  definitions: Definitions,
  catalog: Catalog,
  keys: Keys,
  patientSets: PatientSets,
): (type: string, row?: string) => Setting {
  const told = new Map<string, Pick<Setting, 'clinical' | 'patient'>>();
  const settingOf = (type: string, row = 'i'): Setting => {
    const known = told.get(type) ?? {
      clinical: clinicalDate(definitions, type)?.code,
      patient: patientParameters(definitions, type),
    };
    told.set(type, known);
    return {
      ...known,
      type,
      row,
      keys,
      typeNumber: catalog.typeNumber,
      bitOf: (parameter) => catalog.parameterBit(type, nameOf(parameter)),
      pathsOf: (parameter) => referencePaths(definitions, type, parameter) ?? [],
      patientSets,
      of: settingOf,
    };
  };
  return settingOf;
}

/**
 * What is left to be judged: a filter, codes and categories as the keys that these have, resources by number, those
 * that the values of a filter lead to, a patient who has something with one of these timeline keys, a reference by a parameter to one of some resources, or
 * what the index of words finds.
 */
export type Judged =
  | Filter
  | { readonly kind: 'keys'; readonly keys: readonly string[] }
  | { readonly kind: 'rids'; readonly rids: readonly number[] }
  | { readonly kind: 'valued'; readonly filter: Filter }
  | { readonly kind: 'has-keys'; readonly keys: readonly string[] }
  | { readonly kind: 'refers'; readonly parameter: SearchParameter; readonly rids: readonly number[] }
  | {
      readonly kind: 'indexed-words';
      /** a tsquery */
      readonly query: string;
      /** what was written since the index was */
      readonly pending: readonly number[];
    };

/** Whether a filter is judged by columns of the row alone. */
export function isOfRow(filter: Judged, { clinical }: Pick<Setting, 'clinical'>): boolean {
  switch (filter.kind) {
    case 'date':
      return filter.parameter.code === clinical;
    case 'keys':
    case 'token':
    case 'of-type':
    case 'missing':
      return true;
    case 'not':
      return isOfRow(filter.filter, { clinical });
    default:
      return false;
  }
}

/** Makes the condition of one filter: handed to those who need it for other rows. */
export type Condition = (sql: Sql, filter: Judged, setting: Setting) => string;

/** Whether a row has one of some keys. */
export function hasOneOf(sql: Sql, row: string, keys: readonly string[]): string {
  const texts = sql.bind(keys);
  return `${row}.keys ${keys.length === 1 ? '@>' : '&&'} ${texts}::bigint[]`;
}

/** Any of the conditions: nothing passes where there are none (an id, and no type that it could be of). */
export const or = (conditions: readonly string[]): string =>
  conditions.length === 1 ? (conditions[0] as string) : `(${conditions.join(' or ') || 'false'})`;
