/** The parameters that an interaction knows. */
import { invalid } from '../fhir/outcome.ts';
import type { Parameter } from '../search/query-string.ts';

/**
 * Takes apart the parameters that an interaction knows; each may be given once.
 *
 * @throws Refusal 400 for an unknown or repeated one
 */
export function once<Name extends string>(
  parameters: readonly Parameter[],
  known: readonly Name[],
): Partial<Record<Name, string>> {
  const taken: Partial<Record<Name, string>> = {};
  for (const [name, value] of parameters) {
    if (!known.includes(name as Name)) {
      const list =
        known.length > 0
          ? `, only ${known.join(', ')} beside _format and _pretty`
          : ' but _format and _pretty';
      throw invalid('not-supported', `"${name.slice(0, 80)}" is no parameter here${list}`);
    }
    if (taken[name as Name] !== undefined) throw invalid('invalid', `The parameter ${name} is given twice`);
    taken[name as Name] = value;
  }
  return taken;
}
