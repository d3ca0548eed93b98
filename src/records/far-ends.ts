/**
 * The other ends of joins, where the index tells only what may pass there (search/widen.ts): those that do are found
 * first, judged one by one, and the join goes to them by their ids. Where chains lead to contained resources, those that
 * contain them are found the same way.
 */
import type { Filter } from '../search/request.ts';
import { widened } from '../search/widen.ts';
import { type Ends, leadingWithin } from './contained.ts';
import { type Budget, candidates, judge, newBudget } from './judge.ts';
import type { ReadSetting } from './setting.ts';

/** One search's, which may be of several types. */
export interface FarEnds {
  /** Filters of a type, with joins that the index answers. */
  resolved(type: string, filters: readonly Filter[]): Promise<readonly Filter[]>;
  /** What must hold at an end: the ids of those for which it does, unless the index can tell. */
  readonly ends: Ends;
}

/** @returns functions that throw Refusal too-costly where more may pass at the ends than are judged for one answer */
export function makeFarEnds(setting: ReadSetting): FarEnds {
  const budget = newBudget();
  const ends: Ends = (type, filter) => endOf(setting, type, filter, budget);
  return {
    ends,
    resolved: (type, filters) => {
      const beside = filters.filter((filter) => !hasJoins(filter));
      return Promise.all(filters.map((filter) => resolved({ setting, type, beside, budget }, filter)));
    },
  };
}

/** Where a filter stands. */
interface Site {
  readonly setting: ReadSetting;
  readonly type: string;
  /** what else must hold, without joins */
  readonly beside: readonly Filter[];
  readonly budget: Budget;
}

async function resolved(site: Site, filter: Filter): Promise<Filter> {
  const { setting, budget } = site;
  const ends: Ends = (type, end) => endOf(setting, type, end, budget);
  switch (filter.kind) {
    case 'chain': {
      const targets = [];
      for (const { type, filter: end } of filter.targets)
        targets.push({ type, filter: await ends(type, end) });
      const chain = { ...filter, targets };
      const within = await leadingWithin(setting, site.type, filter, beside(site), budget, ends);
      return within.length === 0 ? chain : { kind: 'any', filters: [chain, { kind: 'id', ids: within }] };
    }
    case 'has':
      return { ...filter, filter: await ends(filter.type, filter.filter) };
    case 'not':
      return { ...filter, filter: await resolved({ ...site, beside: [] }, filter.filter) };
    case 'all':
    case 'any': {
      const filters = [];
      for (const one of filter.filters) filters.push(await resolved(site, one));
      return { ...filter, filters };
    }
    default:
      return filter;
  }
}

const beside = ({ setting, type, beside: filters }: Site): readonly Filter[] =>
  widened(setting.definitions, type, filters).filters;

function hasJoins(filter: Filter): boolean {
  if (filter.kind === 'all' || filter.kind === 'any') return filter.filters.some(hasJoins);
  if (filter.kind === 'not') return hasJoins(filter.filter);
  return filter.kind === 'chain' || filter.kind === 'has';
}

async function endOf(setting: ReadSetting, type: string, given: Filter, budget: Budget): Promise<Filter> {
  const end = await resolved({ setting, type, beside: [], budget }, given);
  const { filters, judged } = widened(setting.definitions, type, [end]);
  if (judged.length === 0) return end;
  const ids: string[] = [];
  for await (const stride of candidates(setting, type, filters, budget)) {
    const passed = await judge(setting, type, judged, stride);
    ids.push(...stride.filter((_, i) => passed[i]).map(({ id }) => id));
  }
  return { kind: 'id', ids };
}
