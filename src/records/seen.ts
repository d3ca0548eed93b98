/**
 * What a caller may see, resource by resource: where its access is limited, each is judged on its own values. A search is
 * limited in its query (search.ts); whatever is found another way comes by here.
 */
import type { Letter } from '../access/access.ts';
import { matches } from '../search/match.ts';
import { readLast, readLastOf, readOwners } from '../store/read/last.ts';
import { factsOf } from './facts.ts';
import type { Caller } from './records.ts';
import type { ReadSetting } from './setting.ts';

/** A version of a resource as it is judged. */
export interface Seeable {
  readonly type: string;
  readonly id: string;
  /** FHIR instant, or PostgreSQL's text */
  readonly updated: string;
  /** '' and null are seen by nobody */
  readonly content: string | null;
}

/** Which of some resources an interaction is allowed on, in their order. */
export async function seenAmong<T extends Seeable>(
  setting: ReadSetting,
  caller: Caller,
  letter: Letter,
  resources: readonly T[],
): Promise<readonly T[]> {
  if (!caller.access.limited || resources.length === 0) return resources;
  const areOwned = caller.access.within('Binary', letter).length > 0;
  const binaries = areOwned ? resources.filter(({ type }) => type === 'Binary') : [];
  const owned = await ofSeenOwners(setting, caller, binaries);
  return resources.filter((resource) =>
    areOwned && resource.type === 'Binary'
      ? owned.has(resource.id) && caller.access.allows('Binary', letter)
      : isWithin(setting, caller, letter, resource),
  );
}

export async function isSeen(
  setting: ReadSetting,
  caller: Caller,
  letter: Letter,
  resource: Seeable,
): Promise<boolean> {
  return (await seenAmong(setting, caller, letter, [resource])).length === 1;
}

/** A Binary is seen by whoever sees what it belongs to (decision 10). */
async function ofSeenOwners(
  setting: ReadSetting,
  caller: Caller,
  binaries: readonly Seeable[],
): Promise<ReadonlySet<string>> {
  if (binaries.length === 0) return new Set();
  const { catalog, pool } = setting.store;
  const owners = await readOwners(
    pool,
    catalog.typeNumber('Binary'),
    binaries.map(({ id }) => id),
  );
  const seen = [...owners].filter(([, owner]) => {
    const type = catalog.typeName(owner.type);
    return type !== 'Binary' && isWithin(setting, caller, 'r', { ...owner, type });
  });
  return new Set(seen.map(([id]) => id));
}

/** Whether a resource's own values say that an interaction is allowed on it. */
function isWithin(setting: ReadSetting, { access }: Caller, letter: Letter, resource: Seeable): boolean {
  const { type, content } = resource;
  if (!access.allows(type, letter)) return false;
  const filters = access.within(type, letter);
  if (filters.length === 0) return true;
  if (content === null || content === '') return false;
  return matches(filters, factsOf(setting, { ...resource, content }));
}

/** A resource as it is now, or was before it was deleted, where the caller may see it. */
export interface Newest extends Seeable {
  readonly rid: number;
  readonly version: number;
  readonly deleted: boolean;
  readonly blob: string | null;
}

/** Of resources, by their names, those that the caller may see; the others are as if they had never been. */
export async function newestSeen(
  setting: ReadSetting,
  caller: Caller,
  letter: Letter,
  names: readonly Name[],
): Promise<ReadonlyMap<string, Newest>> {
  return byName(await seenAmong(setting, caller, letter, await newestOf(setting, names)));
}

interface Name {
  readonly type: string;
  readonly id: string;
}

/** Resources as they are, or were before they were deleted, whoever may see them. */
export async function newestOf(
  { store: { catalog, pool } }: ReadSetting,
  names: readonly Name[],
): Promise<readonly Newest[]> {
  const found = await readLastOf(
    pool,
    names.map(({ type, id }) => ({ type: catalog.typeNumber(type), id })),
  );
  return found.map((last) => ({ ...last, type: catalog.typeName(last.type) }));
}

/** By `Type/id`. */
export const byName = <T extends Name>(resources: readonly T[]): ReadonlyMap<string, T> =>
  new Map(resources.map((one) => [`${one.type}/${one.id}`, one]));

/** The numbers of those resources that the caller may see, as they are now or were before they were deleted. */
export async function numbersSeen(
  setting: ReadSetting,
  caller: Caller,
  letter: Letter,
  rids: readonly number[],
): Promise<ReadonlySet<number>> {
  const { catalog, pool } = setting.store;
  const found = await readLast(pool, rids);
  const named = found.map((last) => ({ ...last, type: catalog.typeName(last.type) }));
  return new Set((await seenAmong(setting, caller, letter, named)).map(({ rid }) => rid));
}
