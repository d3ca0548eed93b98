/** search of a type (R4 http.html#search). */
import { demand } from '../access/access.ts';
import { invalid } from '../fhir/outcome.ts';
import type { SearchRequest } from '../search/request.ts';
import { instantOf } from '../store/pool.ts';
import type { After, Match } from '../store/search/search.ts';
import { checkEpoch } from './callers.ts';
import type { Caller, SearchPage } from './records.ts';
import type { Setting } from './setting.ts';

export async function search(
  { store, callers }: Setting,
  caller: Caller,
  request: SearchRequest,
): Promise<SearchPage> {
  const { type, count } = request;
  demand(caller.access, type, 's');
  const after = request.after === undefined ? undefined : readPosition(request.after);
  const [epoch, found, total] = await Promise.all([
    callers.epoch(),
    count === 0 ? [] : store.searcher.find(request, after),
    request.total ? store.searcher.count(request) : undefined,
  ]);
  checkEpoch(caller, epoch);
  const page = found.length > count ? found.slice(0, count) : found;
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
    next: found.length > count && last ? writePosition(last) : undefined,
  };
}

function writePosition({ at, rid }: Match): string {
  return Buffer.from(JSON.stringify([at, rid])).toString('base64url');
}

/** @throws Refusal 400 where it is none of ours */
function readPosition(text: string): After {
  try {
    const [at, rid] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[];
    const isTime = typeof at === 'string' && /^(-?infinity|\d{4,6}-[0-9:. +-]{8,40}( BC)?)$/.test(at);
    if (isTime && Number.isSafeInteger(rid)) return { at: at as string, rid: rid as number };
  } catch {
    // falls through to the same refusal
  }
  throw invalid('value', 'This page link is damaged: begin again with the first page');
}
