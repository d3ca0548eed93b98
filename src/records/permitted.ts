/** What a search asks of other resources than those it is for: whoever may not search these learns nothing of them. */
import { type Access, demand } from '../access/access.ts';
import { withInner } from '../search/inner.ts';
import type { Filter } from '../search/request.ts';

/**
 * A filter, with chains only to types that the caller may search.
 *
 * @throws Refusal 403 where it looks at what he may not
 */
export function permitted(access: Access, filter: Filter): Filter {
  switch (filter.kind) {
    case 'chain': {
      const targets = filter.targets.filter(({ type }) => access.allows(type, 's'));
      if (targets.length === 0) demand(access, filter.targets[0]?.type as string, 's');
      return withPermitted(access, { ...filter, targets });
    }
    case 'has':
      demand(access, filter.type, 's');
      return withPermitted(access, filter);
    case 'list':
      demand(access, 'List', 'r');
      return filter;
    default:
      return withPermitted(access, filter);
  }
}

const withPermitted = (access: Access, filter: Filter): Filter =>
  withInner(filter, (one) => permitted(access, one));
