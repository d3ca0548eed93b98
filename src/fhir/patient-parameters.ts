/** The parameters that say whom a resource is about. */
import type { Definitions } from './definitions.ts';

/**
 * Codes of the parameters that find the same patients as `patient` does: itself, and `subject` where `patient` is
 * defined as those subjects that are patients. Empty for types without `patient`.
 */
export function patientParameters(definitions: Definitions, type: string): ReadonlySet<string> {
  const parameters = definitions.searchParameters(type).filter(({ posted }) => posted === undefined);
  const partsOf = (code: string): string[] =>
    (parameters.find((parameter) => parameter.code === code)?.expression ?? '')
      .split('|')
      .map((part) => part.trim());
  const patient = partsOf('patient');
  if (patient[0] === '') return new Set();
  const path = `${type}.subject`;
  const same = patient.includes(`${path}.where(resolve() is Patient)`) && partsOf('subject').includes(path);
  return new Set(same ? ['patient', 'subject'] : ['patient']);
}
