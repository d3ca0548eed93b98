/** What the generated validators call, and what they tell: a fault's kind and place, to be worded in issues.ts. */

/** One thing that is wrong, in the shape of ajv's errors. */
export interface Fault {
  /** JSON pointer, without escapes: it has only names of the standard and indexes */
  readonly instancePath: string;
  readonly kind: FaultKind;
  /** The type, element, primitive or value set that the kind is about */
  readonly about: string;
  /** The key that was found, of an unknown element */
  readonly name?: string;
}

export type FaultKind =
  | 'object'
  | 'empty'
  | 'onlyId'
  | 'unknown'
  | 'missing'
  | 'choice'
  | 'list'
  | 'null'
  | 'primitive'
  | 'code';

/** Adds a fault to those found before, null where none were. */
export function fault(
  before: Fault[] | null,
  instancePath: string,
  kind: FaultKind,
  about: string,
  name?: string,
): Fault[] {
  const found: Fault = { instancePath, kind, about, name };
  if (before === null) return [found];
  before.push(found);
  return before;
}

/** Whether a list has a value at this place: it may be missing, or not be a list at all. */
export function holdsAt(list: unknown, index: number): boolean {
  return Array.isArray(list) && list[index] !== undefined && list[index] !== null;
}

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
