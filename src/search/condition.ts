/** The conditions of conditional interactions (R4 http.html#cond-update and others): a search by filters alone. */
import type { Definitions } from '../fhir/definitions.ts';
import { invalid } from '../fhir/outcome.ts';
import { parseSearch } from './parse.ts';
import { readParameters, writeParameters } from './query-string.ts';
import type { Filter } from './request.ts';
import { isResultParameter } from './result.ts';

/** Which resources are meant: those of a type that pass all filters. */
export interface Condition {
  readonly type: string;
  /** as it is said back to the client, with its type: `Patient?identifier=s|n` */
  readonly text: string;
  /** the same for conditions that ask for the same, whatever the order and escapes of their parameters */
  readonly key: string;
  readonly filters: readonly Filter[];
}

const LONGEST = 200;

/**
 * Reads a condition.
 *
 * @param query   as in a URL, with or without its question mark
 * @param baseUrl this server's FHIR base
 * @throws        Refusal 400 as parseSearch; for parameters that shape a result, and where there is no filter
 */
export function parseCondition(
  definitions: Definitions,
  type: string,
  query: string,
  baseUrl: string,
): Condition {
  const parameters = readParameters(query.startsWith('?') ? query.slice(1) : query);
  const shaping = parameters.find(([name]) => isResultParameter(name));
  if (shaping)
    throw invalid(
      'not-supported',
      `A condition holds search parameters only: ${shaping[0]} shapes the result of a search, leave it out`,
    );
  const { filters } = parseSearch(definitions, type, parameters, baseUrl);
  if (filters.length === 0)
    throw invalid(
      'required',
      `A condition needs a search parameter with a value, such as ${type}?identifier=system|value`,
    );
  // What decides is each resource's own values, also of those that are about to be written.
  if (filters.some(looksElsewhere))
    throw invalid(
      'not-supported',
      'A condition is about the values of a resource: it has no chains, _has, _list, _text, _content, and no value sets or hierarchies',
    );
  const text = `${type}?${parameters.map(([name, value]) => `${name}=${value}`).join('&')}`;
  return {
    type,
    text: text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text,
    key: `${type}?${parameters
      .map((one) => writeParameters([one]))
      .sort()
      .join('&')}`,
    filters,
  };
}

const ELSEWHERE = new Set<Filter['kind']>(['chain', 'has', 'list', 'words', 'value-set', 'hierarchy', 'kin']);

function looksElsewhere(filter: Filter): boolean {
  if (ELSEWHERE.has(filter.kind)) return true;
  if (filter.kind === 'all' || filter.kind === 'any') return filter.filters.some(looksElsewhere);
  return 'filter' in filter && looksElsewhere(filter.filter);
}
