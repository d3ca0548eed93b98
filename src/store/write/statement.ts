/** Statements with named parameters, `$rid`: each with its type, whatever parts of a statement are left out. */
import type { Statement } from '../pool.ts';

const TYPES = {
  epoch: 'bigint',
  base: 'bigint',
  extractor: 'integer',
  parameters: 'integer',
  expected: 'integer[]',
  labels: 'text[]',
  rid: 'bigint[]',
  type: 'smallint[]',
  id: 'text[]',
  content: 'text[]',
  security: 'text[]',
  blob: 'uuid[]',
  agent: 'integer[]',
  origin: 'text[]',
  patients: 'bigint[]',
  patients_end: 'integer[]',
  at: 'timestamptz[]',
  until: 'timestamptz[]',
  timeline: 'smallint[]',
  tables: 'smallint[]',
  keys: 'bigint[]',
  keys_end: 'integer[]',
  targets: 'bigint[]',
  paths: 'smallint[]',
  present: 'varbit[]',
  targets_end: 'integer[]',
  line_rid: 'bigint[]',
  line_key: 'bigint[]',
  line_patient: 'bigint[]',
  line_at: 'timestamptz[]',
  line_lead: 'boolean[]',
  number_rid: 'bigint[]',
  number_key: 'bigint[]',
  number_unit: 'bigint[]',
  number_low: 'float8[]',
  number_high: 'float8[]',
  number_at: 'timestamptz[]',
  string_rid: 'bigint[]',
  string_key: 'bigint[]',
  string_value: 'text[]',
  string_whole: 'text[]',
  date_rid: 'bigint[]',
  date_key: 'bigint[]',
  date_low: 'timestamptz[]',
  date_high: 'timestamptz[]',
  owned_rid: 'bigint[]',
  owned_owner: 'bigint[]',
  owned_n: 'bigint[]',
  locks: 'integer[]',
} as const;

type Name = keyof typeof TYPES;

/** What makes the value of each parameter. */
export type Parameters = Readonly<Record<Name, () => unknown>>;

/** A statement, and the parameters that it has. */
export interface Named<Parameter extends string = Name> extends Statement {
  readonly parameters: readonly Parameter[];
}

/**
 * Numbers the parameters of a statement in the order in which they first stand.
 *
 * @param types of all parameters that there are
 */
export function numbered<Parameter extends string>(
  types: Readonly<Record<Parameter, string>>,
  name: string,
  text: string,
): Named<Parameter> {
  const parameters: Parameter[] = [];
  const written = text.replace(/\$([a-z_]+)/g, (_written, parameter: Parameter) => {
    if (!Object.hasOwn(types, parameter)) throw new Error(`there is no parameter ${parameter}`);
    let at = parameters.indexOf(parameter);
    if (at < 0) at = parameters.push(parameter) - 1;
    return `($${at + 1}::${types[parameter]})`;
  });
  return { name, text: written, parameters };
}

/** A statement that writes. */
export const named = (name: string, text: string): Named => numbered(TYPES, name, text);

/** The part of a statement, or nothing. */
export const when = (condition: boolean, part: string): string => (condition ? part : '');
