/** temporary */
import type { Resource } from 'fhir/r4.js';
import type { Definitions } from './definitions.ts';
import { compileWalk } from './walk.ts';
export function compileConditions(definitions: Definitions) {
  const walk = compileWalk(definitions);
  return (resource: Resource): readonly { text: string; path: string }[] => {
    const found: { text: string; path: string }[] = [];
    walk(resource, (link, type, path) => {
      const at = link.indexOf('?');
      if (type === 'Reference' && at > 0 && definitions.isResourceType(link.slice(0, at)))
        found.push({ text: link, path });
      return link;
    });
    return found;
  };
}
