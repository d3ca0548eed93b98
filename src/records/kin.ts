/** `:above` and `:below` of references (R4 search.html#recursive): all that is part of a resource, or that it is part of. */
import { type Access, demand } from '../access/access.ts';
import { invalid } from '../fhir/outcome.ts';
import type { Filter } from '../search/request.ts';
import { NEWEST_FIRST } from '../store/search/search.ts';
import type { ReadSetting } from './setting.ts';

export type Kin = Extract<Filter, { readonly kind: 'kin' }>;

/** So many a hierarchy may have. */
const MOST = 1000;

/**
 * A search for references to any of them, themselves included; a round in a ring is gone once.
 *
 * @throws Refusal 403 where the caller may not search them; 400 too-costly where there are too many
 */
export async function kinOf(
  { store }: ReadSetting,
  access: Access,
  { parameter, direction, type, part, ids }: Kin,
): Promise<Filter> {
  demand(access, type, 's');
  const limits = access.within(type, 's');
  const all = new Set(ids);
  for (let edge: readonly string[] = ids; edge.length > 0; ) {
    const next: Filter =
      direction === 'below'
        ? { kind: 'reference', parameter: part, values: edge.map((id) => ({ kind: 'local', type, id })) }
        : { kind: 'has', type, parameter: part, filter: { kind: 'id', ids: edge } };
    const found = await store.searcher.find({
      type,
      filters: [next, ...limits],
      sort: NEWEST_FIRST,
      count: MOST,
    });
    edge = found.map(({ id }) => id).filter((id) => !all.has(id));
    for (const id of edge) all.add(id);
    if (all.size > MOST)
      throw invalid(
        'too-costly',
        `${parameter.code}:${direction} would be one of more than ${MOST} resources: name one further ${direction === 'below' ? 'below' : 'above'}`,
      );
  }
  return { kind: 'reference', parameter, values: [...all].map((id) => ({ kind: 'local', type, id })) };
}
