/** What a resource points to on this server: every local reference and url, wherever it stands. */
import type { Resource } from 'fhir/r4.js';
import type { Definitions } from './definitions.ts';
import { parseReference } from './reference.ts';

/** One resource pointed to from one element. */
export interface Edge {
  /** FHIRPath of the element, without indexes: `Observation.subject`, `Media.content.url` */
  readonly path: string;
  readonly type: string;
  readonly id: string;
  /** where the reference is to one version (`Type/id/_history/version`) */
  readonly version?: string;
}

/**
 * Makes the function that lists a resource's edges, one for each path, type and id: of Reference.reference, of
 * uri, url and canonical elements (Attachment.url among them) that are `Type/id` or under the base, also within
 * extensions and contained resources. The entries of a Bundle and the resources in Parameters are not looked
 * into: their references belong to their own world.
 */
export function compileEdges(definitions: Definitions): (resource: Resource, baseUrl: string) => Edge[] {
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
  return (resource, baseUrl) => {
    const { resourceType } = resource;
    const search: Search = { definitions, shapeOf, baseUrl, edges: [] };
    follow(search, resource, shapeOf(resourceType), resourceType);
    return search.edges;
  };
}

/** What the members of a type can lead to, by the name they have in JSON; members that lead nowhere are absent. */
type Shape = Map<string, Member>;

interface Member {
  /** Name of the element in FHIRPath: `value` of `valueReference` */
  readonly segment: string;
  readonly leads: 'to a reference' | 'to a url' | 'to an element' | 'to a resource';
  /** The type or path whose shape the element has */
  readonly type: string;
  /** Shape of the type, kept at its first use: types contain each other */
  shape?: Shape;
}

interface Search {
  readonly definitions: Definitions;
  readonly shapeOf: (type: string) => Shape;
  readonly baseUrl: string;
  readonly edges: Edge[];
  /** Of the edges, once they are many */
  known?: Set<string>;
}

const URLS = new Set(['uri', 'url', 'canonical']);
const NOT_FOLLOWED = new Set(['Bundle.entry', 'Parameters.parameter.resource']);

function shapeFor(definitions: Definitions, type: string): Shape {
  const shape: Shape = new Map();
  for (const [name, element] of definitions.elements(type)) {
    if (NOT_FOLLOWED.has(element.path)) continue;
    const segment = name.replace('[x]', '');
    for (const each of element.types.length > 0 ? element.types : ['Element']) {
      const quantity = each === 'SimpleQuantity' || each === 'MoneyQuantity';
      const plain = quantity ? 'Quantity' : each;
      const member = name === segment ? name : segment + plain[0]!.toUpperCase() + plain.slice(1);
      const resource = plain === 'Resource' || definitions.isResourceType(plain);
      if (resource) shape.set(member, { segment, leads: 'to a resource', type: plain });
      else if (element.contentReference)
        shape.set(member, { segment, leads: 'to an element', type: element.contentReference });
      else if (plain === 'BackboneElement' || plain === 'Element')
        shape.set(member, { segment, leads: 'to an element', type: element.path });
      else if (/^[A-Z]/.test(plain)) shape.set(member, { segment, leads: 'to an element', type: plain });
      else {
        if (URLS.has(plain)) shape.set(member, { segment, leads: 'to a url', type: plain });
        // extensions of a primitive stand beside it
        shape.set(`_${member}`, { segment, leads: 'to an element', type: 'Element' });
      }
    }
  }
  // The literal of a Reference is a string to the definitions.
  if (type === 'Reference') shape.set('reference', { segment: '', leads: 'to a reference', type: 'string' });
  return shape;
}

function follow(search: Search, element: object, shape: Shape, path: string): void {
  for (const name in element) {
    const member = shape.get(name);
    if (!member) continue;
    const value = (element as Record<string, unknown>)[name];
    const to = member.segment === '' ? path : `${path}.${member.segment}`;
    if (Array.isArray(value)) for (const each of value) step(search, each, member, to);
    else step(search, value, member, to);
  }
}

function step(search: Search, value: unknown, member: Member, path: string): void {
  if (typeof value === 'string') {
    if (member.leads === 'to a reference') addEdge(search, value, path);
    else if (member.leads === 'to a url') addEdge(search, withoutFragment(value), path);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (member.leads === 'to an element') {
    member.shape ??= search.shapeOf(member.type);
    follow(search, value, member.shape, path);
  } else if (member.leads === 'to a resource') {
    const { resourceType } = value as { resourceType?: unknown };
    if (typeof resourceType === 'string') follow(search, value, search.shapeOf(resourceType), path);
  }
}

function addEdge(search: Search, url: string, path: string): void {
  const { definitions, baseUrl, edges } = search;
  const parsed = parseReference(url, baseUrl, definitions.isResourceType);
  if (parsed.kind !== 'local') return;
  const { type, id, version } = parsed;
  if (isKnown(search, path, type, id)) return;
  edges.push(version === undefined ? { path, type, id } : { path, type, id, version });
}

/** Most resources have a handful of edges, quicker looked through than hashed; a Group may have 100,000. */
function isKnown(search: Search, path: string, type: string, id: string): boolean {
  const { edges } = search;
  if (edges.length < 16) {
    for (const edge of edges) if (edge.id === id && edge.path === path && edge.type === type) return true;
    return false;
  }
  search.known ??= new Set(edges.map((edge) => `${edge.path} ${edge.type}/${edge.id}`));
  const before = search.known.size;
  return search.known.add(`${path} ${type}/${id}`).size === before;
}

/** A canonical may name a business version after a bar and a part after a hash (R4 references.html#canonical). */
function withoutFragment(url: string): string {
  const end = url.search(/[|#]/);
  return end > 0 ? url.slice(0, end) : url;
}
