/** What entries of a transaction call each other becomes what the server calls them (R4 http.html#trules). */
import type { Resource } from 'fhir/r4.js';
import type { Replaced } from './content.ts';
import type { Definitions } from './definitions.ts';
import { compileWalk, type LinkType, withIndexes } from './walk.ts';

/** To `Type/id`: the entries' `fullUrl`, and conditional references (`Patient?identifier=s|n`) as they are written. */
export type NewNames = ReadonlyMap<string, string>;

/**
 * Puts the new names into a resource, in place.
 *
 * @param fullUrl of the resource's own entry: relative links are resolved against it
 * @returns       what was replaced; nothing where nothing was
 */
export type Rewrite = (resource: Resource, names: NewNames, fullUrl?: string) => Replaced;

/** A conditional reference. */
export interface ConditionalReference {
  /** as written: `Patient?identifier=s|n` */
  readonly text: string;
  /** FHIRPath of the first Reference that has it: `Observation.performer[1]` */
  readonly path: string;
}

/**
 * Makes the function that puts the new names into a resource, which may be of `parseKeepingNumbers`.
 *
 * A link is replaced where it is a fullUrl, or `Type/id` that under the RESTful root of its own entry's fullUrl is
 * one (R4 bundle.html#references): in Reference.reference, in uri, url, oid and uuid elements, and in `<a href>` and
 * `<img src>` of narratives. The part after "#" stays; where R4 says nothing of it, R5 http 3.2.0.13.3 does. Of a
 * Reference the whole counts, for it has no such part. Conditional references stand in Reference.reference alone.
 *
 * As they are stay: canonicals; a uri that may be a canonical's counterpart (see `mayBeCanonical`); references to
 * one version; links to contained resources; ids, which cannot hold a fullUrl, and the resource's own is no link.
 */
export function compileRewrite(definitions: Definitions): Rewrite {
  const walk = compileWalk(definitions);
  return (resource, names, fullUrl) => {
    if (names.size === 0) return NOTHING;
    const renaming = { definitions, names, root: rootOf(definitions, fullUrl) };
    let replaced: Map<string, { to: string; times: number }> | undefined;
    walk(resource, (link, type) => {
      if (type === 'canonical') return link;
      const renamed = type === 'xhtml' ? renameInNarrative(renaming, link) : rename(renaming, link, type);
      if (renamed === link) return link;
      replaced ??= new Map();
      const known = replaced.get(link);
      if (!known) replaced.set(link, { to: renamed, times: 1 });
      // the same text for two things: no count tells which is which
      else known.times += known.to === renamed ? 1 : Number.NaN;
      return renamed;
    });
    return replaced ?? NOTHING;
  };
}

const NOTHING: Replaced = new Map();

/**
 * Makes the function that lists a resource's conditional references, each text once: `Type?…` in
 * Reference.reference, always relative (R4 http.html#trules). It walks the whole resource, so callers look first
 * whether there is a "?" in its text.
 */
export function compileConditions(
  definitions: Definitions,
): (resource: Resource) => readonly ConditionalReference[] {
  const walk = compileWalk(definitions);
  return (resource) => {
    const found = new Map<string, ConditionalReference>();
    walk(resource, (link, type, path, indexes) => {
      if (type === 'Reference' && isConditional(definitions, link) && !found.has(link))
        found.set(link, { text: link, path: withIndexes(path, indexes) });
      return link;
    });
    return [...found.values()];
  };
}

interface Renaming {
  readonly definitions: Definitions;
  readonly names: NewNames;
  /** `http://example.org/fhir/`, where the entry's fullUrl has one */
  readonly root: string | undefined;
}

type Place = Exclude<LinkType, 'canonical'>;

// R4 references.html#regex, whose root takes fewer characters than urls have
const RESTFUL = /^(https?:\/\/.+\/)([A-Z][A-Za-z]+)\/[A-Za-z0-9\-.]{1,64}$/;
const RELATIVE = /^[A-Z][A-Za-z]+\/[A-Za-z0-9\-.]{1,64}$/;

function rootOf(definitions: Definitions, fullUrl = ''): string | undefined {
  const [, root, type] = RESTFUL.exec(fullUrl) ?? [];
  return type !== undefined && definitions.isResourceType(type) ? root : undefined;
}

function rename(renaming: Renaming, link: string, place: Place): string {
  const name = nameOf(renaming, link, place);
  if (name !== undefined) return name;
  const end = place === 'Reference' ? -1 : link.indexOf('#');
  if (end <= 0) return link;
  const whole = nameOf(renaming, link.slice(0, end), place);
  return whole === undefined ? link : whole + link.slice(end);
}

function nameOf({ definitions, names, root }: Renaming, url: string, place: Place): string | undefined {
  const name = names.get(url);
  if (name === undefined) return root !== undefined && RELATIVE.test(url) ? names.get(root + url) : undefined;
  if (place === 'Reference') return name;
  if (isConditional(definitions, url)) return undefined;
  return place === 'uri' && mayBeCanonical(definitions, url, name) ? undefined : name;
}

/**
 * Whether a uri that is an entry's fullUrl may mean the entry by its canonical url: packages have one for both. As
 * canonicals stay (R4 http.html#trules), so does what they name and what names the same as a uri: a definition's
 * own `url`, Extension.url, Coding.system, ElementDefinition.type.code. A urn:uuid only stands for an id to come.
 */
function mayBeCanonical(definitions: Definitions, url: string, name: string): boolean {
  if (url.startsWith('urn:uuid:')) return false;
  const elements = definitions.elements(name.slice(0, name.indexOf('/')));
  // A Device has a url and a version as well, but its versions are elements with parts.
  return elements.get('url')?.types[0] === 'uri' && elements.get('version')?.types[0] === 'string';
}

function isConditional(definitions: Definitions, reference: string): boolean {
  const end = reference.indexOf('?');
  return end > 0 && definitions.isResourceType(reference.slice(0, end));
}

// Neither pattern looks at a character twice, however faulty the XHTML: attributes follow each other from the
// name of the tag on, and hold no "<" (XML 1.0 §3.1).
const LINK_TAG = /<(a|img)(\s[^<]*)/g;
const ATTRIBUTE = /(\s+)([^\s=<>"'/]+)(\s*=\s*)("[^"]*"|'[^']*')/gy;
// What a url needs escaped in XHTML is its "&" alone; one with more is left as it is.
const OTHER_ENTITY = /&(?!amp;)/;

function renameInNarrative(renaming: Renaming, div: string): string {
  return div.replace(LINK_TAG, (_tag, element: string, attributes: string) => {
    const linking = element === 'a' ? 'href' : 'src';
    const renamed = attributes.replace(ATTRIBUTE, (written, space, name, equals, value: string) => {
      if (name !== linking || OTHER_ENTITY.test(value)) return written;
      const url = value.slice(1, -1).replaceAll('&amp;', '&');
      const wanted = rename(renaming, url, 'xhtml');
      if (wanted === url) return written;
      const quote = value[0];
      return `${space}${name}${equals}${quote}${wanted.replaceAll('&', '&amp;')}${quote}`;
    });
    return `<${element}${renamed}`;
  });
}
