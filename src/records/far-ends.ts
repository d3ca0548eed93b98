/**
 * The other ends of joins, where the index tells only what may pass there (search/widen.ts): those that do are found
 * first, judged one by one, and the join goes to them by their ids. Where chains lead to contained resources, those that
 * contain them are found the same way.
 */
import { leadsByUrl } from '../fhir/reference-paths.ts';
import { innerOf } from '../search/inner.ts';
import type { Filter } from '../search/request.ts';
import { widened } from '../search/widen.ts';
import { chainByUrl, hasByUrl } from './canonicals.ts';
import { type Ends, leadingWithin } from './contained.ts';
import { type Budget, newBudget, passingAt } from './judge.ts';
import type { ReadSetting } from './setting.ts';

/** One search's, which may be of several types. */
export interface FarEnds {
  /** Filters of a type, with joins that the index answers. */
  resolved(type: string, filters: readonly Filter[]): Promise<readonly Filter[]>;
  readonly ends: Ends;
}

/** @returns functions that throw Refusal too-costly where more may pass at the ends than are judged for one answer */
export function makeFarEnds(setting: ReadSetting): FarEnds {
  const budget = newBudget();
  const ends = endsOf(setting, budget);
  return {
    ends,
    resolved: (type, filters) => {
      const beside = filters.filter((filter) => !hasJoins(filter));
      return Promise.all(filters.map((filter) => resolved({ setting, type, beside, budget, ends }, filter)));
    },
  };
}

function endsOf(setting: ReadSetting, budget: Budget): Ends {
  const ends: Ends = {
    at: (type, filter) => endOf({ setting, type, beside: [], budget, ends }, filter),
    async byUrl({ parameter, targets, kind }) {
      const each = [];
      for (const { type, filter } of targets)
        each.push({ type, filter: await resolved({ setting, type, beside: [], budget, ends }, filter) });
      return chainByUrl(setting, { kind, parameter, targets: each }, budget);
    },
  };
  return ends;
}

/** Where a filter stands. */
interface Site {
  readonly setting: ReadSetting;
  readonly type: string;
  /** what else must hold, without joins */
  readonly beside: readonly Filter[];
  readonly budget: Budget;
  readonly ends: Ends;
}

async function resolved(site: Site, filter: Filter): Promise<Filter> {
  // The same filter where nothing is to be resolved: what is known of it is kept by it (store/search/patient-sets.ts).
  if (!hasJoins(filter)) return filter;
  const { setting, type, budget, ends } = site;
  const { definitions } = setting;
  switch (filter.kind) {
    case 'chain': {
      const chain = leadsByUrl(definitions, type, filter.parameter)
        ? await ends.byUrl(filter)
        : await withEnds(filter, ends);
      const within = await leadingWithin(setting, type, filter, beside(site), budget, ends);
      return within.length === 0 ? chain : { kind: 'any', filters: [chain, { kind: 'id', ids: within }] };
    }
    case 'has': {
      if (!leadsByUrl(definitions, filter.type, filter.parameter))
        return { ...filter, filter: await ends.at(filter.type, filter.filter) };
      const at = { ...site, type: filter.type, beside: [] };
      return hasByUrl(setting, type, { ...filter, filter: await resolved(at, filter.filter) }, budget);
    }
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

async function withEnds(
  chain: Extract<Filter, { readonly kind: 'chain' }>,
  ends: Ends,
): Promise<typeof chain> {
  const targets = [];
  for (const { type, filter } of chain.targets) targets.push({ type, filter: await ends.at(type, filter) });
  return { ...chain, targets };
}

const beside = ({ setting, type, beside: filters }: Site): readonly Filter[] =>
  widened(setting.definitions, type, filters).filters;

function hasJoins(filter: Filter): boolean {
  return filter.kind === 'chain' || filter.kind === 'has' || innerOf(filter).some(hasJoins);
}

/** What must hold at an end: the ids of those for which it does, unless the index can tell. */
async function endOf(site: Site, given: Filter): Promise<Filter> {
  const { setting, type, budget } = site;
  const end = await resolved(site, given);
  if (widened(setting.definitions, type, [end]).judged.length === 0) return end;
  const ids: string[] = [];
  for await (const passed of passingAt(setting, type, end, budget)) ids.push(...passed.map(({ id }) => id));
  return { kind: 'id', ids };
}
