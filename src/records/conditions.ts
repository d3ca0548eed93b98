/**
 * What meets a condition. The index finds candidates; what decides is their own values, as two that differ may have
 * one key.
 */
import type { Resource } from 'fhir/r4.js';
import { demand } from '../access/access.ts';
import { error, Refusal, refusal } from '../fhir/outcome.ts';
import type { Condition } from '../search/condition.ts';
import { type Facts, matches } from '../search/match.ts';
import { postedInFilters } from '../search/posted.ts';
import type { Filter } from '../search/request.ts';
import { widened } from '../search/widen.ts';
import type { Key } from '../store/hash.ts';
import { codeKey, tokenKey, uriKey } from '../store/index/keys.ts';
import { type Hold, holdOf } from '../store/locks.ts';
import { type Executor, instantOf, PLAN_EACH, PLAN_ONCE } from '../store/pool.ts';
import { type Candidate, MOST_CANDIDATES, readCandidates, TooMuch } from '../store/read/candidates.ts';
import { cutPage } from '../store/read/page.ts';
import { NEWEST_FIRST } from '../store/search/search.ts';
import type { Reading } from '../store/store.ts';
import { demandAnswering } from './answering.ts';
import { asShown } from './permitted.ts';
import type { Caller } from './records.ts';
import type { Setting } from './setting.ts';

/** A resource that meets a condition. */
export type Matched = Candidate;

/** By `conditionKey`. */
export type Resolution = ReadonlyMap<string, readonly Matched[]>;

/** @throws Refusal 403 unless the caller may search what the conditions are about */
export function demandConditions({ access }: Caller, conditions: Iterable<Condition>): void {
  for (const { type } of conditions) demand(access, type, 's');
}

/** So many conditions that name no identifier are searched for, one by one. */
const MOST_SEARCHED = 500;

/** The locks that keep others from bringing in a match. */
export function holdsOf({ store }: Setting, conditions: readonly Condition[]): readonly Hold[] {
  return conditions.map(({ type, filters }) =>
    holdOf(store.keys, type, store.catalog.typeNumber(type), filters),
  );
}

/**
 * Finds what meets each condition among what the caller may find, at most MOST_CANDIDATES of each.
 *
 * @param inside the transaction that looks; without it each look sees a moment of its own
 */
export async function resolve(
  setting: Setting,
  { access }: Caller,
  asked: readonly Condition[],
  inside?: Executor,
): Promise<Resolution> {
  const conditions = asked.map((condition) => {
    const limits = access.within(condition.type, 's');
    if (limits.length === 0) return condition;
    const shown = condition.filters.map((filter) => asShown(access, filter));
    return { ...condition, filters: [...shown, ...limits] };
  });
  const { store } = setting;
  demandAnswering(
    setting.definitions,
    conditions.flatMap(({ filters }) => postedInFilters(filters)),
  );
  const byKey = new Map(conditions.map((condition) => [condition.key, condition]));
  const probed = [...byKey.values()].map((condition) => ({ condition, keys: keysOf(setting, condition) }));
  const wanted = probed.flatMap(({ condition, keys = [] }) =>
    keys.map((key) => ({ key, type: store.catalog.typeNumber(condition.type) })),
  );
  const found = await readCandidates(inside ?? store.pool, wanted).catch((fault) => {
    throw fault instanceof TooMuch ? tooMuch() : fault;
  });
  const resolution = new Map<string, readonly Matched[]>();
  const searched: Condition[] = [];
  const valuesOf = makeValuesOf(setting);
  let at = 0;
  for (const { condition, keys } of probed) {
    const lists = found.slice(at, at + (keys?.length ?? 0));
    at += keys?.length ?? 0;
    // Values that very many share are looked for as any others.
    if (!keys || lists.some((list) => list.length > MOST_CANDIDATES)) searched.push(condition);
    else resolution.set(condition.key, judged(setting, condition, lists.flat(), valuesOf));
  }
  if (searched.length > MOST_SEARCHED) throw tooMuch();
  if (searched.length > 0) {
    if (inside) await inside.query(PLAN_EACH);
    const reading: Reading = inside ? store.inside(inside, new Map()) : store;
    for (const condition of searched) {
      const candidates = await search(setting, reading, condition);
      resolution.set(condition.key, judged(setting, condition, candidates, valuesOf));
    }
    if (inside) await inside.query(PLAN_ONCE);
  }
  return resolution;
}

async function search(
  { definitions }: Setting,
  { searcher, pool }: Reading,
  { type, filters }: Condition,
): Promise<Candidate[]> {
  const wide = widened(definitions, type, filters);
  const found = await searcher.find({
    type,
    filters: wide.filters,
    sort: NEWEST_FIRST,
    count: MOST_CANDIDATES,
  });
  // Of candidates that are judged further each must be looked at: the one that meets it may be the last.
  if (wide.judged.length > 0 && found.length > MOST_CANDIDATES) throw tooMuch();
  return cutPage(pool, found, MOST_CANDIDATES);
}

/** The keys, one of which everything has that meets a condition on what identifies resources. */
function keysOf({ store: { keys } }: Setting, { type, filters }: Condition): Key[] | undefined {
  for (const filter of filters) {
    const found = keysOfFilter(filter, (parameter) => keys.parameter(type, parameter));
    if (found) return found;
  }
  return undefined;
}

function keysOfFilter(
  filter: Filter,
  keyOf: (parameter: Extract<Filter, { kind: 'token' }>['parameter']) => Key,
): Key[] | undefined {
  if (filter.kind === 'uri' && filter.parameter.code === 'url')
    return filter.values.map((uri) => uriKey(keyOf(filter.parameter), uri));
  if (filter.kind !== 'token' || filter.parameter.code !== 'identifier') return undefined;
  const key = keyOf(filter.parameter);
  const found: Key[] = [];
  for (const { system, code } of filter.values) {
    if (code === undefined) return undefined;
    // A token without a system has no key of its code alone.
    found.push(tokenKey(key, system ?? '', code));
    if (system === undefined) found.push(codeKey(key, code));
  }
  return found;
}

type ValuesOf = (candidate: Candidate) => Facts['values'];

/** Many conditions may be judged on one resource, which is read once. */
function makeValuesOf({ store, baseUrl }: Setting): ValuesOf {
  const known = new Map<number, Facts['values']>();
  return ({ rid, content }) => {
    let values = known.get(rid);
    if (!values) {
      values = store.indexer.analyse(JSON.parse(content) as Resource, baseUrl).extracted;
      known.set(rid, values);
    }
    return values;
  };
}

function judged(
  setting: Setting,
  { type, filters }: Condition,
  candidates: readonly Candidate[],
  valuesOf: ValuesOf,
): readonly Matched[] {
  const seen = new Set<number>();
  return candidates.filter((candidate) => {
    const { rid, id, updated } = candidate;
    if (seen.has(rid)) return false;
    seen.add(rid);
    const values = valuesOf(candidate);
    return meetsValues(setting, filters, { type, id, values, updated: Date.parse(instantOf(updated)) });
  });
}

/** Whether a resource with these search values meets a condition's filters; one without `updated` is just written. */
export function meetsValues(
  { baseUrl, definitions }: Setting,
  filters: readonly Filter[],
  {
    updated = Date.now(),
    ...values
  }: Pick<Facts, 'type' | 'id' | 'values'> & Partial<Pick<Facts, 'updated'>>,
): boolean {
  return matches(filters, { ...values, updated, baseUrl, isResourceType: definitions.isResourceType });
}

/** 412 where a condition has to be met by one resource, and is met by several (R4 http.html#cond-update). */
export function severalMatch({ text }: Condition, count: number): Refusal {
  const many = count >= MOST_CANDIDATES ? `${MOST_CANDIDATES} or more` : count;
  return new Refusal(412, [
    error(
      'multiple-matches',
      `${many} resources match ${text}: make the condition more exact, so that it means one`,
    ),
  ]);
}

function tooMuch(): Refusal {
  return refusal(
    413,
    'too-costly',
    'The conditions are met by more than can be looked at together: make them more exact, or split the Bundle',
  );
}
