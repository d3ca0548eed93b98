/** Faults in words: what is wrong, where (FHIRPath), and how to mend it. */
import type { Definitions } from '../definitions.ts';
import { error, type Issue } from '../outcome.ts';
import { type Fault, isObject } from './faults.ts';
import { nearest } from './nearest.ts';

/** Longer values are not repeated to who sent them, nor into a log. */
const LONGEST_ECHO = 50;
/** More codes than these are not listed. */
const MOST_CODES = 12;

/** The resource that faults were found in, and what is needed to word them. */
export interface Found {
  readonly definitions: Definitions;
  readonly codes: ReadonlyMap<string, ReadonlySet<string>>;
  readonly resource: unknown;
  /** FHIRPath of the resource: `Patient`, `Bundle.entry[0].resource` */
  readonly path: string;
}

/** The issue that tells a client of a fault. */
export function issueOf(fault: Fault, found: Found): Issue {
  const steps = fault.instancePath.split('/').slice(1);
  const path = found.path + steps.map(stepOf).join('');
  const value = valueAt(found.resource, steps);
  const { kind, about } = fault;
  switch (kind) {
    case 'object':
      return error('structure', shapeOf(value, `a JSON object (${about})`, path), path);
    case 'empty':
      return error('structure', 'An object must not be empty: leave the element out.', path);
    case 'onlyId':
      return error('invariant', 'ele-1: there is an id alone; give a value or an extension with it.', path);
    case 'unknown':
      return unknown(fault, path, found);
    case 'missing':
      return missing(about, path, namesOf(found, steps, about));
    case 'choice': {
      const known = namesOf(found, steps, about);
      const given = known.filter((name) => isObject(value) && (name in value || `_${name}` in value));
      const diagnostics = `Only one ${about} may be given, and there are ${given.join(' and ')}: keep one.`;
      return error('structure', diagnostics, `${path}.${about.replace('[x]', '')}`);
    }
    case 'list': {
      const isEmpty = Array.isArray(value);
      const diagnostics = isEmpty
        ? 'An array must not be empty: leave the element out.'
        : `The element repeats, so it must be an array even with one value: [ … ]. ${nullHint(value)}`.trim();
      return error('structure', diagnostics, path);
    }
    case 'null':
      return error(
        'structure',
        'null may stand in an array of primitives only where the array of the same name with (or without) "_" has something in the same place.',
        path,
      );
    case 'primitive':
      return primitive(value, about, path);
    case 'code':
      return wrongCode(value, about, path, [...(found.codes.get(about) ?? [])]);
  }
}

/** One step of a JSON pointer as FHIRPath; a primitive's companion is the primitive itself. */
function stepOf(step: string): string {
  if (/^\d+$/.test(step)) return `[${step}]`;
  return `.${step.startsWith('_') ? step.slice(1) : step}`;
}

function valueAt(resource: unknown, steps: readonly string[]): unknown {
  return steps.reduce<unknown>((value, step) => (value as Record<string, unknown> | null)?.[step], resource);
}

/** The names in JSON of an element: of a choice, one for each type. */
function jsonNames(definitions: Definitions, type: string, element: string): string[] {
  const types = definitions.elements(type).get(element)?.types ?? [];
  if (!element.endsWith('[x]')) return [element];
  return types.map((name) => element.replace('[x]', name.charAt(0).toUpperCase() + name.slice(1)));
}

function namesOf(found: Found, steps: readonly string[], element: string): string[] {
  const type = typeAt(found, steps);
  return type === undefined ? [element] : jsonNames(found.definitions, type, element);
}

/** The type of the object at this place, as a name for `definitions.elements()`. */
function typeAt({ definitions, resource }: Found, steps: readonly string[]): string | undefined {
  let type: string | undefined = (resource as { resourceType: string }).resourceType;
  for (const step of steps) {
    if (/^\d+$/.test(step) || type === undefined) continue;
    const parent: string = type;
    type = undefined;
    if (step.startsWith('_')) {
      type = 'Element';
      continue;
    }
    for (const [name, element] of definitions.elements(parent)) {
      const at = jsonNames(definitions, parent, name).indexOf(step);
      if (at < 0) continue;
      const hasChildren = definitions.elements(element.path).size > 0;
      type = element.contentReference ?? (hasChildren ? element.path : element.types[at]);
    }
  }
  return type;
}

function unknown({ about: type, name = '' }: Fault, path: string, { definitions }: Found): Issue {
  const elements = definitions.elements(type);
  const isName = /^_?[A-Za-z][A-Za-z0-9]*$/.test(name) && name.length <= LONGEST_ECHO;
  const shown = isName ? `"${name}"` : 'A name that is not repeated here';
  const says = `${shown} is not an element of ${type}`;
  const where = isName ? `${path}.${name}` : path;
  const ofChoice = elements.get(`${name}[x]`) && jsonNames(definitions, type, `${name}[x]`);
  if (ofChoice) {
    const example = `"${ofChoice[0]}"`;
    return error('structure', `${says}: the type of its value belongs to the name, as in ${example}.`, where);
  }
  const primitive = name.slice(1);
  if (name.startsWith('_') && elements.has(primitive))
    return error('structure', `${says}: only primitives have an element of their name with "_".`, where);
  const known = [...elements.keys()].flatMap((element) => jsonNames(definitions, type, element));
  const near = isName && nearest(name, known);
  return error('structure', near ? `${says}: did you mean "${near}"?` : `${says}: leave it out.`, where);
}

function missing(element: string, path: string, names: readonly string[]): Issue {
  const isChoice = element.endsWith('[x]');
  const few = names.slice(0, MOST_CODES).join(', ') + (names.length > MOST_CODES ? ', …' : '');
  const diagnostics = isChoice ? `One of these is required: ${few}.` : `"${element}" is required.`;
  return error('required', diagnostics, `${path}.${element.replace('[x]', '')}`);
}

/** What is said of a value that has the wrong JSON type. */
function shapeOf(value: unknown, wanted: string, path: string): string {
  if (value === null) return nullHint(value);
  if (path.endsWith(']')) return `Each value of this array must be ${wanted}, not ${nameOfType(value)}.`;
  if (Array.isArray(value)) return `The element does not repeat, so it must be ${wanted}, not an array.`;
  return `This must be ${wanted}, not ${nameOfType(value)}.`;
}

function nullHint(value: unknown): string {
  return value === null ? 'An element is never null: leave it out.' : '';
}

function nameOfType(value: unknown): string {
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object';
  return typeof value === 'boolean' ? 'true or false' : `a ${typeof value}`;
}

/** How the value of each primitive type is written. */
const FORMS: Readonly<Record<string, string>> = {
  base64Binary: 'base64: A-Z, a-z, 0-9, + and /, padded with = to groups of four',
  canonical: 'a URI without white space',
  code: 'a code: single spaces inside at most, none at its ends',
  date: 'a date that exists: YYYY, YYYY-MM or YYYY-MM-DD',
  dateTime:
    'a dateTime that exists: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a time zone (Z or +hh:mm)',
  decimal: 'a number',
  id: 'an id: 1 to 64 of A-Z, a-z, 0-9, "-" and "."',
  instant: 'an instant that exists: YYYY-MM-DDThh:mm:ss with a time zone (Z or +hh:mm)',
  integer: 'a whole number from -2147483648 to 2147483647',
  markdown: 'text of 1 to 1048576 characters, without U+0000 and halves of surrogate pairs',
  oid: 'an OID as URI: urn:oid:1.2.3',
  positiveInt: 'a whole number from 1 to 2147483647',
  string: 'text of 1 to 1048576 characters, without U+0000 and halves of surrogate pairs',
  time: 'a time: hh:mm:ss, with fractions of a second or not, without a time zone',
  unsignedInt: 'a whole number from 0 to 2147483647',
  uri: 'a URI without white space',
  url: 'a URL without white space',
  uuid: 'a UUID as URI: urn:uuid: and 32 lower-case hexadecimal digits in groups of 8-4-4-4-12',
  xhtml: 'XHTML in one element: <div xmlns="http://www.w3.org/1999/xhtml">…</div>',
};

function primitive(value: unknown, type: string, path: string): Issue {
  const jsonType = jsonTypeOf(type);
  if (typeof value !== jsonType) {
    const wanted = jsonType === 'boolean' ? 'true or false' : `a JSON ${jsonType}`;
    return error('structure', shapeOf(value, type === jsonType ? wanted : `${wanted} (${type})`, path), path);
  }
  if (value === '') return error('value', 'A text must not be empty: leave the element out.', path);
  const isText = type === 'string' || type === 'markdown' || type === 'xhtml' || type === 'base64Binary';
  const diagnostics = isText ? `This must be ${FORMS[type]}.` : `${echo(value)} is not ${FORMS[type]}.`;
  return error('value', diagnostics, path);
}

function jsonTypeOf(type: string): 'boolean' | 'number' | 'string' {
  if (type === 'boolean') return 'boolean';
  return ['integer', 'unsignedInt', 'positiveInt', 'decimal'].includes(type) ? 'number' : 'string';
}

function wrongCode(value: unknown, valueSet: string, path: string, codes: readonly string[]): Issue {
  if (typeof value !== 'string')
    return error('structure', shapeOf(value, 'a JSON string (code)', path), path);
  const says = `${echo(value)} is not in the value set ${valueSet}`;
  if (codes.length <= MOST_CODES) return error('code-invalid', `${says}: use ${codes.join(', ')}.`, path);
  const near = nearest(value, codes);
  return error('code-invalid', near === undefined ? `${says}.` : `${says}: did you mean "${near}"?`, path);
}

function echo(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= LONGEST_ECHO ? text : 'This value';
}
