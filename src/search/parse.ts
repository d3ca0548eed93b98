/** A query string becomes a typed request, or is refused with what is wrong and what is possible (R4 search.html). */
import { clinicalDate } from '../fhir/clinical-date.ts';
import type { Definitions } from '../fhir/definitions.ts';
import { isIndexed, isWhole } from './composites.ts';
import { parameterFault, short, tooCostly, UnknownParameter, unsupported } from './faults.ts';
import { type Grammar, isOfWords, readFilter, searchable } from './filter.ts';
import { isInclude, readInclude } from './include.ts';
import type { Filter, Include, SearchRequest, SortKey, Summary } from './request.ts';

/** Entries on a page where none are asked for, and at most. */
const DEFAULT_COUNT = 20;
const MAX_COUNT = 1000;
/** So many alternatives all parameters may list together. */
const MAX_ALL_VALUES = 2000;
/** So many includes. */
const MAX_INCLUDES = 20;
/** So many conditions a search may have. */
const MAX_FILTERS = 50;

type Making = {
  -readonly [K in keyof SearchRequest]: SearchRequest[K];
} & {
  readonly filters: Filter[];
  readonly includes: Include[];
  readonly parameters: [string, string][];
};

/**
 * Reads the parameters of a search of one type.
 *
 * @param pairs   decoded names and values, in order
 * @param baseUrl this server's FHIR base, for absolute references to it
 * @param lenient whether unknown parameters are left out, and of the links too (R4 search.html#errors)
 * @throws        Refusal 400 naming the parameter; too-costly, naming the limit
 */
export function parseSearch(
  definitions: Definitions,
  type: string,
  pairs: Iterable<readonly [name: string, value: string]>,
  baseUrl: string,
  lenient = false,
): SearchRequest {
  const grammar = { definitions, baseUrl };
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
    // An empty value asks for nothing (R4 search.html#escaping gives it no meaning).
    if (value === '') continue;
    const read = Object.hasOwn(RESULT, name) ? RESULT[name] : undefined;
    if (isInclude(name)) {
      if (request.includes.length >= MAX_INCLUDES)
        throw tooCostly(`This search includes too much: at most ${MAX_INCLUDES} parameters are taken`);
      request.includes.push(readInclude(definitions, type, name, value));
    } else if (read) {
      if (once.has(name)) throw parameterFault(name, 'stands twice: give it once');
      once.add(name);
      read(request, value, definitions);
    } else {
      const filter = filterOf(grammar, type, name, value, lenient);
      if (!filter) continue;
      request.filters.push(filter);
      values += valuesIn(filter);
      if (request.filters.length > MAX_FILTERS)
        throw tooCostly(`This search has too many parameters: at most ${MAX_FILTERS} are taken`);
      if (values > MAX_ALL_VALUES)
        throw tooCostly(`The parameters list too many values: at most ${MAX_ALL_VALUES} together are taken`);
    }
    if (name !== '_after') request.parameters.push([name, value]);
  }
  if (request.summary === 'text' && request.includes.length > 0)
    throw parameterFault(
      '_summary',
      'cannot be text together with _include or _revinclude (R4 search.html#summary)',
    );
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
    const filter = readFilter(grammar, type, name, value);
    if (isLater(filter)) throw unsupported(name, 'asks for what is not supported yet');
    return filter;
  } catch (fault) {
    if (!(fault instanceof UnknownParameter)) throw fault;
    if (lenient) return undefined;
    throw fault.refusal(Object.keys(RESULT).filter((one) => one !== '_after'));
  }
}

/** So many parameters a search is sorted by. */
const MAX_SORTS = 5;

/** One key of `_sort`: a parameter, after a hyphen where it descends. */
function readSort(definitions: Definitions, type: string, written: string): SortKey {
  const descending = written.startsWith('-');
  const code = descending ? written.slice(1) : written;
  if (code === '_lastUpdated' || code === '_id') return { by: code, descending };
  if (code === clinicalDate(definitions, type)?.code) return { by: 'date', descending };
  const sortable = searchable(definitions, type).filter(
    (one) => one.type !== 'composite' && one.type !== 'special' && !isOfWords(one),
  );
  const parameter = sortable.find((one) => one.code === code);
  if (parameter) return { by: 'parameter', parameter, descending };
  throw parameterFault(
    '_sort',
    `cannot be ${short(code)} for ${type}: possible are ${sortable.map((one) => one.code).join(', ')}, or these with - before them`,
  );
}

/** Parameters that shape the result (R4 search.html#return). */
const RESULT: Readonly<Record<string, (request: Making, value: string, definitions: Definitions) => void>> = {
  _count(request, value) {
    if (!/^\d{1,9}$/.test(value)) throw parameterFault('_count', 'must be a whole number, such as 20');
    request.count = Math.min(Number(value), MAX_COUNT);
    if (request.count === 0) request.total = 'accurate';
  },
  _sort(request, value, definitions) {
    const keys = value.split(',').filter(Boolean);
    if (keys.length > MAX_SORTS) throw tooCostly(`_sort takes ${MAX_SORTS} parameters at most`);
    request.sort = keys.map((key) => readSort(definitions, request.types[0] as string, key));
  },
  _summary(request, value) {
    if (!['true', 'text', 'data', 'count', 'false'].includes(value))
      throw parameterFault('_summary', 'must be true, text, data, count or false');
    request.summary = value as Summary;
    if (value === 'count') {
      request.total = 'accurate';
      request.count = 0;
    }
  },
  _elements(request, value) {
    request.elements = value.split(',').map((element) => element.trim());
  },
  _total(request, value) {
    if (!['none', 'estimate', 'accurate'].includes(value))
      throw parameterFault('_total', 'must be none, estimate or accurate');
    if (value !== 'none') request.total = 'accurate';
  },
  _after(request, value) {
    request.after = value;
  },
};

function isLater(filter: Filter): boolean {
  // What is judged on a resource's values is so for what is searched itself, not at the other end of a join.
  if (filter.kind === 'chain') return filter.targets.some((target) => isJudged(target.filter));
  if (filter.kind === 'has') return isJudged(filter.filter);
  return 'filter' in filter && isLater(filter.filter);
}

function isJudged(filter: Filter): boolean {
  if (filter.kind === 'uri') return filter.modifier !== undefined && filter.parameter.code === '_profile';
  if (filter.kind === 'token-text' || filter.kind === 'words') return true;
  if (filter.kind === 'composite') return !isWhole(filter.parameter) && !filter.values.every(isIndexed);
  if (filter.kind === 'all' || filter.kind === 'any') return filter.filters.some(isJudged);
  if (filter.kind === 'chain') return filter.targets.some((target) => isJudged(target.filter));
  return 'filter' in filter && isJudged(filter.filter);
}

/** How many alternatives a filter has. */
function valuesIn(filter: Filter): number {
  if (filter.kind === 'id') return filter.ids.length;
  return 'values' in filter ? filter.values.length : 1;
}

/** Whether a parameter shapes the result, and selects nothing. */
export const isResultParameter = (name: string): boolean => Object.hasOwn(RESULT, name) || isInclude(name);
