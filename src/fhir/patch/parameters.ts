/** The Parameters that hold a FHIRPath Patch (R4 fhirpatch.html#format). */
import { parseJson, parseKeepingNumbers } from '../json.ts';
import { invalid, type Refusal, refusal } from '../outcome.ts';
import { digitsOf, isTree, type Tree } from './tree.ts';

/** No more operations than these in one patch. */
export const MAX_OPERATIONS = 200;

/** An operation as it is written. */
export type Operation = { readonly path: string; readonly where: string } & (
  | { readonly type: 'add'; readonly name: string; readonly value: Given }
  | { readonly type: 'insert'; readonly index: number; readonly value: Given }
  | { readonly type: 'delete' }
  | { readonly type: 'replace'; readonly value: Given }
  | { readonly type: 'move'; readonly source: number; readonly destination: number }
);

/** A value: of a data type, a resource, or in parts, which every type of elements can be given in. */
export type Given =
  /** `type` as in the member's name: `Quantity` of valueQuantity */
  | { readonly kind: 'type'; readonly type: string; readonly value: unknown; readonly beside: unknown }
  | { readonly kind: 'resource'; readonly value: Tree }
  | { readonly kind: 'parts'; readonly parts: readonly GivenPart[] };

export interface GivenPart {
  readonly name: string;
  readonly value: Given;
  /** FHIRPath of the part in the Parameters */
  readonly where: string;
}

interface Read {
  readonly operations: readonly Operation[];
  /** Whether values have numbers kept as their digits */
  readonly riskyNumber: boolean;
}

/**
 * Reads the operations.
 *
 * @throws Refusal 400 where the Parameters are not as they should be, naming the part; 413 for too many operations
 */
export function readParameters(text: string): Read {
  const { value, riskyNumber } = parseJson(text);
  const { resourceType, parameter } = riskyNumber ? parseKeepingNumbers(text) : value;
  if (resourceType !== 'Parameters')
    throw invalid(
      'structure',
      'A FHIRPath Patch is a Parameters resource; a JSON Patch is sent as application/json-patch+json.',
      'resourceType',
    );
  if (parameter === undefined) return { operations: [], riskyNumber };
  if (!Array.isArray(parameter))
    throw invalid('structure', '"parameter" must be an array.', 'Parameters.parameter');
  if (parameter.length > MAX_OPERATIONS)
    throw refusal(
      413,
      'too-costly',
      `A FHIRPath Patch may have ${MAX_OPERATIONS} operations, this one has ${parameter.length}: split it, or update the resource as a whole (PUT).`,
      'Parameters.parameter',
    );
  const operations = parameter.map((each, i) => readOperation(each, `Parameters.parameter[${i}]`));
  return { operations, riskyNumber };
}

function readOperation(parameter: unknown, where: string): Operation {
  if (!isTree(parameter) || parameter.name !== 'operation')
    throw malformed('each parameter of a FHIRPath Patch is named "operation"', where);
  const parts = new Map<string, { part: Tree; where: string }>();
  for (const [i, part] of partsOf(parameter, where).entries()) {
    const at = `${where}.part[${i}]`;
    if (!isTree(part) || typeof part.name !== 'string') throw malformed('a part has a name', at);
    if (parts.has(part.name)) throw malformed(`the part "${part.name}" stands twice`, at);
    parts.set(part.name, { part, where: at });
  }
  const take = (name: string) => {
    const found = parts.get(name);
    if (!found) throw malformed(`the part "${name}" is required`, where);
    parts.delete(name);
    return found;
  };
  const text = (name: string) => {
    const { part, where: at } = take(name);
    const value = part.valueString ?? part.valueCode;
    if (typeof value !== 'string' || value === '') throw malformed(`"${name}" must be a string`, at);
    return value;
  };
  const index = (name: string) => {
    const { part, where: at } = take(name);
    const digits = digitsOf(part.valueInteger);
    if (!digits || !/^\d{1,9}$/.test(digits)) throw malformed(`"${name}" must be an integer, 0 or more`, at);
    return Number(digits);
  };
  const value = () => {
    const { part, where: at } = take('value');
    return readGiven(part, at);
  };

  const ofType = (): Operation => {
    const type = text('type');
    const path = text('path');
    switch (type) {
      case 'add':
        return { type, path, where, name: text('name'), value: value() };
      case 'insert':
        return { type, path, where, index: index('index'), value: value() };
      case 'delete':
        return { type, path, where };
      case 'replace':
        return { type, path, where, value: value() };
      case 'move':
        return { type, path, where, source: index('source'), destination: index('destination') };
      default:
        throw malformed('"type" must be add, insert, delete, replace or move', where);
    }
  };
  const operation = ofType();
  for (const [name, part] of parts) throw malformed(`${operation.type} has no part "${name}"`, part.where);
  return operation;
}

function readGiven(part: Tree, where: string): Given {
  const members = Object.keys(part).filter((name) => !['name', 'id', 'extension'].includes(name));
  const values = new Set(members.map((name) => name.replace(/^_/, '')));
  const [member] = values;
  if (values.size !== 1) throw malformed('a value is one of value[x], resource, and part', where);
  if (member === 'part')
    return {
      kind: 'parts',
      parts: partsOf(part, where).map((each, i) => {
        const at = `${where}.part[${i}]`;
        if (!isTree(each) || typeof each.name !== 'string') throw malformed('a part has a name', at);
        return { name: each.name.replace('[x]', ''), value: readGiven(each, at), where: at };
      }),
    };
  if (member === 'resource') {
    if (!isTree(part.resource)) throw malformed('a resource is an object', where);
    return { kind: 'resource', value: part.resource };
  }
  const type = /^value([A-Z]\w*)$/.exec(member!)?.[1];
  if (!type) throw malformed(`"${member!.slice(0, 60)}" is not known here`, where);
  return { kind: 'type', type, value: part[member!], beside: part[`_${member}`] };
}

function partsOf({ part }: Tree, where: string): readonly unknown[] {
  if (!Array.isArray(part) || part.length === 0)
    throw malformed('"part" must be an array, and not empty', where);
  return part;
}

function malformed(what: string, where: string): Refusal {
  return invalid('structure', `This is no operation of FHIRPath Patch: ${what} (R4 fhirpatch.html).`, where);
}
