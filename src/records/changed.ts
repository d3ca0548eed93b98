/** The last pages of a walk: what was written since it began, each resource once, as the change feed has it. */
import { type FeedPage, readFeed } from '../store/feed.ts';
import { readNames } from '../store/read/names.ts';
import { cutPage } from '../store/read/page.ts';
import { judge } from './judge.ts';
import type { Found, Part } from './part.ts';
import type { ReadSetting } from './setting.ts';

/** So many changes are looked through at a time, and so often for one page. */
const STRIDE = 500;
const MOST_STRIDES = 20;

export interface Changed {
  readonly page: readonly (Found & { readonly content: string })[];
  /** where the following page begins in the feed */
  readonly next?: string;
}

/**
 * What has changed and matches now.
 *
 * @param position in the feed
 */
export async function changedPage(
  setting: ReadSetting,
  parts: readonly Part[],
  position: string,
  count: number,
): Promise<Changed> {
  const { store } = setting;
  let limit = STRIDE;
  let at = position;
  for (let strides = 0; strides < MOST_STRIDES; strides++) {
    const feed = await readFeed(store.pool, store.catalog, at, limit);
    const rows = await matchesAmong(setting, parts, feed);
    const page = await cutPage(store.pool, rows, count);
    const last = rows[page.length - 1];
    if (last && page.length < rows.length) {
      // As far as the page reaches, once more: then the following one begins after it.
      limit = last.nth + 1;
      continue;
    }
    const next = feed.more ? feed.position : undefined;
    const passed = await passing(setting, parts, page);
    if (passed.length > 0 || next === undefined) return { page: passed, next };
    at = next;
  }
  return { page: [], next: at };
}

type Shown = Changed['page'];

/** Those of a page that pass what is judged. */
async function passing(setting: ReadSetting, parts: readonly Part[], page: Shown): Promise<Shown> {
  const passed = new Set<number>();
  for (const { type, judged } of parts) {
    const own = page.filter((row) => row.type === type);
    const each = await judge(setting, type, judged, own);
    for (const [i, { rid }] of own.entries()) if (each[i]) passed.add(rid);
  }
  return page.filter(({ rid }) => passed.has(rid));
}

/** A match, and which of the changes it is. */
interface Nth extends Found {
  readonly nth: number;
}

/** Each resource with its last change: with none before that, nor, where it was written again since, without any. */
async function matchesAmong(
  { store }: ReadSetting,
  parts: readonly Part[],
  { entries, more }: FeedPage,
): Promise<Nth[]> {
  const wanted = new Set(parts.map(({ type }) => store.catalog.typeNumber(type)));
  const changes = new Map<number, { readonly version: number; readonly nth: number }>();
  for (const [nth, { rid, type, version }] of entries.entries())
    if (wanted.has(type)) changes.set(rid, { version, nth });
  if (changes.size === 0) return [];
  const names = await readNames(store.pool, [...changes.keys()]);
  const rows: Nth[] = [];
  for (const { type, filters } of parts) {
    const number = store.catalog.typeNumber(type);
    const ids = names.filter((one) => one.type === number).map(({ id }) => id);
    if (ids.length === 0) continue;
    const found = await store.searcher.find({
      type,
      filters: [...filters, { kind: 'id', ids }],
      sort: { by: '_lastUpdated', descending: false },
      count: ids.length,
    });
    for (const match of found) {
      const change = changes.get(match.rid);
      if (change && (change.version === match.version || !more))
        rows.push({ ...match, type, place: [match.at, match.rid], nth: change.nth });
    }
  }
  return rows.sort((a, b) => a.nth - b.nth);
}
