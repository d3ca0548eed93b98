/**
 * Filters without what they say of labels that nothing has: mostly nothing is labelled, and then no row need be looked at
 * for what Consents and clearances say of labels.
 */
import type { Filter, PatientSet } from '../../search/request.ts';

type Of<Kind extends Filter['kind']> = Extract<Filter, { readonly kind: Kind }>;

/**
 * What must hold still.
 *
 * @param hasAny  whether anything passes a filter on keys
 * @param merging keeps what several sets of patients become together, as filters of an access token stay the same
 */
export async function withoutLabels(
  filters: readonly Filter[],
  hasAny: (filter: Filter) => Promise<boolean>,
  merging: WeakMap<Filter, Filter>,
): Promise<readonly Filter[]> {
  const asked = new Set(filters.flatMap(labelsIn));
  if (asked.size === 0) return filters;
  const found = await labelsFound([...asked], hasAny);
  return filters.flatMap((filter) => simplified(filter, found, merging) ?? []);
}

/** Those of some labels that something has. */
async function labelsFound(
  labels: readonly Filter[],
  hasAny: (filter: Filter) => Promise<boolean>,
): Promise<ReadonlySet<Filter>> {
  // All at once first, as mostly there are none.
  if (!(await hasAny({ kind: 'any', filters: labels }))) return new Set();
  const found = new Set<Filter>();
  for (const label of labels) if (labels.length === 1 || (await hasAny(label))) found.add(label);
  return found;
}

/** @returns undefined where everything passes */
function simplified(
  filter: Filter,
  found: ReadonlySet<Filter>,
  merging: WeakMap<Filter, Filter>,
): Filter | undefined {
  if (isOfLabels(filter)) return found.has(filter.filter) ? filter : undefined;
  if ((filter.kind !== 'all' && filter.kind !== 'any') || labelsIn(filter).length === 0) return filter;
  const inner = filter.filters.map((one) => simplified(one, found, merging));
  const left = inner.filter((one) => one !== undefined);
  if (filter.kind === 'all') return left.length < 2 ? left[0] : { kind: 'all', filters: left };
  if (left.length < inner.length) return undefined;
  return left.every((one) => one.kind === 'patients')
    ? together(filter, left, merging)
    : { kind: 'any', filters: left };
}

/** About one of several sets of patients: about one of them all. */
function together(
  filter: Of<'any'>,
  sets: readonly Of<'patients'>[],
  merging: WeakMap<Filter, Filter>,
): Filter {
  const before = merging.get(filter);
  const [first] = sets;
  if (before || !first) return before ?? filter;
  const patients: PatientSet = new Map(sets.flatMap((one) => [...one.patients]));
  const merged: Filter = { ...first, patients };
  merging.set(filter, merged);
  return merged;
}

/** Whether a filter leaves out what has a label. */
const isOfLabels = (filter: Filter): filter is Of<'not'> =>
  filter.kind === 'not' && filter.filter.kind === 'token' && filter.filter.parameter.code === '_security';

function labelsIn(filter: Filter): readonly Filter[] {
  if (isOfLabels(filter)) return [filter.filter];
  return filter.kind === 'all' || filter.kind === 'any' ? filter.filters.flatMap(labelsIn) : [];
}
