/** Which posted parameters a search leans on. */
import type { SearchParameter } from '../fhir/definitions.ts';
import type { Filter, SearchRequest } from './request.ts';

/** Those of its filters, at whichever end of a join, of its order and of what it includes. */
export function postedIn({
  filters,
  sort,
  includes,
  each = [],
}: Pick<SearchRequest, 'filters' | 'sort' | 'includes' | 'each'>): readonly SearchParameter[] {
  const keys = [...sort, ...each.flatMap((one) => one.sort), ...includes];
  return [
    ...[filters, ...each.map((one) => one.filters)].flatMap(postedInFilters),
    ...keys.flatMap((key) => ('parameter' in key ? ifPosted(key.parameter) : [])),
  ];
}

export function postedInFilters(filters: readonly Filter[]): readonly SearchParameter[] {
  return filters.flatMap((filter) => [
    ...('parameter' in filter ? ifPosted(filter.parameter) : []),
    ...('filter' in filter ? postedInFilters([filter.filter]) : []),
    ...('filters' in filter ? postedInFilters(filter.filters) : []),
    ...('targets' in filter ? postedInFilters(filter.targets.map((target) => target.filter)) : []),
  ]);
}

const ifPosted = (parameter: SearchParameter | undefined): readonly SearchParameter[] =>
  parameter?.posted === undefined ? [] : [parameter];
