/** search of a type (R4 http.html#search). */

import { setImmediate as turn } from 'node:timers/promises';
import { demand } from '../access/access.ts';
import { readRange } from '../fhir/date.ts';
import { invalid, type Refusal } from '../fhir/outcome.ts';
import { matches } from '../search/match.ts';
import type { Filter, SearchRequest } from '../search/request.ts';
import { widened } from '../search/widen.ts';
import { instantOf } from '../store/pool.ts';
import { cutPage } from '../store/read/page.ts';
import type { After, Match, Sought } from '../store/search/search.ts';
import { checkEpoch } from './callers.ts';
import { permitted } from './permitted.ts';
import type { Caller, SearchPage, Stored } from './records.ts';
import type { ReadSetting } from './setting.ts';
import { type Place, sortedPage } from './sorted.ts';
import { withCodes } from './terminology.ts';

export async function search(
  setting: ReadSetting,
  caller: Caller,
  request: SearchRequest,
): Promise<SearchPage> {
  const { store, callers, definitions } = setting;
  const { types, count, total: wanted } = request;
  const [type] = types as readonly [string];
  demand(caller.access, type, 's');
  const own = request.filters.map((filter) => permitted(caller.access, filter));
  const asked = await withCodes(setting, caller, type, own);
  const { filters, judged } = widened(definitions, type, asked);
  const sought = { type, filters, sort: orderOf(request) };
  if (!isIndexed(request)) {
    checkEpoch(caller, await callers.epoch());
    const from = request.after === undefined ? undefined : readPlace(request.after, request.sort.length);
    const { page, total, next } = await sortedPage(setting, request, sought, judged, from);
    return {
      entries: page.map((match) => storedOf(type, match)),
      ...(await include(setting, caller, request, page)),
      total: wanted === 'none' ? undefined : total,
      next: next && Buffer.from(JSON.stringify([next.values, next.rid])).toString('base64url'),
    };
  }
  const after = request.after === undefined ? undefined : readPosition(request.after);
  if (judged.length > 0) {
    // Epochs are compared first: what is looked at is not shown before.
    checkEpoch(caller, await callers.epoch());
    const { matches: found, ...page } = await judgedPage(setting, request, sought, judged, after);
    return {
      ...page,
      entries: found.map((match) => storedOf(type, match)),
      ...(await include(setting, caller, request, found)),
    };
  }
  const [found, total] = await Promise.all([
    count === 0 ? [] : store.searcher.find({ ...sought, count }, after),
    wanted === 'none' ? undefined : store.searcher.count({ type, filters }),
  ]);
  // Read along with a page's matches; after a count, and where nothing matches, asked for.
  checkEpoch(caller, (wanted === 'none' ? found[0]?.epoch : undefined) ?? (await callers.epoch()));
  const page = await cutPage(store.pool, found, count);
  const last = page[page.length - 1];
  return {
    entries: page.map((match) => storedOf(type, match)),
    ...(await include(setting, caller, request, page)),
    total,
    next: found.length > page.length && last ? writePosition(last) : undefined,
  };
}

function storedOf(
  type: string,
  {
    id,
    version,
    updated,
    content,
    blob,
  }: Pick<Match, 'id' | 'version' | 'updated' | 'blob'> & {
    readonly content: string;
  },
): Stored {
  return { type, id, version, updated: instantOf(updated), deleted: false, content, blob };
}

/** What a page brings along. */
async function include(
  { store }: ReadSetting,
  { access }: Caller,
  { types, includes }: SearchRequest,
  page: readonly Match[],
): Promise<Pick<SearchPage, 'included' | 'cut'>> {
  if (includes.length === 0 || page.length === 0) return { included: [], cut: false };
  const type = types[0] as string;
  const from = page.map(({ rid, id }) => ({ rid, type, id }));
  const { included, more } = await store.includer.include(from, includes, (one) => access.allows(one, 'r'));
  return { included: included.map((one) => storedOf(one.type, one)), cut: more };
}

/** So many candidates are judged for one answer. */
const MOST_JUDGED = 20_000;
/** And so many are read at a time. */
const STRIDE = 500;

interface JudgedPage extends Pick<SearchPage, 'next' | 'total'> {
  readonly matches: readonly (Match & { readonly content: string })[];
}

/**
 * A page of a search of which the index answers a part only: candidates are judged on their values until the page is
 * full.
 */
async function judgedPage(
  { store, definitions, baseUrl }: ReadSetting,
  { count, total: wanted }: SearchRequest,
  sought: Omit<Sought, 'count'>,
  judged: readonly Filter[],
  from: After | undefined,
): Promise<JudgedPage> {
  const { type } = sought;
  const { isResourceType } = definitions;
  const entries: (Match & { readonly content: string })[] = [];
  let [total, looked] = [0, 0];
  let last: Match | undefined;
  let next: string | undefined;
  for (let after = from; ; ) {
    const found = await store.searcher.find({ ...sought, count: STRIDE }, after);
    const page = await cutPage(store.pool, found, STRIDE);
    for (const match of page) {
      if (++looked > MOST_JUDGED) throw tooMany();
      const { id } = match;
      const { resource, extracted } = store.indexer.analyse(JSON.parse(match.content), baseUrl);
      const updated = Date.parse(instantOf(match.updated));
      if (!matches(judged, { type, id, updated, values: extracted, resource, baseUrl, isResourceType }))
        continue;
      total++;
      if (entries.length < count) {
        entries.push(match);
        last = match;
      } else next ??= last && writePosition(last);
      if (next !== undefined && wanted === 'none') return { matches: entries, next };
    }
    const end = page[page.length - 1];
    // A count is of all matches, whichever page is shown.
    if (found.length <= page.length || !end)
      return { matches: entries, next, total: wanted === 'none' || from ? undefined : total };
    after = end;
    await turn();
  }
}

function tooMany(): Refusal {
  return invalid(
    'too-costly',
    `This search has more than ${MOST_JUDGED} candidates, which must be looked at one by one: add a parameter that narrows it, such as a patient or a code`,
  );
}

/** Whether an index has the order. */
function isIndexed({ sort }: SearchRequest): boolean {
  const [key, ...more] = sort;
  return key === undefined || (more.length === 0 && (key.by === 'date' || key.by === '_lastUpdated'));
}

/** @throws Refusal 400 where it is none of ours */
function readPlace(text: string, keys: number): Place {
  try {
    const [values, rid, ...more] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[];
    const right =
      Array.isArray(values) &&
      values.length === keys &&
      values.every((value) => value === null || typeof value === 'string' || typeof value === 'number');
    if (right && Number.isSafeInteger(rid) && more.length === 0) return { values, rid: rid as number };
  } catch {
    // falls through to the same refusal
  }
  throw invalid('value', 'This page link is damaged: begin again with the first page');
}

/** The one order that an index has. */
function orderOf({ sort: [key] }: SearchRequest): Sought['sort'] {
  if (key?.by === 'date' || key?.by === '_lastUpdated') return { by: key.by, descending: key.descending };
  return { by: 'date', descending: true };
}

function writePosition({ at, rid }: Match): string {
  return Buffer.from(JSON.stringify([at, rid])).toString('base64url');
}

/** @throws Refusal 400 where it is none of ours */
function readPosition(text: string): After {
  try {
    const [at, rid, ...more] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[];
    if (typeof at === 'string' && isTime(at) && Number.isSafeInteger(rid) && more.length === 0)
      return { at, rid: rid as number };
  } catch {
    // falls through to the same refusal
  }
  throw invalid('value', 'This page link is damaged: begin again with the first page');
}

/** Whether this is a time stamp as PostgreSQL shows those of resources. */
function isTime(text: string): boolean {
  // With their zones, dates reach a little beyond the years 1 to 9999; 1 BC and 10000 have the days of 2000.
  const time = text.replace(/^0001(.*) BC$|^10000(?=-)/, '2000$1');
  if (!/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,3})?\+00$/.test(time)) return text === '-infinity';
  return readRange(`${time.slice(0, 10)}T${time.slice(11, -3)}Z`) !== undefined;
}
