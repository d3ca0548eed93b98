/** Whether the posted parameters that a search was read with are those of now. */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { error, Refusal } from '../fhir/outcome.ts';

/** Thrown where they are not: the search is to be read anew. */
export class Redefined extends Refusal {}

/**
 * A search may have been read before a parameter ceased to answer, here or in another process: what is written since is
 * not indexed by it. Whoever asks here reads the epoch afterwards.
 *
 * @param wanted the posted parameters that it leans on
 * @throws       Redefined, 400
 */
export function demandAnswering({ posted }: Definitions, wanted: readonly SearchParameter[]): void {
  const gone = wanted.find(
    (one) => !posted.parameters.some(({ parameter, answers }) => answers && parameter === one),
  );
  if (!gone) return;
  const says = `The search parameter ${gone.code} is being changed: ask again, or leave it out`;
  throw new Redefined(400, [error('not-supported', says)]);
}
