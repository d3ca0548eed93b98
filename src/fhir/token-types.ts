/** Of which types the elements are that a token parameter is about. */
import type { Definitions, SearchParameter } from './definitions.ts';
import { compileExpression } from './extraction/compile.ts';
import { parseExpression } from './extraction/fhirpath.ts';
import { place } from './extraction/plan.ts';

/** Whether they are codes alone, which name no system (R4 search.html#token). */
export function isPrimitive(definitions: Definitions, type: string, parameter: SearchParameter): boolean {
  const start = { place: place<unknown>(), type };
  const expression = parseExpression(parameter.expression ?? '');
  return compileExpression(definitions, expression, { start, resource: start }).every((cursor) =>
    /^[a-z]/.test(cursor.type),
  );
}
