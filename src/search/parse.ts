/** A query string becomes a typed request, or is refused with what is wrong and what is possible (R4 search.html). */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { parameterFault, short, tooCostly, UnknownParameter, unsupported } from './faults.ts';
import { readFilter } from './filter.ts';
import { isInclude, readInclude } from './include.ts';
import type { Grammar } from './parameters.ts';
import type { Filter, SearchRequest, SortKey } from './request.ts';
import {
  DEFAULT_COUNT,
  isResultParameter,
  type Making,
  RESULT_PARAMETERS,
  resultReader,
  settle,
} from './result.ts';

/** So many alternatives all parameters may list together; of those that the index looks up at once ten times as many. */
const MAX_ALL_VALUES = 2000;
/** And so many, where each is looked for among several types. */
const MAX_VALUES_OF_TYPES = 20_000;
/** So many includes. */
const MAX_INCLUDES = 20;
/** So many conditions a search may have. */
const MAX_FILTERS = 50;

/** Decoded names and values, in order. */
type Pairs = Iterable<readonly [name: string, value: string]>;

/**
 * Reads the parameters of a search of one type.
 *
 * @param baseUrl this server's FHIR base, for absolute references to it
 * @param lenient whether unknown parameters are left out, and of the links too (R4 search.html#errors)
 * @throws        Refusal 400 naming the parameter; too-costly, naming the limit
 */
export function parseSearch(
  definitions: Definitions,
  type: string,
  pairs: Pairs,
  baseUrl: string,
  lenient = false,
): SearchRequest {
  return readRequest({ definitions, baseUrl }, type, [type], pairs, lenient);
}

/**
 * Reads the parameters of a search over several types: those that `_type` names, or all. The others must be parameters
 * of each type (R4 search.html#all-types).
 *
 * @param types that are searched where `_type` is not given
 * @throws      Refusal as parseSearch
 */
export function parseSearchOfTypes(
  definitions: Definitions,
  types: readonly string[],
  pairs: Pairs,
  baseUrl: string,
  lenient = false,
): SearchRequest {
  const given = [...pairs].filter(([name, value]) => !isEmpty(name, value));
  const asked = given.filter(([name]) => name === '_type');
  const named = asked.length > 0 ? readTypes(definitions, asked) : undefined;
  const all = named ?? types;
  const grammar = { definitions, baseUrl };
  const others = given.filter(([name]) => name !== '_type');
  const common = ([name, value]: readonly [string, string]): boolean =>
    isResultParameter(name) || all.every((type) => filterOf(grammar, type, name, value, true));
  const kept = lenient ? others.filter(common) : others;
  // What is included belongs to the whole, and is read once.
  const selecting = kept.filter(([name]) => !isInclude(name));
  let values = 0;
  const each = all.map((type, i) => {
    const one = readRequest(grammar, type, all, i === 0 ? kept : selecting, false);
    values += one.filters.reduce((sum, filter) => sum + valuesIn(filter), 0);
    if (values > MAX_VALUES_OF_TYPES)
      throw tooCostly('The parameters list too many values for so many types: name fewer with _type');
    return one;
  });
  const first = each[0] as Making;
  if (first.contained && all.length > 1)
    throw unsupported('_contained', 'is for a search of one type: name it in the path, or with _type');
  // Clinical dates of different types mean different things.
  const newest: SortKey[] = [{ by: '_lastUpdated', descending: true }];
  const sortOf = ({ sort }: Making): readonly SortKey[] => (sort.length > 0 ? sort : newest);
  return {
    ...first,
    types: all,
    sort: sortOf(first),
    each: each.map((one) => ({ types: one.types, filters: one.filters, sort: sortOf(one) })),
    ofAllTypes: named === undefined,
    parameters: [...asked.map(([name, value]): [string, string] => [name, value]), ...first.parameters],
  };
}

/**
 * What is empty asks for nothing (R4 search.html#escaping gives it no meaning), nor does a list of such values; one of
 * types or elements is a slip.
 */
const isEmpty = (name: string, value: string): boolean =>
  value === '' || (/^,+$/.test(value) && name !== '_type' && !isResultParameter(name));

function readTypes(definitions: Definitions, asked: readonly (readonly [string, string])[]): string[] {
  if (asked.length > 1) throw parameterFault('_type', 'stands twice: give it once, with commas');
  const types = [...new Set(asked[0]?.[1].split(',').filter(Boolean))];
  const wrong = types.find((type) => !definitions.isResourceType(type));
  if (wrong !== undefined) throw parameterFault('_type', `names ${short(wrong)}, which is no resource type`);
  if (types.length === 0)
    throw parameterFault('_type', 'names resource types, as in _type=Observation,Condition');
  return types;
}

/** @param types all that are searched together with it */
function readRequest(
  grammar: Grammar,
  type: string,
  types: readonly string[],
  pairs: Pairs,
  lenient: boolean,
): Making {
  const { definitions } = grammar;
  const request: Making = {
    types: [type],
    filters: [],
    sort: [],
    includes: [],
    count: DEFAULT_COUNT,
    total: 'none',
    parameters: [],
  };
  const once = new Set<string>();
  let values = 0;
  for (const [name, value] of pairs) {
    if (isEmpty(name, value)) continue;
    const read = resultReader(name);
    if (isInclude(name)) {
      if (request.includes.length >= MAX_INCLUDES)
        throw tooCostly(`This search includes too much: at most ${MAX_INCLUDES} parameters are taken`);
      request.includes.push(readInclude(definitions, types, name, value));
    } else if (read) {
      if (once.has(name)) throw parameterFault(name, 'stands twice: give it once');
      once.add(name);
      read(request, value, definitions);
    } else {
      const filter = filterOf(grammar, type, name, value, lenient);
      if (!filter) continue;
      demandOnce(filter, request.filters);
      request.filters.push(filter);
      values += valuesIn(filter);
      if (request.filters.length > MAX_FILTERS)
        throw tooCostly(`This search has too many parameters: at most ${MAX_FILTERS} are taken`);
      if (values > MAX_ALL_VALUES)
        throw tooCostly(`The parameters list too many values: at most ${MAX_ALL_VALUES} together are taken`);
    }
    // What was done is said: a page has no more than so many.
    request.parameters.push([name, name === '_count' ? String(request.count) : value]);
  }
  settle(request);
  return request;
}

function filterOf(
  grammar: Grammar,
  type: string,
  name: string,
  value: string,
  lenient: boolean,
): Filter | undefined {
  try {
    return readFilter(grammar, type, name, value);
  } catch (fault) {
    if (!(fault instanceof UnknownParameter)) throw fault;
    if (lenient && !fault.inValue) return undefined;
    throw fault.refusal(fault.inValue ? [] : RESULT_PARAMETERS);
  }
}

/** What a posted parameter says of itself (SearchParameter.multipleAnd). */
function demandOnce(filter: Filter, before: readonly Filter[]): void {
  const posted = postedOf(filter);
  if (posted?.multipleAnd === false && before.some((one) => postedOf(one) === posted))
    throw parameterFault(posted.code, 'stands twice: give it once (SearchParameter.multipleAnd)');
}

function postedOf(filter: Filter): SearchParameter | undefined {
  if (filter.kind === 'not') return postedOf(filter.filter);
  return 'parameter' in filter && filter.parameter.posted !== undefined ? filter.parameter : undefined;
}

/** What is looked up by one array, however long it is. */
const LISTED = new Set<Filter['kind']>(['id', 'token', 'reference', 'uri']);

/** How many alternatives a filter has, wherever they stand; a chain that of its longest end. */
function valuesIn(filter: Filter): number {
  switch (filter.kind) {
    case 'all':
    case 'any':
      return filter.filters.reduce((sum, one) => sum + valuesIn(one), 0);
    case 'not':
    case 'has':
      return valuesIn(filter.filter);
    case 'chain':
      return Math.max(...filter.targets.map((target) => valuesIn(target.filter)));
    case 'id':
      return filter.ids.length / 10;
  }
  if (!('values' in filter)) return 1;
  const { length } = filter.values;
  return LISTED.has(filter.kind) && !('modifier' in filter && filter.modifier) ? length / 10 : length;
}
