/** The walk over a resource's links, led by the definitions: what can hold none is not looked into. */
import type { Resource } from 'fhir/r4.js';
import type { Definitions } from './definitions.ts';
import { membersOf } from './members.ts';

/** What a link is: the text of Reference.reference, by the name of that type; a uri of some sort; XHTML with links. */
export type LinkType = 'Reference' | 'uri' | 'url' | 'canonical' | 'oid' | 'uuid' | 'xhtml';

/**
 * Is shown each link.
 *
 * @param path    FHIRPath of the element, without indexes; of the Reference for its `reference`
 * @param indexes for `withIndexes`, good until the visit ends
 * @returns       what shall stand there, the link itself to leave it
 */
export type Visit = (link: string, type: LinkType, path: string, indexes: Indexes) => string;

/** Where in its list the element of each part of a path is, or -1 where it is in none. More may follow, of no meaning. */
export type Indexes = readonly number[];

/** Shows the links of a resource in the order of its text. */
export type Walk = (resource: Resource, visit: Visit) => void;

/**
 * Makes the walk. It goes through extensions and contained resources, but not into the entries of a Bundle and
 * the resources in Parameters: their links belong to their own world. What is not as the definitions say is
 * passed over.
 */
export function compileWalk(definitions: Definitions): Walk {
  const shapes = new Map<string, Shape>();
  const shapeOf = (type: string): Shape => {
    let shape = shapes.get(type);
    if (!shape) {
      shape = shapeFor(definitions, type);
      // names that are no types are not kept: contained resources name them as clients write
      if (shape.size > 0) shapes.set(type, shape);
    }
    return shape;
  };
  return (resource, visit) => {
    const { resourceType } = resource;
    follow({ shapeOf, visit, indexes: [-1] }, resource, shapeOf(resourceType), resourceType, 1);
  };
}

/** The path of one element: `Observation.performer[1]`. */
export function withIndexes(path: string, indexes: Indexes): string {
  const parts = path.split('.').map((part, i) => (indexes[i]! < 0 ? part : `${part}[${indexes[i]}]`));
  return parts.join('.');
}

/** What the members of a type can lead to, by the name they have in JSON; members that lead nowhere are absent. */
type Shape = Map<string, Step>;

interface Step {
  /** Name of the element in FHIRPath: `value` of `valueReference` */
  readonly segment: string;
  readonly leads: 'to a link' | 'to an element' | 'to a resource';
  /** What the link is, or the type or path whose shape the element has */
  readonly type: string;
  /** Shape of the type, kept at its first use: types contain each other */
  shape?: Shape;
}

interface Course {
  readonly shapeOf: (type: string) => Shape;
  readonly visit: Visit;
  readonly indexes: number[];
}

const LINKS: ReadonlySet<string> = new Set<LinkType>(['uri', 'url', 'canonical', 'oid', 'uuid', 'xhtml']);
const NOT_FOLLOWED = new Set(['Bundle.entry', 'Parameters.parameter.resource']);

function shapeFor(definitions: Definitions, type: string): Shape {
  const shape: Shape = new Map();
  for (const { name, segment, element, holds, type: its } of membersOf(definitions, type)) {
    if (NOT_FOLLOWED.has(element.path)) continue;
    if (holds === 'a resource') shape.set(name, { segment, leads: 'to a resource', type: its });
    else if (holds === 'elements') shape.set(name, { segment, leads: 'to an element', type: its });
    else {
      if (LINKS.has(its)) shape.set(name, { segment, leads: 'to a link', type: its });
      // extensions of a primitive stand beside it
      shape.set(`_${name}`, { segment, leads: 'to an element', type: 'Element' });
    }
  }
  // The literal of a Reference is a string to the definitions.
  if (type === 'Reference') shape.set('reference', { segment: '', leads: 'to a link', type });
  return shape;
}

type Holder = Record<string | number, unknown>;

/** @param depth how many parts the path has */
function follow(course: Course, element: object, shape: Shape, path: string, depth: number): void {
  for (const name in element) {
    const member = shape.get(name);
    if (!member) continue;
    const value = (element as Holder)[name];
    const to = member.segment === '' ? path : `${path}.${member.segment}`;
    if (Array.isArray(value)) {
      const each = value as unknown as Holder;
      for (let i = 0; i < value.length; i++) {
        course.indexes[depth] = i;
        step(course, each, i, member, to, depth);
      }
    } else {
      course.indexes[depth] = -1;
      step(course, element as Holder, name, member, to, depth);
    }
  }
}

function step(
  course: Course,
  holder: Holder,
  at: string | number,
  member: Step,
  path: string,
  depth: number,
): void {
  const value = holder[at];
  if (typeof value === 'string') {
    if (member.leads !== 'to a link') return;
    const wanted = course.visit(value, member.type as LinkType, path, course.indexes);
    if (wanted !== value) holder[at] = wanted;
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (member.leads === 'to an element') {
    member.shape ??= course.shapeOf(member.type);
    follow(course, value, member.shape, path, depth + 1);
  } else if (member.leads === 'to a resource') {
    const { resourceType } = value as { resourceType?: unknown };
    if (typeof resourceType === 'string')
      follow(course, value, course.shapeOf(resourceType), path, depth + 1);
  }
}
