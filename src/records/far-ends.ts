/**
 * The other ends of joins, where the index tells only what may pass there (search/widen.ts): those that do are found
 * first, judged one by one, and the join goes to them by their ids.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Filter } from '../search/request.ts';
import { widened } from '../search/widen.ts';
import { cutPage } from '../store/read/page.ts';
import type { After } from '../store/search/search.ts';
import { type Budget, judge, newBudget, STRIDE, spend } from './judge.ts';
import type { ReadSetting } from './setting.ts';

/**
 * For one search, which may be of several types.
 *
 * @returns a function that gives a filter whose joins the index answers, of a type
 * @throws  Refusal too-costly where more may pass at their ends than are judged for one answer
 */
export function withFarEnds(setting: ReadSetting): (filter: Filter) => Promise<Filter> {
  const budget = newBudget();
  return (filter) => resolved(setting, filter, budget);
}

async function resolved(setting: ReadSetting, filter: Filter, budget: Budget): Promise<Filter> {
  switch (filter.kind) {
    case 'chain': {
      const targets = [];
      for (const { type, filter: end } of filter.targets)
        targets.push({ type, filter: await endOf(setting, type, end, budget) });
      return { ...filter, targets };
    }
    case 'has':
      return { ...filter, filter: await endOf(setting, filter.type, filter.filter, budget) };
    case 'not':
      return { ...filter, filter: await resolved(setting, filter.filter, budget) };
    case 'all':
    case 'any': {
      const filters = [];
      for (const one of filter.filters) filters.push(await resolved(setting, one, budget));
      return { ...filter, filters };
    }
    default:
      return filter;
  }
}

/** What must hold at an end: the ids of those for which it does, unless the index can tell. */
async function endOf(setting: ReadSetting, type: string, given: Filter, budget: Budget): Promise<Filter> {
  const end = await resolved(setting, given, budget);
  const { store, definitions } = setting;
  const { filters, judged } = widened(definitions, type, [end]);
  if (judged.length === 0) return end;
  const sort = { by: '_lastUpdated', descending: true } as const;
  const ids: string[] = [];
  for (let after: After | undefined; ; ) {
    const found = await store.searcher.find({ type, filters, sort, count: STRIDE }, after);
    const stride = await cutPage(store.pool, found, STRIDE);
    spend(budget, stride.length);
    const passed = await judge(setting, type, judged, stride);
    ids.push(...stride.filter((_, i) => passed[i]).map(({ id }) => id));
    after = stride[stride.length - 1];
    if (found.length <= stride.length || !after) return { kind: 'id', ids };
    await turn();
  }
}
