/**
 * What all patches have in common (R4 http.html#patch): the resource keeps its identity, and no narrative is left
 * beside data that it was not made for.
 */
import { parseJson, parseKeepingNumbers } from '../json.ts';
import { type Refusal, refusal } from '../outcome.ts';
import { isTree, prune, type Tree } from './tree.ts';

/**
 * Edits a draft in place; can be applied to many.
 *
 * @throws Refusal 422 where it does not fit the resource
 */
export type Patch = (draft: Draft) => void;

/** A resource while a patch works on it. */
export interface Draft {
  resource: unknown;
  /** Whether `resource` has numbers kept as their digits */
  readonly riskyNumber: boolean;
  /** Objects and arrays that something was removed from */
  readonly emptied: Set<object>;
  /** Whether the patch has set the narrative, or a part of it */
  setsNarrative: boolean;
}

/**
 * Applies a patch. Numbers keep their digits.
 *
 * @param text the resource's JSON as clients see it, with `id` and `meta`
 * @returns    its JSON afterwards, not validated yet: whoever stores it does that, and stamps a new
 *             meta.versionId and lastUpdated
 * @throws     Refusal 422 where the patch does not fit the resource, 413 where it would cost too much
 */
export function applyPatch(patch: Patch, text: string): string {
  const { value, riskyNumber } = parseJson(text);
  const resource = riskyNumber ? parseKeepingNumbers(text) : value;
  const { id, resourceType } = resource;
  const data = dataOf(resource);
  const draft: Draft = { resource, riskyNumber, emptied: new Set(), setsNarrative: false };
  patch(draft);
  if (draft.emptied.size > 0) prune(draft.resource, draft.emptied);
  const patched = draft.resource;
  if (!isTree(patched)) throw unfit('The patch leaves nothing that is a resource.');
  if (patched.resourceType !== resourceType)
    throw unfit('A patch cannot change the type of a resource.', 'resourceType');
  if (patched.id !== id) throw unfit('A patch cannot change the id of a resource.', `${resourceType}.id`);
  if (!draft.setsNarrative && dataOf(patched) !== data) dropNarrative(patched);
  return JSON.stringify(patched);
}

/** A patch that is well formed, but cannot be applied to this resource. */
export function unfit(diagnostics: string, expression?: string): Refusal {
  return refusal(422, 'processing', diagnostics, expression);
}

/** What a narrative tells: the resource without its narrative, and without tags and labels. */
function dataOf(resource: Tree): string {
  return JSON.stringify({ ...resource, meta: undefined, text: undefined });
}

/**
 * "Servers SHALL ensure that the narrative in a resource is not clinically unsafe after the PATCH operation": one
 * that was generated from the data goes, to be generated again; others hold what only their author knows.
 *
 * @throws Refusal 422 for these
 */
function dropNarrative(resource: Tree): void {
  const { text, resourceType } = resource;
  if (!isTree(text)) return;
  if (text.status === 'additional' || text.status === 'extensions')
    throw unfit(
      `The narrative (text.status "${text.status}") was not made from the data alone and may be untrue after this ` +
        'change: let the same patch replace or remove `text`, too.',
      `${resourceType}.text`,
    );
  delete resource.text;
}
