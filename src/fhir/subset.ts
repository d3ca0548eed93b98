/** A part of a resource: `_summary` (R4 search.html#summary) and `_elements` (R4 search.html#elements). */
import type { Definitions, ElementDefinition } from './definitions.ts';
import { parseJson, parseKeepingNumbers } from './json.ts';
import { membersOf } from './members.ts';
import { invalid, type Refusal } from './outcome.ts';
import { isObject } from './validation/faults.ts';
import { nearest } from './validation/nearest.ts';

/** Which part. */
export type Part =
  | { readonly summary: 'true' | 'text' | 'data' }
  /** names of elements at the root: `code`, `value` for any `value[x]`, `Observation.code` of that type alone */
  | { readonly elements: readonly string[] };

/**
 * Gives of a resource's text, as it is kept or as clients see it, the part as text. The order of members and the
 * digits of numbers stay; `meta.tag` says SUBSETTED.
 */
export type Subset = (text: string) => string;

type Data = Record<string, unknown>;

/**
 * Makes what makes subsets of resources of a type. Always kept are id, meta, what is mandatory and what changes
 * the meaning of the rest (modifiers).
 *
 * @returns a function that throws Refusal 400 naming an element that the type, or the type it is written with,
 *          does not have
 */
export function compileSubset(definitions: Definitions): (type: string, part: Part) => Subset {
  const summary = compileSummary(definitions);
  const takerOf = (type: string, part: Part): ((resource: Data) => Data) => {
    if ('elements' in part) return compileRoot(definitions, type, listed(definitions, type, part.elements));
    if (part.summary === 'text') return compileRoot(definitions, type, new Set(['text']));
    if (part.summary === 'data') return (resource) => filtered(resource, (name) => name !== 'text');
    return (resource) => summary(resource, type);
  };
  return (type, part) => {
    const take = takerOf(type, part);
    return (text) => JSON.stringify(tagged(take(read(text))));
  };
}

function read(text: string): Data {
  const { value, riskyNumber } = parseJson(text);
  return riskyNumber ? parseKeepingNumbers(text) : value;
}

const SUBSETTED = { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED' };

/** With the tag by which a client knows not to write it back (R4 search.html#summary). */
function tagged(resource: Data): Data {
  const meta = resource.meta as { tag?: { system?: string; code?: string }[] } | undefined;
  // a meta comes second, where fhir/content.ts looks for it
  if (!meta) return { resourceType: resource.resourceType, meta: { tag: [SUBSETTED] }, ...resource };
  const { tag = [] } = meta;
  if (tag.some(({ system, code }) => system === SUBSETTED.system && code === SUBSETTED.code)) return resource;
  return { ...resource, meta: { ...meta, tag: [...tag, SUBSETTED] } };
}

function filtered(resource: Data, keeps: (name: string) => boolean): Data {
  return Object.fromEntries(Object.entries(resource).filter(([name]) => keeps(name)));
}

const isAlwaysKept = ({ min, modifier }: ElementDefinition): boolean => min > 0 || modifier;

/** Takes at the root what is always kept, and some elements, with the companions of both. */
function compileRoot(
  definitions: Definitions,
  type: string,
  wanted: ReadonlySet<string>,
): (resource: Data) => Data {
  const names = new Set(['resourceType', 'id', 'meta']);
  for (const { name, segment, element } of membersOf(definitions, type))
    if (isAlwaysKept(element) || wanted.has(segment) || wanted.has(name)) names.add(name).add(`_${name}`);
  return (resource) => filtered(resource, (name) => names.has(name));
}

/**
 * The elements of a list that a type has. Those that are written with another type are for other resources.
 *
 * @throws Refusal 400 for a name that is none
 */
function listed(definitions: Definitions, type: string, elements: readonly string[]): Set<string> {
  const wanted = new Set<string>();
  for (const written of new Set(elements)) {
    const dot = written.indexOf('.');
    const isTyped = dot > 0 && definitions.isResourceType(written.slice(0, dot));
    const of = isTyped ? written.slice(0, dot) : type;
    const name = (isTyped ? written.slice(dot + 1) : written).replace('[x]', '');
    const known = new Set(membersOf(definitions, of).flatMap(({ segment, name }) => [segment, name]));
    if (!known.has(name)) throw unknown(written, name, of, known);
    if (of === type) wanted.add(name);
  }
  return wanted;
}

function unknown(written: string, name: string, type: string, known: ReadonlySet<string>): Refusal {
  const shown = JSON.stringify(written.slice(0, 60));
  const near = nearest(name, known) ?? (known.has(name.split('.')[0]!) ? name.split('.')[0] : undefined);
  const hint = near ? `did you mean "${near}"?` : 'name elements at the root of the resource.';
  return invalid('value', `_elements: ${shown} is no element of ${type}: ${hint}`);
}

/** The members of a summary, by their name in JSON. */
type Shape = ReadonlyMap<string, SummaryMember>;

interface SummaryMember {
  readonly holds: 'what is taken whole' | 'elements' | 'a resource';
  /** By whose elements it is summarized */
  readonly type: string;
}

/** Takes what is marked as of the summary at all depths, with what is always kept there. */
function compileSummary(definitions: Definitions): (resource: Data, type: string) => Data {
  const shapes = new Map<string, Shape>();
  const shapeOf = (type: string): Shape => {
    let shape = shapes.get(type);
    if (!shape) {
      shape = summaryShape(definitions, type);
      // names that are no types are not kept
      if (shape.size > 0) shapes.set(type, shape);
    }
    return shape;
  };
  const take = (value: unknown, shape: Shape): unknown => {
    if (Array.isArray(value)) return value.map((each) => take(each, shape));
    if (!isObject(value)) return value;
    const summary: Data = {};
    for (const name in value) {
      const member = shape.get(name);
      if (member) summary[name] = takeMember(value[name], member);
    }
    // an object without members would not be FHIR (R4 json.html): what is only extensions stays whole
    return Object.keys(summary).length > 0 ? summary : value;
  };
  const takeMember = (value: unknown, { holds, type }: SummaryMember): unknown => {
    if (holds === 'what is taken whole') return value;
    const its = holds === 'a resource' && isObject(value) ? String(value.resourceType) : type;
    return take(value, shapeOf(its));
  };
  return (resource, type) => take(resource, shapeOf(type)) as Data;
}

function summaryShape(definitions: Definitions, type: string): Shape {
  const shape = new Map<string, SummaryMember>();
  const whole: SummaryMember = { holds: 'what is taken whole', type };
  if (definitions.isResourceType(type)) shape.set('resourceType', whole);
  for (const { name, element, holds, type: its } of membersOf(definitions, type)) {
    if (!element.summary && !isAlwaysKept(element)) continue;
    if (holds === 'a primitive') shape.set(name, whole).set(`_${name}`, whole);
    else shape.set(name, element.modifier ? whole : { holds, type: its });
  }
  return shape;
}
