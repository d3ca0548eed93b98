/** The matches of a search among contained resources (R4 search.html#contained), in the order that is asked for. */
import type { Filter } from '../search/request.ts';
import type { Match } from '../store/search/search.ts';
import { allWithin, factsWithin, passing, type Within } from './contained.ts';
import { type Budget, type Candidate, candidates, judge } from './judge.ts';
import type { Found, Order, Part, PartWithin, Taken, Wanted } from './part.ts';
import type { ReadSetting } from './setting.ts';

/**
 * The number by which a contained resource stands in an order: that of its container, and a fraction that tells it from
 * others, so that it comes between whole numbers.
 */
const numberOf = ({ container, inner }: Within): number => container.rid + (inner.n + 1) / 2 ** 20;

/**
 * Takes matches: contained resources, or each container once, where its first one stands.
 *
 * @param part of the contained resources' type
 */
export async function takeWithin(
  setting: ReadSetting,
  { type }: Part,
  within: PartWithin,
  order: Order,
  { most, place, back }: Wanted,
  budget: Budget,
): Promise<Taken> {
  const { filters, shown } = within;
  const { compare } = order;
  const forwards = (one: Found, other: Found): number => (back ? -1 : 1) * compare(one, other);
  const from = place && { at: String(place[0]), place };
  const contains: Filter = { kind: 'contains', targets: [{ type, filter: { kind: 'all', filters } }] };
  let rows: Found[] = [];
  let total = 0;
  for (const container of within.containers)
    for await (const stride of candidates(
      setting,
      container,
      [contains, ...within.limits(container)],
      budget,
    )) {
      const all = stride
        .flatMap((candidate) => allWithin(setting, candidate))
        .filter(({ inner }) => inner.type === type);
      const byThemselves = await passingThemselves(setting, container, within, stride);
      const matches = new Map(stride.map((match) => [match.rid, match]));
      let found = (await passing(setting, filters, all, within.ends))
        .filter(({ container: { rid } }) => !byThemselves.has(rid))
        .map((one) =>
          foundOf(setting, container, shown, order, one, matches.get(one.container.rid) as Match),
        );
      if (shown === 'container') found = firstOfEach(found.sort(forwards));
      total += found.length;
      const after = from ? found.filter((one) => compare(one, from) > 0) : found;
      rows = [...rows, ...after].sort(compare).slice(0, most);
    }
  return { rows, total };
}

/** Without its content, which is read again if it is shown. */
function foundOf(
  setting: ReadSetting,
  container: string,
  shown: PartWithin['shown'],
  { at }: Order,
  one: Within,
  match: Match,
): Found {
  const { n, type, id } = one.inner;
  const place = at(factsWithin(setting, one), match, numberOf(one));
  const found = { ...match, content: null, type: container, within: true, ...place };
  return shown === 'contained' ? { ...found, inner: { n, type, id } } : found;
}

function firstOfEach(found: readonly Found[]): Found[] {
  const known = new Set<number>();
  return found.filter(({ rid }) => !known.has(rid) && known.add(rid));
}

/** Containers that are shown anyway, as they are of the type that is searched for and pass as well. */
async function passingThemselves(
  setting: ReadSetting,
  type: string,
  { beside, shown }: PartWithin,
  stride: readonly Candidate[],
): Promise<ReadonlySet<number>> {
  if (beside?.type !== type || shown === 'contained') return new Set();
  const rids = stride.map(({ rid }) => rid);
  const found = await setting.store.searcher.among(type, { kind: 'all', filters: beside.filters }, rids);
  const some = stride.filter(({ rid }) => found.has(rid));
  const passed = await judge(setting, type, beside.judged, some);
  return new Set(some.filter((_, i) => passed[i]).map(({ rid }) => rid));
}
