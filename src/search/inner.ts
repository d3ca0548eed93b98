/** What filters are made of: other filters. What may be contained (`contains`) is asked of the index as a whole. */
import type { Filter } from './request.ts';

/** The filters of which one is made, at whichever end of a join; of most there are none. */
export function innerOf(filter: Filter): readonly Filter[] {
  switch (filter.kind) {
    case 'chain':
      return filter.targets.map((target) => target.filter);
    case 'has':
    case 'not':
      return [filter.filter];
    case 'all':
    case 'any':
      return filter.filters;
    default:
      return [];
  }
}

/** Filters that must all hold, one by one. */
export const conjuncts = (filter: Filter): readonly Filter[] =>
  filter.kind === 'all' ? filter.filters.flatMap(conjuncts) : [filter];

/** A filter with others in place of those of which it is made. */
export function withInner(filter: Filter, change: (inner: Filter) => Filter): Filter {
  switch (filter.kind) {
    case 'chain':
      return {
        ...filter,
        targets: filter.targets.map((target) => ({ ...target, filter: change(target.filter) })),
      };
    case 'has':
    case 'not':
      return { ...filter, filter: change(filter.filter) };
    case 'all':
    case 'any':
      return { ...filter, filters: filter.filters.map(change) };
    default:
      return filter;
  }
}
