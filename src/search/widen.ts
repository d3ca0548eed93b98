/**
 * Filters that the index answers in part only: it finds what may pass, and the matcher judges that on its values
 * (match.ts). They are `:text`, `_text`, `_content`, `_profile:below`, versions of canonicals, `ne` of tokens in
 * `_filter`, and the few composites that it has no pairs for.
 */
import type { Definitions } from '../fhir/definitions.ts';
import { filterOf, isIndexed, isWhole } from './composites.ts';
import { conjuncts } from './inner.ts';
import { componentsOf } from './parameters.ts';
import type { Filter } from './request.ts';

/** Filters as the index answers them, and those to be judged afterwards. */
export interface Widened {
  /** what everything passes that passes the filters; maybe more */
  readonly filters: readonly Filter[];
  readonly judged: readonly Filter[];
}

/** Widens the filters of a search of one type. */
export function widened(definitions: Definitions, type: string, filters: readonly Filter[]): Widened {
  // One by one: of those that the index answers nothing is judged again.
  const each = filters.flatMap(conjuncts);
  const judged = each.filter((filter) => isWider(type, filter));
  if (judged.length === 0) return { filters, judged };
  return { filters: each.flatMap((filter) => wider(definitions, type, filter)), judged };
}

/** Whether the index finds more than what passes. */
function isWider(type: string, filter: Filter): boolean {
  switch (filter.kind) {
    case 'token-text':
    case 'token-other':
    case 'words':
      return true;
    case 'uri':
      // The index has its values as a whole only.
      return filter.modifier !== undefined && filter.parameter.code === '_profile';
    case 'reference':
      // The versions that a version is the beginning of have no keys, and a url has one whatever the version.
      return filter.values.some(
        (value) => value.kind === 'absolute' && (value.below ?? value.bare) !== undefined,
      );
    case 'composite':
      return !isWhole(filter.parameter) && !filter.values.every(isIndexed);
    case 'not':
      return isWider(type, filter.filter);
    case 'all':
    case 'any':
      return filter.filters.some((one) => isWider(type, one));
    default:
      return false;
  }
}

function wider(definitions: Definitions, type: string, filter: Filter): readonly Filter[] {
  switch (filter.kind) {
    case 'words':
    case 'reference':
      return [filter];
    case 'token-other':
      return [{ kind: 'missing', parameter: filter.parameter, missing: false }];
    case 'composite': {
      if (!isWider(type, filter)) return [filter];
      // A posted one may be of other elements than its parts are: it has a value, and which is judged.
      if (filter.parameter.posted !== undefined)
        return [{ kind: 'missing', parameter: filter.parameter, missing: false }];
      const parts = componentsOf(definitions, type, filter.parameter);
      const known = new Set(definitions.searchParameters(type).map(({ url }) => url));
      const each = filter.values.map((value) =>
        value.flatMap((part, i): Filter[] => {
          const parameter = parts[i];
          return parameter && known.has(parameter.url) ? [filterOf(parameter, part)] : [];
        }),
      );
      // All parts of the one value, as filters of the search itself: plans are made by them.
      return each.length === 1 ? (each[0] as Filter[]) : [{ kind: 'any', filters: each.map(allOf) }];
    }
    case 'all':
      return filter.filters.flatMap((one) => wider(definitions, type, one));
    case 'any':
      return [{ ...filter, filters: filter.filters.map((one) => allOf(wider(definitions, type, one))) }];
    default:
      return isWider(type, filter) ? [] : [filter];
  }
}

const allOf = (filters: readonly Filter[]): Filter => ({ kind: 'all', filters });
