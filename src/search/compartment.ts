/** Compartments as filters (R4 compartmentdefinition.html): what refers to a resource by some parameters, and itself. */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { patientParameters } from '../fhir/patient-parameters.ts';
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
  if (of === 'Patient') return { kind: 'compartment', id, by: membership(definitions, type) };
  const codes = new Set(definitions.compartment(of, type));
  const referring = named(definitions, type, codes).map((parameter): Filter => refersTo(parameter, of, id));
  return { kind: 'any', filters: type === of ? [{ kind: 'id', ids: [id] }, ...referring] : referring };
}

/** The parameters by which resources of a type are in patients' compartments, or about them without that. */
export const membership = (definitions: Definitions, type: string): readonly SearchParameter[] =>
  named(
    definitions,
    type,
    new Set([...definitions.compartment('Patient', type), ...patientParameters(definitions, type)]),
  );

/** The parameters that say whom resources of a type are about. */
export const about = (definitions: Definitions, type: string): readonly SearchParameter[] =>
  named(definitions, type, patientParameters(definitions, type));

const named = (
  definitions: Definitions,
  type: string,
  codes: ReadonlySet<string>,
): readonly SearchParameter[] =>
  definitions.searchParameters(type).filter(({ code, posted }) => posted === undefined && codes.has(code));

const refersTo = (parameter: SearchParameter, type: string, id: string): Filter => ({
  kind: 'reference',
  parameter,
  values: [{ kind: 'local', type, id }],
});
