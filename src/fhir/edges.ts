/** What a resource points to on this server: every local reference and url, wherever it stands. */
import type { Resource } from 'fhir/r4.js';
import type { Definitions } from './definitions.ts';
import { parseReference } from './reference.ts';
import { compileWalk, type LinkType } from './walk.ts';

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
  const walk = compileWalk(definitions);
  return (resource, baseUrl) => {
    const search: Search = { definitions, baseUrl, edges: [] };
    walk(resource, (link, type, path) => {
      if (type === 'Reference') addEdge(search, link, path);
      else if (URLS.has(type)) addEdge(search, withoutFragment(link), path);
      return link;
    });
    return search.edges;
  };
}

interface Search {
  readonly definitions: Definitions;
  readonly baseUrl: string;
  readonly edges: Edge[];
  /** Of the edges, once they are many */
  known?: Set<string>;
}

const URLS: ReadonlySet<LinkType> = new Set(['uri', 'url', 'canonical']);

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
