/**
 * Filters that the index answers in part only: it finds what may pass, and the matcher judges that on its values
 * (match.ts). They are `:exact`, `:text`, `:missing`, and composites within an element.
 */
import type { Definitions } from '../fhir/definitions.ts';
import { componentsOf } from './filter.ts';
import type { ComponentValue, Filter } from './request.ts';

/** Filters as the index answers them, and those to be judged afterwards. */
export interface Widened {
  /** what everything passes that passes the filters; maybe more */
  readonly filters: readonly Filter[];
  readonly judged: readonly Filter[];
}

/** Widens the filters of a search of one type. */
export function widened(definitions: Definitions, type: string, filters: readonly Filter[]): Widened {
  const judged = filters.filter((filter) => isWider(type, filter));
  if (judged.length === 0 && !filters.some(({ kind }) => kind === 'composite')) return { filters, judged };
  return { filters: filters.flatMap((filter) => wider(definitions, type, filter)), judged };
}

/** Whether the index finds more than what passes. */
function isWider(type: string, filter: Filter): boolean {
  switch (filter.kind) {
    case 'string':
      return filter.modifier === 'exact';
    case 'token-text':
    case 'missing':
      return true;
    case 'uri':
      // The index has its values as a whole only.
      return filter.modifier !== undefined && filter.parameter.code === '_profile';
    case 'composite':
      // Of parts that stand once in a resource each is found by itself.
      return filter.parameter.expression !== type;
    case 'not':
      return isWider(type, filter.filter);
    default:
      return false;
  }
}

function wider(definitions: Definitions, type: string, filter: Filter): readonly Filter[] {
  switch (filter.kind) {
    case 'string':
      // Equal texts have equal beginnings, whatever their case.
      return [filter.modifier === 'exact' ? { ...filter, modifier: undefined } : filter];
    case 'composite': {
      const parts = componentsOf(definitions, type, filter.parameter);
      const known = new Set(definitions.searchParameters(type).map(({ url }) => url));
      const each = filter.values.map((value) =>
        value.flatMap((part, i): Filter[] => {
          const parameter = parts[i];
          return parameter && known.has(parameter.url) ? [partOf(parameter, part)] : [];
        }),
      );
      // All parts of the one value, as filters of the search itself: plans are made by them.
      return each.length === 1 ? (each[0] as Filter[]) : [{ kind: 'any', filters: each.map(allOf) }];
    }
    default:
      return isWider(type, filter) ? [] : [filter];
  }
}

const allOf = (filters: readonly Filter[]): Filter => ({ kind: 'all', filters });

function partOf(parameter: Extract<Filter, { kind: 'token' }>['parameter'], part: ComponentValue): Filter {
  switch (part.kind) {
    case 'token':
      return { kind: 'token', parameter, values: [part.value] };
    case 'date':
      return { kind: 'date', parameter, values: [part.value] };
    case 'number':
      return { kind: 'number', parameter, values: [part.value] };
    case 'quantity':
      return { kind: 'quantity', parameter, values: [part.value] };
    case 'reference':
      return { kind: 'reference', parameter, values: [part.value] };
    case 'uri':
      return { kind: 'uri', parameter, values: [part.value] };
    case 'string':
      return { kind: 'string', parameter, values: [part.value] };
  }
}
