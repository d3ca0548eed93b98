/** How a search is done, for those who run a server: asked for by `__explain=true`. */
import { isOfSystem } from '../access/access.ts';
import { refusal } from '../fhir/outcome.ts';
import type { SearchRequest } from '../search/request.ts';
import type { Explained } from '../store/search/explain.ts';
import type { Caller } from './records.ts';
import { search } from './search.ts';
import type { Setting } from './setting.ts';

/**
 * Searches as `search` does, with the same leave, and tells by which statements, but nothing of what they found.
 *
 * @throws Refusal 403 unless it is a system's access token; as search
 */
export function explain(
  setting: Setting,
  caller: Caller,
  request: SearchRequest,
): Promise<readonly Explained[]> {
  const { access } = caller;
  // What a plan counts is counted before anything is left out.
  if (!isOfSystem(access) || access.limited)
    throw refusal(
      403,
      'forbidden',
      'Only a system may ask how a search is done: leave __explain out, or use an access token with whole system scopes',
    );
  const { store } = setting;
  return store.explained(async (reading) => {
    await search({ ...setting, store: { ...store, ...reading } }, caller, request);
  });
}
