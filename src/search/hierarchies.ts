/** `:above` and `:below` of references: versions of canonicals, and resources that are part of others (R4 search.html#recursive). */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { withoutEscapes } from './escapes.ts';
import { parameterFault, tooCostly, unsupported } from './faults.ts';
import type { Filter, ReferenceValue } from './request.ts';
import { readReference } from './values.ts';

/** So many resources one parameter may name to look above or below them. */
const MAX_ROOTS = 50;

/**
 * Reads the values: ids of a type that has a hierarchy, or, for `:below`, canonicals with the beginning of a version.
 *
 * @throws Refusal 400 where what the parameter refers to has no hierarchy, or an id may be of several that have
 */
export function readHierarchical(
  { definitions, baseUrl }: { readonly definitions: Definitions; readonly baseUrl: string },
  parameter: SearchParameter,
  direction: 'above' | 'below',
  values: readonly string[],
): Filter {
  const name = `${parameter.code}:${direction}`;
  if (values.length > MAX_ROOTS)
    throw tooCostly(`The parameter ${name} lists ${values.length} values: at most ${MAX_ROOTS} are taken`);
  const canonicals: ReferenceValue[] = [];
  const byType = new Map<string, string[]>();
  const parts = new Map(
    (parameter.target ?? []).flatMap((type) => {
      const part = partOf(definitions, type);
      return part ? [[type, part] as const] : [];
    }),
  );
  for (const text of values) {
    const value = readReference(definitions, parameter, withoutEscapes(text), undefined, baseUrl);
    if (value.kind === 'absolute') {
      if (direction === 'above')
        throw unsupported(name, 'has no meaning for urls: canonicals have versions below them');
      const [url = '', below] = value.url.split(/\|(.*)/s);
      canonicals.push(below ? { ...value, url, below } : { ...value, url });
      continue;
    }
    if (parts.size === 0) throw unsupported(name, 'refers to what has no hierarchy: leave the modifier out');
    const type = value.type ?? (parts.size === 1 ? [...parts.keys()][0] : undefined);
    if (type === undefined || !parts.has(type))
      throw parameterFault(
        name,
        `must be Type/id, of a type with a hierarchy: ${[...parts.keys()].join(', ')}`,
      );
    byType.set(type, [...(byType.get(type) ?? []), value.id]);
  }
  const filters: Filter[] =
    canonicals.length > 0 ? [{ kind: 'reference', parameter, values: canonicals }] : [];
  for (const [type, ids] of byType)
    filters.push({ kind: 'kin', parameter, direction, type, part: parts.get(type) as SearchParameter, ids });
  return filters.length === 1 ? (filters[0] as Filter) : { kind: 'any', filters };
}

/** Whether a parameter refers to what may be part of others of its type. */
export const hasHierarchy = (definitions: Definitions, { target = [] }: SearchParameter): boolean =>
  target.some((type) => partOf(definitions, type));

/** By which a resource refers to one of its own type, and to no other, that it is part of. */
function partOf(definitions: Definitions, type: string): SearchParameter | undefined {
  return definitions
    .searchParameters(type)
    .find(
      ({ code, target = [] }) =>
        (code === 'partof' || code === 'part-of') && target.length === 1 && target[0] === type,
    );
}

/** Whether a version is one that is asked for: 1 is 1, 1.0 and 1.1, and not 10. */
export const isVersionBelow = (version: string, below: string): boolean =>
  version === below || version.startsWith(`${below}.`);
