/** One parameter of a query as a filter: its modifiers, chains and `_has` (R4 search.html#modifiers, #chaining, #has). */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { isId } from '../fhir/reference.ts';
import { isOfIdentifiers } from '../fhir/token-types.ts';
import { composed } from './composites.ts';
import { alternatives, isEscaped, splitEscaped, withoutEscapes } from './escapes.ts';
import { MAX_DEPTH, parameterFault, short, tooCostly, unsupported } from './faults.ts';
import { readExpression } from './filter-language/read.ts';
import { hasHierarchy, readHierarchical } from './hierarchies.ts';
import { type AtTheEnd, chainFilter, hasFilter } from './joins.ts';
import { componentsOf, findParameter, type Grammar, isOfWords } from './parameters.ts';
import type { Filter } from './request.ts';
import {
  readCoding,
  readComposite,
  readDate,
  readHierarchicalUri,
  readId,
  readNear,
  readNumber,
  readQuantity,
  readReference,
  readString,
  readToken,
  readTokenOf,
  readTyped,
  readValueSet,
} from './values.ts';
import { readWords } from './words.ts';

/** So many alternatives one parameter may list. */
const MAX_VALUES = 1000;
/** And so many of those types that the index looks up all at once. */
const MAX_LISTED = 20_000;
const LISTED = new Set<SearchParameter['type']>(['token', 'reference', 'uri']);
/** So many value sets one parameter may name, and so many codes for what is above or below them. */
const MAX_VALUE_SETS = 10;
const MAX_HIERARCHIES = 50;
/**
 * Reads a parameter.
 *
 * @param type  of what is searched for
 * @param name  with modifiers and chains, as in the query
 * @throws      Refusal 400; UnknownParameter
 */
export function readFilter(grammar: Grammar, type: string, name: string, value: string, depth = 0): Filter {
  if (depth > MAX_DEPTH)
    throw tooCostly(`A chain may follow ${MAX_DEPTH} references: shorten ${short(name)}`);
  if (/^_has(?::|$)/.test(name)) {
    const [, source = '', code = '', ...rest] = name.split(':');
    const inner = rest.join(':');
    // Without one it is no `_has` at all, and said to be so.
    const from = inner === '' ? { source: '', code } : { source, code };
    return hasFilter(grammar, type, name, from, (end) => readFilter(grammar, end, inner, value, depth + 1));
  }
  const dot = name.indexOf('.');
  const [code = '', modifier, ...more] = (dot < 0 ? name : name.slice(0, dot)).split(':');
  if (more.length > 0) throw parameterFault(name, 'has two modifiers: it can have one');
  if (code === '_list' || code === '_filter') {
    if (modifier !== undefined || dot >= 0)
      throw parameterFault(name, `is no ${code}: it has no modifiers, and leads nowhere`);
    return code === '_list' ? readList(value) : readExpression(grammar, type, value, depth);
  }
  const parameter = findParameter(grammar, type, code);
  if (dot >= 0) {
    const rest = name.slice(dot + 1);
    const end: AtTheEnd = (target) => readFilter(grammar, target, rest, value, depth + 1);
    return chainFilter(grammar, type, name, { parameter, modifier }, end);
  }
  if (!isEscaped(value))
    throw parameterFault(name, 'holds a "\\" that escapes nothing: as itself it is written "\\\\"');
  const values = alternatives(value);
  demandFew(code, values, LISTED.has(parameter.type) ? MAX_LISTED : MAX_VALUES);
  demandTaken(grammar, parameter, modifier, values);
  return modifier === undefined
    ? readPlain(grammar, type, parameter, values)
    : readModified(grammar, type, parameter, modifier, values);
}

/** What a posted parameter says of itself: that is all that it takes. */
function demandTaken(
  { definitions }: Grammar,
  { code, posted, modifiers, multipleOr, comparators }: SearchParameter,
  modifier: string | undefined,
  values: readonly string[],
): void {
  if (posted === undefined) return;
  if (values.length > 1 && multipleOr === false)
    throw parameterFault(code, 'takes one value, and no list (SearchParameter.multipleOr)');
  const name = modifier !== undefined && definitions.isResourceType(modifier) ? '[type]' : modifier;
  if (name !== undefined && modifiers && !modifiers.includes(name))
    throw unsupported(
      code,
      `has the modifier ":${short(name)}", which its SearchParameter does not list: possible are ${modifiers.map((one) => `:${one}`).join(', ') || 'none'}`,
    );
  // Without a prefix a value is to be equal, which is always possible.
  const prefix =
    comparators && values.map((one) => one.slice(0, 2)).find((two) => /^(?!eq)[a-z]{2}$/.test(two));
  if (prefix && !comparators.includes(prefix))
    throw unsupported(
      code,
      `has the prefix ${prefix}, which its SearchParameter does not list: possible are ${comparators.join(', ') || 'none'}`,
    );
}

function readPlain(
  { definitions, baseUrl }: Grammar,
  type: string,
  parameter: SearchParameter,
  values: readonly string[],
): Filter {
  const { code } = parameter;
  if (isOfWords(parameter))
    return {
      kind: 'words',
      within: code === '_text' ? 'narrative' : 'content',
      values: readWords(code, values.map(withoutEscapes)),
    };
  switch (parameter.type) {
    case 'date': {
      const dates = values.map((one) => readDate(code, one));
      return code === '_lastUpdated'
        ? { kind: 'updated', values: dates }
        : { kind: 'date', parameter, values: dates };
    }
    case 'number':
      return { kind: 'number', parameter, values: values.map((one) => readNumber(code, one)) };
    case 'quantity':
      return { kind: 'quantity', parameter, values: values.map((one) => readQuantity(code, one)) };
    case 'token':
      if (code === '_id') return { kind: 'id', ids: values.map((id) => readId(code, withoutEscapes(id))) };
      return readTokens(parameter, values);
    case 'reference':
      return {
        kind: 'reference',
        parameter,
        values: values.map((one) =>
          readReference(definitions, parameter, withoutEscapes(one), undefined, baseUrl),
        ),
      };
    case 'string':
      return { kind: 'string', parameter, values: values.map((one) => readString(code, one)) };
    case 'uri':
      return readUris(definitions, type, parameter, values);
    case 'composite': {
      const parts = componentsOf(definitions, type, parameter);
      const read = values.map((one) => readComposite(definitions, parameter, parts, one, baseUrl));
      return composed(definitions, type, parameter, parts, read);
    }
    case 'special':
      if (code === 'near')
        return { kind: 'near', parameter, values: values.map((one) => readNear(code, one)) };
      throw unsupported(code, 'is not supported: nothing finds what it asks for');
  }
}

function readTokens(parameter: SearchParameter, values: readonly string[]): Filter {
  const tokens = values.map((one) => readTokenOf(parameter, one));
  // Any code of the one system that codes have: whatever has a value.
  if (tokens.some(({ system, code }) => system === undefined && code === undefined))
    return { kind: 'missing', parameter, missing: false };
  return { kind: 'token', parameter, values: tokens };
}

/** The url of what is known by one may have a version: `url=http://a/b|2.0` asks for both (R4 search.html#uri). */
function readUris(
  definitions: Definitions,
  type: string,
  parameter: SearchParameter,
  values: readonly string[],
): Filter {
  const version = definitions.searchParameters(type).find((one) => one.code === 'version');
  const versioned = (text: string): boolean =>
    parameter.code === 'url' && version?.type === 'token' && splitEscaped(text, '|').length === 2;
  const whole = values.filter((one) => !versioned(one)).map(withoutEscapes);
  const filters = values.filter(versioned).map((text): Filter => {
    const [url = '', code = ''] = splitEscaped(text, '|').map(withoutEscapes);
    return {
      kind: 'all',
      filters: [
        { kind: 'uri', parameter, values: [url] },
        readTokens(version as SearchParameter, [code.replace(/[\\,|$]/g, '\\$&')]),
      ],
    };
  });
  const plain: Filter = { kind: 'uri', parameter, values: whole };
  if (filters.length === 0) return plain;
  return { kind: 'any', filters: whole.length > 0 ? [plain, ...filters] : filters };
}

/** Which modifiers a type of parameter has (R4 search.html#modifiers). */
const MODIFIERS: Readonly<Record<SearchParameter['type'], readonly string[]>> = {
  number: [],
  date: [],
  string: ['exact', 'contains'],
  token: ['not', 'text', 'of-type', 'in', 'not-in', 'above', 'below'],
  reference: ['identifier', 'above', 'below', '[type]'],
  composite: [],
  quantity: [],
  uri: ['above', 'below'],
  special: [],
};

/** The modifiers that a parameter of a type of resource can have. */
export function modifiersOf(
  definitions: Definitions,
  type: string,
  parameter: SearchParameter,
): readonly string[] {
  if (isOfWords(parameter) || parameter.type === 'composite') return [];
  if (parameter.code === '_id') return ['missing', 'not'];
  const own = MODIFIERS[parameter.type];
  const without = new Set<string>();
  if (parameter.type === 'token' && !isOfIdentifiers(definitions, type, parameter)) without.add('of-type');
  if (parameter.type === 'reference' && !hasHierarchy(definitions, parameter)) without.add('above');
  return ['missing', ...own.filter((modifier) => !without.has(modifier))];
}

/** All modifiers that a parameter of a type may have. */
export const allModifiersOf = (type: SearchParameter['type']): readonly string[] =>
  type === 'composite' ? [] : ['missing', ...MODIFIERS[type]];

function readModified(
  grammar: Grammar,
  type: string,
  parameter: SearchParameter,
  modifier: string,
  values: readonly string[],
): Filter {
  const { code } = parameter;
  const plain = (): Filter => readPlain(grammar, type, parameter, values);
  const { definitions, baseUrl } = grammar;
  const ofType = parameter.type === 'reference' && definitions.isResourceType(modifier);
  const possible = modifiersOf(definitions, type, parameter);
  if (!ofType && !possible.includes(modifier)) {
    const others = possible.map((one) => `:${one}`).join(', ') || 'none';
    throw unsupported(
      code,
      `has the modifier ":${short(modifier)}", which it cannot have: possible are ${others}`,
    );
  }
  // "For all parameters (except combination)" (R4 search.html#modifiers).
  if (modifier === 'missing') {
    const [value, ...more] = values;
    if (more.length > 0 || (value !== 'true' && value !== 'false'))
      throw parameterFault(`${code}:missing`, 'must be true or false');
    if (code === '_id' || code === '_lastUpdated')
      return { kind: value === 'true' ? 'any' : 'all', filters: [] };
    return { kind: 'missing', parameter, missing: value === 'true' };
  }
  if (ofType)
    return {
      kind: 'reference',
      parameter,
      values: values.map((one) =>
        readReference(definitions, parameter, withoutEscapes(one), modifier, baseUrl),
      ),
    };
  switch (`${parameter.type}:${modifier}`) {
    case 'token:not':
      return { kind: 'not', filter: plain() };
    case 'token:in':
    case 'token:not-in': {
      demandFew(`${code}:${modifier}`, values, MAX_VALUE_SETS);
      const valueSets = values.map((one) => readValueSet(code, withoutEscapes(one), baseUrl));
      const filter: Filter = { kind: 'value-set', parameter, valueSets };
      return modifier === 'in' ? filter : { kind: 'not', filter };
    }
    case 'token:above':
    case 'token:below':
      demandFew(`${code}:${modifier}`, values, MAX_HIERARCHIES);
      // What mime types begin with is indexed as their systems (R4 search.html#mimetype).
      if (code === 'contenttype' && modifier === 'below')
        return { kind: 'token', parameter, values: values.map((one) => ({ system: withoutEscapes(one) })) };
      return {
        kind: 'hierarchy',
        parameter,
        direction: modifier as 'above',
        values: values.map((one) => readCoding(code, one)),
      };
    case 'token:text':
      return { kind: 'token-text', parameter, values: values.map(withoutEscapes) };
    case 'token:of-type':
      return { kind: 'of-type', parameter, values: values.map((one) => readTyped(code, one)) };
    case 'string:exact':
    case 'string:contains': {
      const how = modifier as 'exact';
      return {
        kind: 'string',
        parameter,
        modifier: how,
        values: values.map((one) => readString(code, one, how)),
      };
    }
    case 'uri:above':
    case 'uri:below': {
      const uris = values.map((one) => readHierarchicalUri(code, one));
      return { kind: 'uri', parameter, modifier: modifier as 'above', values: uris };
    }
    case 'reference:above':
    case 'reference:below':
      return readHierarchical(grammar, parameter, modifier as 'above', values);
    default:
      // `[type]` in these words is none.
      if (modifier !== 'identifier')
        throw parameterFault(`${code}:${modifier}`, 'must name a type, as in subject:Patient');
      return { kind: 'reference-identifier', parameter, values: values.map((one) => readToken(code, one)) };
  }
}

function demandFew(name: string, values: readonly string[], most: number): void {
  if (values.length > most)
    throw tooCostly(`The parameter ${name} lists ${values.length} values: at most ${most} are taken`);
}

function readList(value: string): Filter {
  const id = value.startsWith('List/') ? value.slice('List/'.length) : value;
  // Which care is current is a judgement that R4 leaves open (list.html#functional).
  if (id.startsWith('$'))
    throw unsupported(
      '_list',
      'names one of the derived lists, and this server has none: name a List by its id, or search by status and patient, as in Condition?patient=42&clinical-status=active',
    );
  if (!isId(id)) throw parameterFault('_list', 'must be the id of one List, such as 42');
  return { kind: 'list', id };
}
