/** The parameters of a search that shape its result, and select nothing (R4 search.html#return). */
import { clinicalDate } from '../fhir/clinical-date.ts';
import type { Definitions } from '../fhir/definitions.ts';
import { parameterFault, short, tooCostly, unsupported } from './faults.ts';
import { isInclude } from './include.ts';
import { isOfWords, searchable } from './parameters.ts';
import type { Filter, Include, SearchRequest, SortKey, Summary } from './request.ts';

/** Entries on a page where none are asked for, and at most. */
export const DEFAULT_COUNT = 20;
const MAX_COUNT = 1000;
/** So many parameters a search is sorted by. */
const MAX_SORTS = 5;

/** A request on its way. */
export type Making = {
  -readonly [K in keyof SearchRequest]: SearchRequest[K];
} & {
  readonly filters: Filter[];
  readonly includes: Include[];
  readonly parameters: [string, string][];
};

type Read = (request: Making, value: string, definitions: Definitions) => void;

const RESULT: Readonly<Record<string, Read>> = {
  _count(request, value) {
    if (!/^\d{1,9}$/.test(value)) throw parameterFault('_count', 'must be a whole number, such as 20');
    request.count = Math.min(Number(value), MAX_COUNT);
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
  },
  _elements(request, value) {
    request.elements = value
      .split(',')
      .map((element) => element.trim())
      .filter(Boolean);
    if (request.elements.length === 0)
      throw parameterFault('_elements', 'names elements, as in _elements=id,status');
  },
  _total(request, value) {
    if (value !== 'none' && value !== 'estimate' && value !== 'accurate')
      throw parameterFault('_total', 'must be none, estimate or accurate');
    request.total = value;
  },
  _contained(request, value) {
    if (value !== 'false' && value !== 'true' && value !== 'both')
      throw parameterFault('_contained', 'must be false, true or both');
    request.contained = value === 'false' ? undefined : value;
  },
  _containedType(request, value) {
    if (value !== 'container' && value !== 'contained')
      throw parameterFault('_containedType', 'must be container or contained');
    request.containedType = value;
  },
  _query() {
    throw unsupported('_query', 'names a query, and this server has none: use the parameters of the type');
  },
};

/** Their names, as told to those who misspell one. */
export const RESULT_PARAMETERS: readonly string[] = Object.keys(RESULT).filter((name) => name !== '_query');

/** Reads a parameter of that name; undefined where it is none of these. */
export const resultReader = (name: string): Read | undefined =>
  Object.hasOwn(RESULT, name) ? RESULT[name] : undefined;

/** Whether a parameter shapes the result, and selects nothing. */
export const isResultParameter = (name: string): boolean => Object.hasOwn(RESULT, name) || isInclude(name);

/**
 * What parameters mean together.
 *
 * @throws Refusal 400 where they contradict each other
 */
export function settle(request: Making): void {
  if (request.summary === 'count') request.count = 0;
  // A page without entries is asked for because of the number of matches (R4 search.html#count).
  if (request.count === 0 && request.total === 'none') request.total = 'accurate';
  if (request.summary === 'text' && request.includes.length > 0)
    throw parameterFault(
      '_summary',
      'cannot be text together with _include or _revinclude (R4 search.html#summary)',
    );
  if (request.contained === undefined) {
    if (request.containedType === 'contained')
      throw unsupported('_containedType', 'says what is shown of contained resources: give _contained, too');
    return;
  }
  if (request.includes.length > 0)
    throw unsupported('_contained', 'is not answered together with _include or _revinclude: ask twice');
  if (request.elements && request.containedType !== 'contained')
    throw unsupported('_elements', 'is for resources of one type: with _contained, _containedType=contained');
}

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
