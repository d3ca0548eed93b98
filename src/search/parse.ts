/** A query string becomes a typed request, or is refused with what is wrong and what is possible (R4 search.html). */
import { clinicalDate } from '../fhir/clinical-date.ts';
import { readRange } from '../fhir/date.ts';
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { invalid, type Refusal } from '../fhir/outcome.ts';
import { isId } from '../fhir/reference.ts';
import { nearest } from '../fhir/validation/nearest.ts';
import type {
  DateValue,
  Filter,
  Prefix,
  ReferenceValue,
  SearchRequest,
  Summary,
  TokenValue,
} from './request.ts';

/** Entries on a page where none are asked for, and at most. */
const DEFAULT_COUNT = 20;
const MAX_COUNT = 1000;
/** So many alternatives one parameter may list, and all together. */
const MAX_VALUES = 1000;
const MAX_ALL_VALUES = 2000;
/** So many conditions a search may have. */
const MAX_FILTERS = 50;

type Making = {
  -readonly [K in keyof SearchRequest]: SearchRequest[K];
} & { readonly filters: Filter[]; readonly parameters: [string, string][] };

/**
 * Reads the parameters of a search of one type.
 *
 * @param pairs   decoded names and values, in order
 * @param baseUrl this server's FHIR base, for absolute references to it
 * @throws        Refusal 400 naming the parameter; too-costly, naming the limit
 */
export function parseSearch(
  definitions: Definitions,
  type: string,
  pairs: Iterable<readonly [name: string, value: string]>,
  baseUrl: string,
): SearchRequest {
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
    if (read) {
      if (once.has(name)) throw parameterFault(name, 'stands twice: give it once');
      once.add(name);
      read(request, value, definitions);
    } else {
      const filter = readFilter(definitions, type, name, value, baseUrl);
      request.filters.push(filter);
      values += valuesIn(filter);
      if (request.filters.length > MAX_FILTERS)
        throw tooCostly(`This search has too many parameters: at most ${MAX_FILTERS} are taken`);
      if (values > MAX_ALL_VALUES)
        throw tooCostly(`The parameters list too many values: at most ${MAX_ALL_VALUES} together are taken`);
    }
    if (name !== '_after') request.parameters.push([name, value]);
  }
  return request;
}

const SEARCHED = new Set(['date', 'token', 'reference', 'string', 'uri']);

/** The parameters that a search of a type can have. */
export function searchable(definitions: Definitions, type: string): readonly SearchParameter[] {
  return definitions
    .searchParameters(type)
    .filter((parameter) => SEARCHED.has(parameter.type) && !LATER.has(parameter.code));
}

/** Of these the search issue's grammar and indexes are needed. */
const LATER = new Set(['_text', '_content', '_query', '_filter', '_has', '_list']);

/** Parameters that shape the result (R4 search.html#return). */
const RESULT: Readonly<Record<string, (request: Making, value: string, definitions: Definitions) => void>> = {
  _count(request, value) {
    if (!/^\d{1,9}$/.test(value)) throw parameterFault('_count', 'must be a whole number, such as 20');
    request.count = Math.min(Number(value), MAX_COUNT);
    if (request.count === 0) request.total = 'accurate';
  },
  _sort(request, value, definitions) {
    const by = value.replace(/^-/, '');
    const date = clinicalDate(definitions, request.types[0] as string)?.code;
    if (by !== date && by !== '_lastUpdated')
      throw parameterFault(
        '_sort',
        `can be ${date ? `${date}, ` : ''}_lastUpdated, or these with - before them, for ${request.types[0]}`,
      );
    request.sort = [{ by: by === '_lastUpdated' ? by : 'date', descending: value.startsWith('-') }];
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

/** How many alternatives a filter has. */
function valuesIn(filter: Filter): number {
  if (filter.kind === 'id') return filter.ids.length;
  return 'values' in filter ? filter.values.length : 1;
}

/** Whether a parameter shapes the result, and selects nothing. */
export const isResultParameter = (name: string): boolean => Object.hasOwn(RESULT, name);

function readFilter(
  definitions: Definitions,
  type: string,
  written: string,
  value: string,
  baseUrl: string,
): Filter {
  const [code = '', modifier] = split(written, ':');
  if (code.includes('.') || code === '_has')
    throw parameterFault(written, 'is a chain: chains are not supported yet');
  const parameter = findParameter(definitions, type, code);
  if (!parameter || LATER.has(code)) throw unknown(definitions, type, code);
  const values = splitEscaped(value, ',');
  if (values.length > MAX_VALUES)
    throw tooCostly(`The parameter ${code} lists ${values.length} values: at most ${MAX_VALUES} are taken`);
  if (modifier !== undefined && !(parameter.type === 'reference' && definitions.isResourceType(modifier)))
    throw parameterFault(written, `has the modifier ":${short(modifier)}", which is not supported yet`);
  switch (parameter.type) {
    case 'date': {
      const dates = values.map((one) => readDate(code, one));
      return code === '_lastUpdated'
        ? { kind: 'updated', values: dates }
        : { kind: 'date', parameter, values: dates };
    }
    case 'token':
      if (code === '_id') return { kind: 'id', ids: values.map((id) => readId(code, withoutEscapes(id))) };
      return { kind: 'token', parameter, values: values.map((one) => readToken(code, one)) };
    case 'reference':
      return {
        kind: 'reference',
        parameter,
        values: values.map((one) =>
          readReference(definitions, parameter, withoutEscapes(one), modifier, baseUrl),
        ),
      };
    case 'string':
      return { kind: 'string', parameter, values: values.map(withoutEscapes) };
    case 'uri':
      return { kind: 'uri', parameter, values: values.map(withoutEscapes) };
    default:
      throw parameterFault(code, `is a ${parameter.type}: searches by it are not supported yet`);
  }
}

function findParameter(definitions: Definitions, type: string, code: string): SearchParameter | undefined {
  return definitions.searchParameters(type).find((parameter) => parameter.code === code);
}

function unknown(definitions: Definitions, type: string, code: string): Refusal {
  const known = [
    ...searchable(definitions, type).map((parameter) => parameter.code),
    ...Object.keys(RESULT).filter((name) => name !== '_after'),
  ];
  const near = nearest(code, known);
  const hint = near ? `did you mean "${near}"?` : `possible are ${known.join(', ')}`;
  return invalid('not-supported', `${type} has no search parameter "${short(code)}": ${hint}`);
}

const parameterFault = (name: string, says: string): Refusal =>
  invalid('value', `The parameter ${short(name)} ${says}`);

const tooCostly = (says: string): Refusal => invalid('too-costly', says);

const short = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

const PREFIX = /^(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=\d)/;

/** A prefix and a date of any precision (R4 search.html#date). */
function readDate(code: string, text: string): DateValue {
  const prefix = PREFIX.exec(text)?.[1] as Prefix | undefined;
  const range = readRange(prefix ? text.slice(2) : text, 'search');
  if (!range)
    throw parameterFault(
      code,
      'must be a date that exists, after a prefix or none: 2024, 2024-05, 2024-05-31, 2024-05-31T10:00Z, ge2024 (prefixes: eq ne gt lt ge le sa eb ap)',
    );
  return { prefix: prefix ?? 'eq', range };
}

/** `code`, `system|code`, `|code` or `system|` (R4 search.html#token). */
function readToken(code: string, text: string): TokenValue {
  const parts = splitEscaped(text, '|').map(withoutEscapes);
  const [first = '', second] = parts;
  if (parts.length > 2 || (first === '' && !second))
    throw parameterFault(code, 'must be code, system|code, |code or system|');
  if (second === undefined) return { code: first };
  return second === '' ? { system: first } : { system: first, code: second };
}

/** An id, `Type/id`, or a url (R4 search.html#reference). */
function readReference(
  definitions: Definitions,
  parameter: SearchParameter,
  text: string,
  modifier: string | undefined,
  baseUrl: string,
): ReferenceValue {
  const { code } = parameter;
  const local = text.startsWith(`${baseUrl}/`) ? text.slice(baseUrl.length + 1) : text;
  if (/^[a-z][a-z0-9+.-]*:/i.test(local)) return { kind: 'absolute', url: local };
  const parts = local.split('/');
  const [type, id = ''] = parts.length === 1 ? [modifier, parts[0]] : parts;
  const targets = parameter.target ?? [];
  if (parts.length > 2 || !isId(id)) throw parameterFault(code, 'must be an id, Type/id or a url');
  if (type === undefined) return { kind: 'local', id };
  if (modifier !== undefined && type !== modifier)
    throw parameterFault(code, `names ${short(type)}, and its modifier says ${modifier}`);
  if (!definitions.isResourceType(type) || (targets.length > 0 && !targets.includes(type)))
    throw parameterFault(code, `cannot refer to ${short(type)}: possible are ${targets.join(', ')}`);
  return { kind: 'local', type, id };
}

function readId(code: string, id: string): string {
  if (!isId(id)) throw parameterFault(code, 'must be an id: 1 to 64 of A-Z, a-z, 0-9, "-" and "."');
  return id;
}

function split(text: string, by: string): [string, string?] {
  const at = text.indexOf(by);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Parts between separators that no backslash escapes; the escapes stay. */
function splitEscaped(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === separator) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  // An empty alternative asks for nothing, beside others.
  const full = parts.filter((part) => part !== '');
  return separator === ',' && full.length > 0 ? full : parts;
}

/** `\,` `\|` `\$` `\\` are the characters themselves (R4 search.html#escaping). */
function withoutEscapes(text: string): string {
  return text.includes('\\') ? text.replace(/\\([,|$\\])/g, '$1') : text;
}
