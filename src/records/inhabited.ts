/** Of many types those that may have matches: the others are not searched. */
import type { Filter } from '../search/request.ts';
import { presentTypes, type Referring, typesInCompartment, typesReferring } from '../store/search/types.ts';
import type { Part } from './part.ts';
import type { ReadSetting } from './setting.ts';

/** So few types are searched without looking which have anything. */
const FEW = 4;

export async function inhabited(
  { store }: Pick<ReadSetting, 'store'>,
  parts: readonly Part[],
): Promise<readonly Part[]> {
  if (parts.length <= FEW) return parts;
  const types = await typesOf(store, parts);
  return parts.filter(({ type }) => types.has(type));
}

async function typesOf(store: ReadSetting['store'], parts: readonly Part[]): Promise<ReadonlySet<string>> {
  const [first] = parts[0]?.filters ?? [];
  if (first?.kind === 'compartment')
    return typesInCompartment(
      store,
      first,
      parts.map(({ type }) => type),
    );
  const found = parts.every(isByReferences) && (await typesReferring(store, parts.flatMap(referencesOf)));
  if (!found) return presentTypes(store);
  return new Set([...found, ...parts.filter(isById).map(({ type }) => type)]);
}

/** What a part begins with: of a compartment the alternatives by which something is in it (search/compartment.ts). */
const alternativesOf = ({ filters: [first] }: Part): readonly Filter[] | undefined =>
  first?.kind === 'any' ? first.filters : undefined;

/** Whether keys find all of it: patients have none, where timelines are kept of them. */
const isByReferences = (part: Part): boolean =>
  alternativesOf(part)?.every(
    (one) =>
      one.kind === 'id' ||
      (one.kind === 'reference' &&
        one.values.every(
          (value) => value.kind === 'local' && value.type !== undefined && value.type !== 'Patient',
        )),
  ) ?? false;

const isById = (part: Part): boolean => alternativesOf(part)?.some(({ kind }) => kind === 'id') ?? false;

function referencesOf(part: Part): readonly Referring[] {
  return (alternativesOf(part) ?? []).flatMap((one): Referring[] => {
    if (one.kind !== 'reference') return [];
    const { parameter, values } = one;
    return values.flatMap((value): Referring[] =>
      value.kind === 'local' && value.type !== undefined
        ? [{ type: part.type, parameter, to: { type: value.type, id: value.id } }]
        : [],
    );
  });
}
