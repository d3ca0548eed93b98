/** search of a type (R4 http.html#search). */
import { demand } from '../access/access.ts';
import { readRange } from '../fhir/date.ts';
import { invalid } from '../fhir/outcome.ts';
import type { SearchRequest } from '../search/request.ts';
import { instantOf } from '../store/pool.ts';
import { cutPage } from '../store/read/page.ts';
import type { After, Match, Sought } from '../store/search/search.ts';
import { checkEpoch } from './callers.ts';
import type { Caller, SearchPage } from './records.ts';
import type { ReadSetting } from './setting.ts';

export async function search(
  { store, callers }: ReadSetting,
  caller: Caller,
  request: SearchRequest,
): Promise<SearchPage> {
  const { types, filters, count, total: wanted } = request;
  const [type] = types as readonly [string];
  demand(caller.access, type, 's');
  const after = request.after === undefined ? undefined : readPosition(request.after);
  const [found, total] = await Promise.all([
    count === 0 ? [] : store.searcher.find({ type, filters, sort: orderOf(request), count }, after),
    wanted === 'none' ? undefined : store.searcher.count({ type, filters }),
  ]);
  // Read along with a page's matches; after a count, and where nothing matches, asked for.
  checkEpoch(caller, (wanted === 'none' ? found[0]?.epoch : undefined) ?? (await callers.epoch()));
  const page = await cutPage(store.pool, found, count);
  const last = page[page.length - 1];
  return {
    entries: page.map(({ id, version, updated, content, blob }) => ({
      type,
      id,
      version,
      updated: instantOf(updated),
      deleted: false,
      content,
      blob,
    })),
    total,
    next: found.length > page.length && last ? writePosition(last) : undefined,
  };
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
