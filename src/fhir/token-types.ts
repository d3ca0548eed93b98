/** Of which types the elements are that a token parameter is about. */
import type { Definitions, SearchParameter } from './definitions.ts';
import { compileExpression } from './extraction/compile.ts';
import { parseExpression } from './extraction/fhirpath.ts';
import { place } from './extraction/plan.ts';

/** Whether they are, or some of them are, Identifiers: these have types of their own. */
export const isOfIdentifiers = (
  definitions: Definitions,
  type: string,
  parameter: SearchParameter,
): boolean => typesOf(definitions, type, parameter).includes('Identifier');

/** Whether they are codes alone, which name no system (R4 search.html#token). */
export const isPrimitive = (definitions: Definitions, type: string, parameter: SearchParameter): boolean =>
  typesOf(definitions, type, parameter).every((one) => /^[a-z]/.test(one));

function typesOf(definitions: Definitions, type: string, parameter: SearchParameter): readonly string[] {
  const start = { place: place<unknown>(), type };
  const expression = parseExpression(parameter.expression ?? '');
  return compileExpression(definitions, expression, { start, resource: start }).map((cursor) => cursor.type);
}
