/** The matches of a search in an order that indexes have, those of several types merged. */
import { clinicalDate } from '../fhir/clinical-date.ts';
import type { SearchParameter } from '../fhir/definitions.ts';
import type { Facts } from '../search/match.ts';
import type { SortKey } from '../search/request.ts';
import { timestampText } from '../store/read/history.ts';
import { type After, isAsIndexed, type Match, type Sought, UNDATED } from '../store/search/search.ts';
import { type Budget, judge, newBudget, spend, strides } from './judge.ts';
import type { At, Found, Order, Part, Taken, Wanted } from './part.ts';
import type { ReadSetting } from './setting.ts';
import { takeWithin } from './within.ts';

/** Whether an index has the order. */
export function isIndexed([key, ...more]: readonly SortKey[]): boolean {
  return key === undefined || (more.length === 0 && (key.by === 'date' || key.by === '_lastUpdated'));
}

/** So many types are searched side by side. */
const ABREAST = 4;

/** Takes matches in an order that an index has. */
export async function takeIndexed(
  setting: ReadSetting,
  parts: readonly Part[],
  wanted: Wanted,
): Promise<Taken> {
  const [key] = parts[0]?.sort ?? [];
  const by = key?.by === '_lastUpdated' ? key.by : 'date';
  const order = {
    by,
    descending: (key?.descending ?? true) !== wanted.back,
    undated: wanted.back ? 'first' : 'last',
  } as const;
  const budget = newBudget();
  const direction = order.descending ? -1 : 1;
  const compare = (one: At, other: At): number =>
    direction *
    (compareTimes(one.at, other.at, isAsIndexed(order)) ||
      (one.place[1] as number) - (other.place[1] as number));
  const inOrder = ({ type }: Part): Order => {
    const clinical = clinicalDate(setting.definitions, type);
    return {
      compare,
      at: (facts, { updated }, number) => {
        const at = by === 'date' ? dateOf(facts, clinical) : updated;
        return { at, place: [at, number] };
      },
    };
  };
  const take = (part: Part): Promise<Taken> =>
    part.within
      ? takeWithin(setting, part, part.within, inOrder(part), wanted, budget)
      : takeOf(setting, part, order, wanted, budget);
  const [only, ...others] = parts;
  if (only && others.length === 0) return take(only);
  let rows: Found[] = [];
  let total = 0;
  for (let i = 0; i < parts.length; i += ABREAST) {
    const taken = await Promise.all(parts.slice(i, i + ABREAST).map(take));
    total += taken.reduce((sum, each) => sum + (each.total ?? 0), 0);
    rows = [...rows, ...taken.flatMap((each) => each.rows)].sort(compare).slice(0, wanted.most);
  }
  return { rows, total: wanted.total === 'none' ? undefined : total };
}

/** PostgreSQL's texts of time stamps, from -infinity, or with it at the end, over 1 BC to the year 10000. */
export function compareTimes(one: string, other: string, isFirst: boolean): number {
  const era = (text: string): number => {
    if (text === UNDATED) return isFirst ? 0 : 4;
    return text.endsWith('BC') ? 1 : text.indexOf('-') === 4 ? 2 : 3;
  };
  const difference = era(one) - era(other);
  return difference !== 0 || one === other ? difference : one < other ? -1 : 1;
}

/** The clinical date of a contained resource, as PostgreSQL writes it. */
function dateOf({ values }: Facts, clinical: SearchParameter | undefined): string {
  for (const { parameter, value } of values)
    if (parameter === clinical && value.kind === 'date') {
      const text = timestampText(value.low);
      return text === UNDATED ? text : `${text.replace('T', ' ').replace(/\.?0*Z/, '+00')}`;
    }
  return UNDATED;
}

async function takeOf(
  setting: ReadSetting,
  part: Part,
  sort: Sought['sort'],
  { most, place, total }: Wanted,
  budget: Budget,
): Promise<Taken> {
  const { searcher } = setting.store;
  const { type, filters, judged } = part;
  // Numbers of contained resources lie between those of others (within.ts).
  const round = sort.descending ? Math.ceil : Math.floor;
  const after = place && { at: place[0] as string, rid: round(place[1] as number) };
  const counting = total === 'accurate' || (total === 'estimate' && judged.length === 0);
  if (judged.length > 0) {
    const taken = await judgedRows(setting, part, sort, after, most, counting, budget);
    // Candidates are more than what passes: good for an estimate.
    return total === 'estimate' ? { ...taken, total: await searcher.count({ type, filters }) } : taken;
  }
  const [rows, counted] = await Promise.all([
    most === 0 ? [] : searcher.find({ type, filters, sort, count: most - 1 }, after),
    counting ? searcher.count({ type, filters }) : undefined,
  ]);
  return { rows: rows.map((row) => foundOf(type, row)), total: counted };
}

const foundOf = (type: string, match: Match): Found => ({ ...match, type, place: [match.at, match.rid] });

/**
 * Matches of which the index answers a part only: candidates are judged on their values until there are enough, or, where
 * they are counted, which is from the beginning only, all of them.
 */
async function judgedRows(
  setting: ReadSetting,
  { type, filters, judged }: Part,
  sort: Sought['sort'],
  from: After | undefined,
  most: number,
  counting: boolean,
  budget: Budget,
): Promise<Taken> {
  const rows: Found[] = [];
  let total = 0;
  for await (const { found, read } of strides(setting, { type, filters, sort }, from)) {
    spend(budget, read.length);
    const passed = await judge(setting, type, judged, read);
    for (const i of read.keys()) {
      if (!passed[i]) continue;
      total++;
      // Without large contents, which are read again for those that are shown.
      if (rows.length < most) rows.push(foundOf(type, found[i] as Match));
      if (rows.length === most && !counting) return { rows };
    }
  }
  return { rows, total: counting ? total : undefined };
}
