/** The operators of `_filter`, as far as a type of parameter has them (R4 search_filter.html#ops). */
import type { Definitions, SearchParameter } from '../../fhir/definitions.ts';
import { composed } from '../composites.ts';
import { withoutEscapes } from '../escapes.ts';
import { parameterFault, short, unsupported } from '../faults.ts';
import { componentsOf, type Grammar, isOfWords } from '../parameters.ts';
import type { DateValue, Filter, QuantityValue, StringModifier, TokenValue } from '../request.ts';
import { UCUM } from '../units.ts';
import {
  readCoding,
  readComposite,
  readDate,
  readFolded,
  readId,
  readNear,
  readNumber,
  readQuantity,
  readReference,
  readToken,
  readValueSet,
} from '../values.ts';
import { readWords } from '../words.ts';

const ORDERED = ['eq', 'ne', 'gt', 'lt', 'ge', 'le', 'ap', 'sa', 'eb', 'pr'];

/**
 * Those that the standard's table has. A number's own precision, which `co` would ask for, is not in the index; uris,
 * composites and places, of which the table does not speak, have what their parameters can be asked for.
 */
const OPERATORS: Readonly<Record<SearchParameter['type'], readonly string[]>> = {
  string: ['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'lt', 'ge', 'le', 'pr'],
  number: ORDERED,
  quantity: ORDERED,
  date: [...ORDERED, 'co', 'po'],
  token: ['eq', 'ne', 'ss', 'sb', 'in', 'ni', 'pr'],
  reference: ['re', 'pr'],
  uri: ['eq', 'ne', 'sw', 'pr'],
  composite: ['eq'],
  special: ['eq', 'pr'],
};

/** What may be written for a code system (R4 search_filter.html#ops, the note below). */
const SYSTEMS: Readonly<Record<string, string>> = {
  loinc: 'http://loinc.org',
  snomed: 'http://snomed.info/sct',
  rxnorm: 'http://www.nlm.nih.gov/research/umls/rxnorm',
  ucum: UCUM,
};

/**
 * A test of a parameter.
 *
 * @throws Refusal 400 for an operator that the parameter's type does not have, and for a value that is none of it
 */
export function operation(
  grammar: Grammar,
  type: string,
  parameter: SearchParameter,
  operator: string,
  value: string,
): Filter {
  const { code } = parameter;
  const possible = operatorsOf(parameter);
  if (!possible.includes(operator))
    throw unsupported(
      code,
      `is a ${parameter.type}, and in _filter cannot be tested by "${short(operator)}": possible are ${possible.join(', ')}`,
    );
  if (operator === 'pr') return presence(parameter, value);
  if (isOfWords(parameter))
    return {
      kind: 'words',
      within: code === '_text' ? 'narrative' : 'content',
      values: readWords(code, [value]),
    };
  const { definitions, baseUrl } = grammar;
  switch (parameter.type) {
    case 'string':
      return { kind: 'string', parameter, modifier: STRINGS[operator], values: [readFolded(code, value)] };
    case 'number':
      return { kind: 'number', parameter, values: [readNumber(code, operator + value)] };
    case 'quantity': {
      const values = [withSystem(readQuantity(code, operator + value))];
      return { kind: 'quantity', parameter, values };
    }
    case 'date':
      return dateTest(parameter, operator, value);
    case 'token':
      return tokenTest(grammar, type, parameter, operator, value);
    case 'reference': {
      const reference = readReference(definitions, parameter, withoutEscapes(value), undefined, baseUrl);
      return { kind: 'reference', parameter, values: [reference] };
    }
    case 'uri':
      return { kind: 'uri', parameter, modifier: URIS[operator], values: [value] };
    case 'composite': {
      const parts = componentsOf(definitions, type, parameter);
      return composed(definitions, type, parameter, parts, [
        readComposite(definitions, parameter, parts, value, baseUrl),
      ]);
    }
    case 'special':
      return { kind: 'near', parameter, values: [readNear(code, value)] };
  }
}

/** Those that a parameter can be tested by. */
export function operatorsOf(parameter: SearchParameter): readonly string[] {
  if (isOfWords(parameter)) return ['co'];
  if (parameter.code === '_id') return ['eq', 'ne', 'pr'];
  return OPERATORS[parameter.type];
}

/** Beginnings are what a string search without a modifier asks for. */
const STRINGS: Readonly<Record<string, StringModifier | undefined>> = {
  eq: 'eq',
  ne: 'ne',
  gt: 'gt',
  lt: 'lt',
  ge: 'ge',
  le: 'le',
  co: 'contains',
  ew: 'ends',
};

const URIS: Readonly<Record<string, 'ne' | 'below' | undefined>> = { ne: 'ne', sw: 'below' };

function presence(parameter: SearchParameter, value: string): Filter {
  const { code } = parameter;
  const wanted = value.toLowerCase();
  if (wanted !== 'true' && wanted !== 'false') throw parameterFault(code, 'must be true or false after "pr"');
  if (code === '_id' || code === '_lastUpdated')
    return { kind: wanted === 'true' ? 'all' : 'any', filters: [] };
  return { kind: 'missing', parameter, missing: wanted === 'false' };
}

function dateTest(parameter: SearchParameter, operator: string, value: string): Filter {
  const { code } = parameter;
  const own = operator === 'co' || operator === 'po' ? operator : undefined;
  const read = readDate(code, `${own ? 'eq' : operator}${value}`);
  const values: DateValue[] = [own ? { ...read, prefix: own } : read];
  return code === '_lastUpdated' ? { kind: 'updated', values } : { kind: 'date', parameter, values };
}

function tokenTest(
  { definitions, baseUrl }: Grammar,
  type: string,
  parameter: SearchParameter,
  operator: string,
  value: string,
): Filter {
  const { code } = parameter;
  if (code === '_id') {
    const filter: Filter = { kind: 'id', ids: [readId(code, value)] };
    return operator === 'eq' ? filter : { kind: 'not', filter };
  }
  switch (operator) {
    case 'in':
    case 'ni': {
      const filter: Filter = {
        kind: 'value-set',
        parameter,
        valueSets: [readValueSet(code, value, baseUrl)],
      };
      return operator === 'in' ? filter : { kind: 'not', filter };
    }
    // What the value subsumes is below it, and what subsumes it above.
    case 'ss':
    case 'sb': {
      const values = [withSystem(readCoding(code, value)) as Required<TokenValue>];
      return { kind: 'hierarchy', parameter, direction: operator === 'ss' ? 'below' : 'above', values };
    }
  }
  const values = [withSystem(readToken(code, value))];
  const equal: Filter = { kind: 'token', parameter, values };
  if (operator === 'eq') return equal;
  if (!isOne(definitions, type, parameter)) return { kind: 'token-other', parameter, values };
  return {
    kind: 'all',
    filters: [
      { kind: 'missing', parameter, missing: false },
      { kind: 'not', filter: equal },
    ],
  };
}

function withSystem<T extends TokenValue | QuantityValue>(value: T): T {
  const system = SYSTEMS[value.system?.toLowerCase() ?? ''];
  return system === undefined ? value : { ...value, system };
}

/** Whether a resource has one value of a parameter at most: then it has another if it has not this one. */
function isOne(definitions: Definitions, type: string, { expression = '' }: SearchParameter): boolean {
  const paths = expression.split('|').map((path) => path.trim().split('.'));
  const own = paths.filter(([of]) => of === type);
  const [[, name = '', ...more] = []] = own;
  if (own.length !== 1 || more.length > 0) return false;
  const element = definitions.elements(type).get(name);
  return element?.max === 1 && element.types.every((one) => /^[a-z]/.test(one));
}

/** One of several. Values of one parameter that are asked for in the same way are looked for together. */
export function either(filters: readonly Filter[]): Filter {
  const merged: Filter[] = [];
  for (const filter of filters) {
    const at = merged.findIndex((one) => isAlike(one, filter));
    const known = merged[at];
    if (known && 'values' in known && 'values' in filter)
      merged[at] = { ...known, values: [...known.values, ...filter.values] } as Filter;
    else merged.push(filter);
  }
  return merged.length === 1 ? (merged[0] as Filter) : { kind: 'any', filters: merged };
}

function isAlike(one: Filter, other: Filter): boolean {
  if (one.kind !== other.kind || !('values' in one && 'values' in other)) return false;
  if (!('parameter' in one && 'parameter' in other) || one.parameter !== other.parameter) return false;
  const modifierOf = (filter: object): unknown => ('modifier' in filter ? filter.modifier : undefined);
  return modifierOf(one) === modifierOf(other) && one.kind !== 'hierarchy';
}
