/** What entries of a transaction call each other becomes what the server calls them (R4 http.html#trules). */
import type { Resource } from 'fhir/r4.js';
import type { Definitions } from './definitions.ts';
import { compileWalk } from './walk.ts';

/** The entries' `fullUrl` to `Type/id`. */
export type NewNames = ReadonlyMap<string, string>;

/**
 * Makes the function that puts the new names into a resource, in place: where the whole of a Reference.reference
 * or of a uri, url, oid or uuid is a fullUrl, and in `<a href>` and `<img src>` of narratives. A canonical, a
 * reference to one version and a url with a fragment stay as they are.
 *
 * @returns whether anything changed. The resource may be of `parseKeepingNumbers`.
 */
export function compileRewrite(definitions: Definitions): (resource: Resource, names: NewNames) => boolean {
  const walk = compileWalk(definitions);
  return (resource, names) => {
    if (names.size === 0) return false;
    let changed = false;
    walk(resource, (link, type) => {
      if (type === 'canonical') return link;
      const renamed = type === 'xhtml' ? rewriteNarrative(link, names) : (names.get(link) ?? link);
      if (renamed !== link) changed = true;
      return renamed;
    });
    return changed;
  };
}

// Neither pattern looks at a character twice, however faulty the XHTML: attributes follow each other from the
// name of the tag on, and hold no "<" (XML 1.0 §3.1).
const LINK_TAG = /<(a|img)(\s[^<]*)/g;
const ATTRIBUTE = /(\s+)([^\s=<>"'/]+)(\s*=\s*)("[^"]*"|'[^']*')/gy;

function rewriteNarrative(div: string, names: NewNames): string {
  return div.replace(LINK_TAG, (_tag, element: string, attributes: string) => {
    const linking = element === 'a' ? 'href' : 'src';
    const renamed = attributes.replace(ATTRIBUTE, (written, space, name, equals, value: string) => {
      const url = name === linking && names.get(value.slice(1, -1).replaceAll('&amp;', '&'));
      return url ? `${space}${name}${equals}"${url}"` : written;
    });
    return `<${element}${renamed}`;
  });
}
