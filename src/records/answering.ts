/** Whether the posted parameters that a search was read with are those of now. */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { invalid } from '../fhir/outcome.ts';

/**
 * A search may have been read before a parameter ceased to answer, here or in another process: what is written since is
 * not indexed by it. Whoever asks here reads the epoch afterwards.
 *
 * @param wanted the posted parameters that it leans on
 * @throws       Refusal 400
 */
export function demandAnswering({ posted }: Definitions, wanted: readonly SearchParameter[]): void {
  const gone = wanted.find(
    (one) => !posted.parameters.some(({ parameter, answers }) => answers && parameter === one),
  );
  if (gone)
    throw invalid(
      'not-supported',
      `The search parameter ${gone.code} is being changed: ask again, or leave it out`,
    );
}
