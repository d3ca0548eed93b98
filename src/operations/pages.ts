/** All that a search finds, for operations that look at it. */
import type { Caller, Records, SearchPage } from '../records/records.ts';
import type { SearchRequest } from '../search/request.ts';

/**
 * The pages of a search, each read once the one before has been taken.
 *
 * @param first where it has been read already
 * @throws      what the search throws
 */
export async function* pagesOf(
  records: Records,
  caller: Caller,
  request: SearchRequest,
  first?: SearchPage,
): AsyncGenerator<SearchPage> {
  let page = first ?? (await records.search(caller, request));
  for (; page.next !== undefined; page = await records.search(caller, { ...request, after: page.next }))
    yield page;
  yield page;
}
