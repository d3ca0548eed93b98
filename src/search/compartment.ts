/** Compartments as filters (R4 compartmentdefinition.html): what refers to a resource by some parameters, and itself. */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import type { Filter } from './request.ts';

/** Types of which something may be in a compartment of a type. */
export const typesWithin = (definitions: Definitions, of: string): readonly string[] =>
  definitions.resourceTypes.filter((type) => type === of || definitions.compartment(of, type).length > 0);

/**
 * What resources of a type have to pass that are in the compartment of a resource; nothing passes where the type has no
 * place there.
 */
export function compartmentFilter(
  definitions: Definitions,
  { type: of, id }: { readonly type: string; readonly id: string },
  type: string,
): Filter {
  // Patients' compartments have keys of their own.
  if (of === 'Patient') return { kind: 'compartment', type: of, id };
  const codes = new Set(definitions.compartment(of, type));
  const referring = definitions
    .searchParameters(type)
    .filter(({ code }) => codes.has(code))
    .map((parameter): Filter => refersTo(parameter, of, id));
  return { kind: 'any', filters: type === of ? [{ kind: 'id', ids: [id] }, ...referring] : referring };
}

const refersTo = (parameter: SearchParameter, type: string, id: string): Filter => ({
  kind: 'reference',
  parameter,
  values: [{ kind: 'local', type, id }],
});
