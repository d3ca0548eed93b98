/** Where a reference parameter finds its references: what chains, `_has` and includes follow. */
import type { Definitions, SearchParameter } from './definitions.ts';

/**
 * The paths of a parameter's References within a type, as edges name them: `Observation.performer`, and
 * `MedicationRequest.medication` for `(MedicationRequest.medication as Reference)`.
 *
 * @returns undefined where it cannot be told by paths alone: canonicals, or a part of the references at a path only
 */
export function referencePaths(
  definitions: Definitions,
  type: string,
  { expression = '' }: SearchParameter,
): readonly string[] | undefined {
  const paths: string[] = [];
  for (const part of expression.split('|')) {
    const path = part
      .trim()
      .replace(/\.where\(resolve\(\) is \w+\)$/, '')
      .replace(/^\((.*?) as \w+\)/, '$1')
      .replace(/\.as\(\w+\)/, '');
    if (!path.startsWith(`${type}.`)) continue;
    if (!/^[A-Za-z]+(\.[A-Za-z]+)+$/.test(path) || !isReference(definitions, path)) return undefined;
    paths.push(path);
  }
  return paths.length > 0 ? paths : undefined;
}

function isReference(definitions: Definitions, path: string): boolean {
  const [type = '', ...names] = path.split('.');
  let at = type;
  for (const [i, name] of names.entries()) {
    const elements = definitions.elements(at);
    const element = elements.get(name) ?? elements.get(`${name}[x]`);
    if (!element) return false;
    if (i === names.length - 1) return element.types.includes('Reference');
    // a backbone element is known by its path, a data type by its name
    const [only = ''] = element.types;
    at = definitions.elements(element.path).size > 0 ? element.path : only;
  }
  return false;
}
