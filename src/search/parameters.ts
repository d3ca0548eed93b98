/** The search parameters of a type, as the definitions have them. */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { isFor } from '../fhir/posted-parameters.ts';
import { UnknownParameter, unsupported } from './faults.ts';

/** What parameters are read with. */
export interface Grammar {
  readonly definitions: Definitions;
  /** this server's FHIR base, for absolute references to it */
  readonly baseUrl: string;
}

/** Parameters of any type that are no SearchParameters. */
export const OF_ALL_TYPES: readonly string[] = ['_filter', '_has', '_list'];

/** The parameters that a search of a type can have. */
export function searchable(definitions: Definitions, type: string): readonly SearchParameter[] {
  // A named query is refused where it is read (result.ts).
  return definitions.searchParameters(type).filter(({ code }) => code !== '_query');
}

/** @throws UnknownParameter */
export function findParameter({ definitions }: Grammar, type: string, code: string): SearchParameter {
  const known = searchable(definitions, type);
  const parameter = known.find((one) => one.code === code);
  if (parameter) return parameter;
  const coming = definitions.posted.parameters.find(
    (one) => !one.answers && one.parameter.code === code && isFor(definitions, one.parameter, type),
  );
  if (coming) {
    const { percent, job } = coming;
    const state =
      percent === undefined ? 'could not be indexed: see its' : `is being indexed: ${percent} % done,`;
    throw new UnknownParameter(type, code, [], `${state} job ${job}`);
  }
  throw new UnknownParameter(type, code, [...known.map((one) => one.code), ...OF_ALL_TYPES]);
}

/** Whether it searches text, and has no values of its own: no modifiers either, and no order. */
export const isOfWords = ({ code }: SearchParameter): boolean => code === '_text' || code === '_content';

/** The parameters that a composite is made of, in their order. */
export function componentsOf(
  definitions: Definitions,
  type: string,
  { component = [], code }: SearchParameter,
): readonly SearchParameter[] {
  return component.map(({ definition }) => {
    const found =
      definitions.searchParameters(type).find(({ url }) => url === definition) ??
      definitions.resourceTypes
        .flatMap((each) => definitions.searchParameters(each))
        .find(({ url }) => url === definition);
    if (!found) throw unsupported(code, 'is made of parameters that are not known');
    return found;
  });
}
