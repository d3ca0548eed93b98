/**
 * Resources that are made when they are asked for, of what the server has noted anyway: found by all parameters of their
 * type, newest first, beside those that clients have posted. They are never changed or deleted.
 */
import type { Resource } from 'fhir/r4.js';
import { demand } from '../access/access.ts';
import { invalid } from '../fhir/outcome.ts';
import { conjuncts, innerOf, withInner } from '../search/inner.ts';
import { matches } from '../search/match.ts';
import type { Filter, ReferenceValue, SearchRequest } from '../search/request.ts';
import { widened } from '../search/widen.ts';
import type { Analysis } from '../store/index/row.ts';
import { instantOf } from '../store/pool.ts';
import { cutPage } from '../store/read/page.ts';
import { boundsOf } from '../store/search/dates.ts';
import { checkEpoch } from './callers.ts';
import type { Ends } from './contained.ts';
import { factsIn } from './facts.ts';
import { makeFarEnds } from './far-ends.ts';
import { compareTimes, takeIndexed } from './found.ts';
import { newBudget, passingAt } from './judge.ts';
import { notFound } from './not-found.ts';
import { demandOwnPatient, permitted } from './permitted.ts';
import type { Place as RecordPlace } from './position.ts';
import type { Caller, SearchPage, Stored } from './records.ts';
import type { ReadSetting } from './setting.ts';
import { withCodes } from './terminology.ts';

/** What makes them of one type. */
export interface Maker {
  readonly type: string;
  /** as far as the caller may see it */
  one(caller: Caller, id: string): Promise<Stored | undefined>;
  /** Those that pass and that the caller may see, newest first, after a place. */
  all(caller: Caller, filters: readonly Filter[], from: MadePlace | undefined): AsyncGenerator<Made>;
}

/** Where a page ended, in the words of the maker. */
export type MadePlace = readonly (string | number)[];

export interface Made {
  /** PostgreSQL's text of the time stamp */
  readonly at: string;
  readonly stored: Stored;
  readonly place: MadePlace;
}

/** One that was made at a time (FHIR instant) and never changes. */
export function storedAs(resource: Resource, updated: string): Stored {
  const { id = '', ...content } = resource;
  return {
    type: resource.resourceType,
    id,
    version: 1,
    updated,
    deleted: false,
    content: JSON.stringify(content),
    blob: null,
  };
}

/** Whether one passes: nothing lists it, or refers to it. */
export function passesMade(
  setting: ReadSetting,
  filters: readonly Filter[],
  analysis: Pick<Analysis, 'resource' | 'extracted'>,
  updated: string,
): boolean {
  const { resourceType: type, id = '' } = analysis.resource;
  return matches(
    filters,
    factsIn(setting, { type, id, updated }, analysis, () => false),
  );
}

/** @throws Refusal 404 */
export async function readMade(
  setting: ReadSetting,
  { type, one }: Maker,
  caller: Caller,
  id: string,
): Promise<Stored> {
  demand(caller.access, type, 'r');
  const stored = await one(caller, id);
  checkEpoch(caller, await setting.callers.epoch());
  if (!stored) throw notFound(type, id);
  return stored;
}

/** Searches those that are made and those that were posted, newest first. */
export async function searchMade(
  setting: ReadSetting,
  { type, all }: Maker,
  caller: Caller,
  request: SearchRequest,
): Promise<SearchPage> {
  const { access } = caller;
  demand(access, type, 's');
  demandPlain(type, request);
  demandOwnPatient(access, request.filters);
  const { definitions } = setting;
  const allowed = request.filters.map((filter) => permitted({ definitions, access }, filter));
  const filters = [...(await withCodes(setting, caller)(type, allowed)), ...access.within(type, 's')];
  const farEnds = makeFarEnds(setting);
  const plain: Filter[] = [];
  for (const filter of filters) plain.push(await withoutChains(setting, farEnds.ends, filter));
  const { count, total: counting } = request;
  const { made, posted } = readPlaces(request.after);
  // Told on the first page.
  const isCounted = request.after === undefined && (count === 0 || counting !== 'none');
  const own: Found[] = [];
  let total = 0;
  for await (const found of all(caller, plain, made)) {
    total++;
    if (own.length <= count) own.push(found);
    if (own.length > count && !isCounted) break;
  }
  const part = {
    type,
    ...widened(definitions, type, await farEnds.resolved(type, filters)),
    sort: NEWEST,
  };
  const taken = await takeIndexed(setting, [part], {
    most: count === 0 ? 0 : count + 1,
    place: posted,
    back: false,
    total: isCounted ? 'accurate' : 'none',
  });
  checkEpoch(caller, await setting.callers.epoch());
  const page = await cutPage(setting.store.pool, taken.rows, count + 1);
  const others = page.map(
    (row): Found => ({
      at: row.at,
      stored: { ...row, updated: instantOf(row.updated), deleted: false },
      theirs: row.place,
    }),
  );
  const merged = [...own, ...others]
    .sort((one, other) => -compareTimes(one.at, other.at, true))
    .slice(0, count);
  const more = own.length + others.length > merged.length;
  const lastOwn = merged.findLast((one) => one.place)?.place ?? made;
  const lastOther = merged.findLast((one) => one.theirs)?.theirs ?? posted;
  return {
    entries: merged.map(({ stored }) => stored),
    included: [],
    cut: false,
    total: isCounted ? total + (taken.total ?? 0) : undefined,
    next: more && count > 0 ? writePlaces(lastOwn, lastOther) : undefined,
  };
}

interface Found {
  readonly at: string;
  readonly stored: Stored;
  /** of one that is made */
  readonly place?: MadePlace;
  /** of a posted one */
  readonly theirs?: RecordPlace;
}

const NEWEST = [{ by: 'date', descending: true }] as const;

/** @throws Refusal 400 for what cannot be asked of them: nothing is left out unsaid */
function demandPlain(type: string, { sort, includes }: SearchRequest): void {
  const refuse = (what: string): never => {
    throw invalid('not-supported', `${type}s that this server makes of its trail ${what}`);
  };
  if (includes.length > 0) refuse('bring nothing along: leave _include and _revinclude out');
  const [key, ...others] = sort;
  const isByDate =
    key === undefined ||
    (key.descending && (key.by === 'date' || key.by === '_lastUpdated' || isOfDate(key)));
  if (!isByDate || others.length > 0) refuse('come newest first: _sort takes -date only');
}

const isOfDate = (key: SearchRequest['sort'][number]): boolean =>
  key.by === 'parameter' && (key.parameter.code === 'date' || key.parameter.code === 'recorded');

/** A filter with the references that its chains lead to in their place, as each entry is judged by itself. */
export async function withoutChains(setting: ReadSetting, ends: Ends, filter: Filter): Promise<Filter> {
  if (filter.kind === 'chain') {
    const budget = newBudget();
    const values: ReferenceValue[] = [];
    for (const { type, filter: end } of filter.targets)
      for await (const stride of passingAt(setting, type, await ends.at(type, end), budget))
        for (const { id } of stride) values.push({ kind: 'local', type, id });
    return { kind: 'reference', parameter: filter.parameter, values };
  }
  const inner = new Map<Filter, Filter>();
  for (const one of innerOf(filter)) inner.set(one, await withoutChains(setting, ends, one));
  return withInner(filter, (one) => inner.get(one) ?? one);
}

/** Numbers of the patients whom a search is about, where it says so. */
export async function patientsIn(
  { store }: ReadSetting,
  filters: readonly Filter[],
): Promise<readonly number[] | undefined> {
  const each = filters.flatMap(conjuncts);
  if (each.some((filter) => filter.kind === 'any' && filter.filters.length === 0)) return [];
  for (const filter of each) {
    if (filter.kind === 'patients') return [...filter.patients.values()];
    const ids =
      filter.kind === 'compartment'
        ? [filter.id]
        : filter.kind === 'reference' && filter.parameter.code === 'patient'
          ? filter.values.flatMap((value) => (value.kind === 'local' ? value.id : []))
          : undefined;
    if (!ids) continue;
    const rids = await store.numbers.find(ids.map((id) => ({ type: 'Patient', id })));
    return rids.filter((rid) => rid !== undefined);
  }
  return undefined;
}

/** Milliseconds between which a search looks, where it says so by a parameter of dates. */
export function boundsIn(
  filters: readonly Filter[],
  code: string,
): { readonly low: number; readonly high: number } {
  return filters.reduce(
    ({ low, high }, filter) => {
      if (filter.kind !== 'date' || filter.parameter.code !== code) return { low, high };
      const { from: least, to: most } = boundsOf(filter.values);
      return { low: Math.max(low, least), high: Math.min(high, most) };
    },
    { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY },
  );
}

/** Minutes. */
const STRETCHES = [1, 60, 1440, 43_200, Number.POSITIVE_INFINITY];

/**
 * What is noted is in no order but that in which it came: it is looked through from now on backwards, in growing stretches.
 * In milliseconds.
 */
export function* stretches({ low, high }: { readonly low: number; readonly high: number }) {
  const now = Date.now() + 60_000;
  let to = high;
  for (const minutes of STRETCHES) {
    const from = Math.max(now - minutes * 60_000, low);
    if (from >= to) continue;
    yield { from, to };
    to = from;
  }
}

/** Sealed in a link, so that nobody else makes them. */
const writePlaces = (made: MadePlace | undefined, posted: RecordPlace | undefined): string =>
  JSON.stringify({ made, posted });

const readPlaces = (
  after: string | undefined,
): { readonly made?: MadePlace; readonly posted?: RecordPlace } =>
  after === undefined ? {} : JSON.parse(after);
