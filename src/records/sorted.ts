/**
 * Searches in an order that no index has (R4 search.html#sort): all matches are read, up to a bound, and sorted by
 * their own values.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Resource } from 'fhir/r4.js';
import { clinicalDate } from '../fhir/clinical-date.ts';
import type { Extracted, SearchValue } from '../fhir/extract.ts';
import { fold } from '../fhir/fold.ts';
import { invalid, type Refusal } from '../fhir/outcome.ts';
import { matches } from '../search/match.ts';
import type { Filter, SearchRequest, SortKey } from '../search/request.ts';
import { instantOf } from '../store/pool.ts';
import { cutPage } from '../store/read/page.ts';
import type { After, Match, Sought } from '../store/search/search.ts';
import type { ReadSetting } from './setting.ts';

export type Found = Match & { readonly content: string };

/** What a resource is sorted by: a value for each key, null where it has none, and its number. */
export interface Place {
  readonly values: readonly (string | number | null)[];
  readonly rid: number;
}

/** So many matches are sorted. */
const MOST_SORTED = 10_000;
/** So many are read at a time. */
const STRIDE = 500;

/** A page, in the order that is asked for. */
export async function sortedPage(
  { store, definitions, baseUrl }: ReadSetting,
  { sort, count }: SearchRequest,
  sought: Pick<Sought, 'type' | 'filters'>,
  judged: readonly Filter[],
  from: Place | undefined,
): Promise<{ readonly page: readonly Found[]; readonly total: number; readonly next?: Place }> {
  const { type } = sought;
  const { isResourceType } = definitions;
  const clinical = clinicalDate(definitions, type)?.code;
  const places: Place[] = [];
  const kept = new Map<number, Found>();
  let looked = 0;
  const order = { by: '_lastUpdated', descending: true } as const;
  let total = 0;
  for (let after: After | undefined; ; ) {
    const found = await store.searcher.find({ ...sought, sort: order, count: STRIDE }, after);
    const stride = await cutPage(store.pool, found, STRIDE);
    for (const match of stride) {
      if (++looked > MOST_SORTED) throw tooMany();
      const analysis = store.indexer.analyse(JSON.parse(match.content) as Resource, baseUrl);
      const { resource, extracted: values } = analysis;
      const updated = Date.parse(instantOf(match.updated));
      const facts = { type, id: match.id, updated, values, resource, baseUrl, isResourceType };
      if (judged.length > 0 && !matches(judged, facts)) continue;
      total++;
      const place = { values: sort.map((key) => sortValue(key, match, values, clinical)), rid: match.rid };
      if (from && compare(sort, place, from) <= 0) continue;
      places.push(place);
      kept.set(place.rid, match);
    }
    // Only the first of them are shown: the contents of others are let go.
    places.sort((a, b) => compare(sort, a, b));
    for (const { rid } of places.splice(count + 1)) kept.delete(rid);
    const end = stride[stride.length - 1];
    if (found.length <= stride.length || !end) break;
    after = end;
    await turn();
  }
  const shown = places.slice(0, count);
  return {
    page: shown.map(({ rid }) => kept.get(rid) as Found),
    total,
    next: places.length > count ? shown[shown.length - 1] : undefined,
  };
}

/** The least value where it ascends, the greatest where it descends. */
function sortValue(
  key: SortKey,
  match: Found,
  values: readonly Extracted[],
  clinical: string | undefined,
): string | number | null {
  if (key.by === '_lastUpdated') return Date.parse(instantOf(match.updated));
  if (key.by === '_id') return match.id;
  const code = 'parameter' in key ? key.parameter.code : clinical;
  let best: string | number | null = null;
  for (const { parameter, value } of values) {
    if (parameter.code !== code) continue;
    const own = scalarOf(value, key.descending);
    if (own === null) continue;
    if (best === null || (key.descending ? own > best : own < best)) best = own;
  }
  return best;
}

function scalarOf(value: SearchValue, descending: boolean): string | number | null {
  switch (value.kind) {
    case 'string':
      return fold(value.text);
    case 'token':
      return value.code ?? value.text ?? null;
    case 'date':
    case 'number':
    case 'quantity':
      return descending ? value.high : value.low;
    case 'uri':
      return value.uri;
    case 'reference':
      return value.reference ?? null;
    default:
      return null;
  }
}

/** Absent values come last, whichever way it goes; equal places by number. */
function compare(sort: readonly SortKey[], a: Place, b: Place): number {
  for (const [i, { descending }] of sort.entries()) {
    const [one = null, other = null] = [a.values[i], b.values[i]];
    if (one === other) continue;
    if (one === null) return 1;
    if (other === null) return -1;
    return one < other === descending ? 1 : -1;
  }
  return a.rid - b.rid;
}

function tooMany(): Refusal {
  return invalid(
    'too-costly',
    `This order takes all matches to be read, and there are more than ${MOST_SORTED}: narrow the search, or sort by the clinical date or _lastUpdated`,
  );
}
