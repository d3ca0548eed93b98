/** One parameter of a query as a filter: its modifiers, chains and `_has` (R4 search.html#modifiers, #chaining, #has). */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { isFor } from '../fhir/posted-parameters.ts';
import { isId } from '../fhir/reference.ts';
import { referencePaths } from '../fhir/reference-paths.ts';
import { composed } from './composites.ts';
import { alternatives, withoutEscapes } from './escapes.ts';
import { parameterFault, short, tooCostly, UnknownParameter, unsupported } from './faults.ts';
import type { ChainTarget, Filter } from './request.ts';
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
  readTyped,
  readValueSet,
} from './values.ts';
import { readWords } from './words.ts';

/** So many alternatives one parameter may list. */
const MAX_VALUES = 1000;
/** So many value sets one parameter may name, and so many codes for what is above or below them. */
const MAX_VALUE_SETS = 10;
const MAX_HIERARCHIES = 50;
/** So many references a chain may follow, one after the other. */
const MAX_DEPTH = 6;

/** What parameters are read with. */
export interface Grammar {
  readonly definitions: Definitions;
  /** this server's FHIR base, for absolute references to it */
  readonly baseUrl: string;
}

/** Parameters that nothing finds yet. */
const LATER = new Set(['_query', '_filter']);

/** The parameters that a search of a type can have. */
export function searchable(definitions: Definitions, type: string): readonly SearchParameter[] {
  return definitions.searchParameters(type).filter(({ code }) => !LATER.has(code));
}

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
  if (name.startsWith('_has:')) return readHas(grammar, type, name, value, depth);
  const dot = name.indexOf('.');
  const [code = '', modifier, ...more] = (dot < 0 ? name : name.slice(0, dot)).split(':');
  if (more.length > 0) throw parameterFault(name, 'has two modifiers: it can have one');
  if (code === '_list') return readList(name, modifier, value);
  const parameter = findParameter(grammar, type, code);
  if (dot >= 0) return readChain(grammar, type, parameter, modifier, name.slice(dot + 1), value, depth);
  const values = alternatives(value);
  if (values.length > MAX_VALUES)
    throw tooCostly(`The parameter ${code} lists ${values.length} values: at most ${MAX_VALUES} are taken`);
  demandTaken(grammar, parameter, modifier, values);
  return modifier === undefined
    ? readPlain(grammar, type, parameter, values)
    : readModified(grammar, type, parameter, modifier, values);
}

function findParameter({ definitions }: Grammar, type: string, code: string): SearchParameter {
  const parameter = definitions.searchParameters(type).find((one) => one.code === code);
  if (parameter && !LATER.has(code)) return parameter;
  const { posted } = definitions;
  const coming = posted.parameters.find(
    ({ answers, parameter: one }) => !answers && one.code === code && isFor(definitions, one, type),
  );
  if (coming) {
    const { percent, job } = coming;
    const state =
      percent === undefined ? 'could not be indexed: see its' : `is being indexed: ${percent} % done,`;
    throw new UnknownParameter(type, code, [], `${state} job ${job}`);
  }
  throw new UnknownParameter(
    type,
    code,
    searchable(definitions, type).map((one) => one.code),
  );
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
      return { kind: 'token', parameter, values: values.map((one) => readToken(code, one)) };
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
      return { kind: 'uri', parameter, values: values.map(withoutEscapes) };
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

/** Whether it searches text, and has no values of its own: no modifiers either, and no order. */
export const isOfWords = ({ code }: SearchParameter): boolean => code === '_text' || code === '_content';

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

/** All modifiers that a parameter of a type may have. */
export const modifiersOf = (type: SearchParameter['type']): readonly string[] =>
  type === 'composite' ? [] : ['missing', ...MODIFIERS[type]];

function readModified(
  grammar: Grammar,
  type: string,
  parameter: SearchParameter,
  modifier: string,
  values: readonly string[],
): Filter {
  const { code } = parameter;
  if (isOfWords(parameter)) throw unsupported(code, 'has no modifiers');
  const plain = (): Filter => readPlain(grammar, type, parameter, values);
  // "For all parameters (except combination)" (R4 search.html#modifiers).
  if (modifier === 'missing' && parameter.type !== 'composite') {
    const [value, ...more] = values;
    if (more.length > 0 || (value !== 'true' && value !== 'false'))
      throw parameterFault(`${code}:missing`, 'must be true or false');
    if (code === '_id' || code === '_lastUpdated')
      return { kind: value === 'true' ? 'any' : 'all', filters: [] };
    return { kind: 'missing', parameter, missing: value === 'true' };
  }
  const { definitions, baseUrl } = grammar;
  if (parameter.type === 'reference' && definitions.isResourceType(modifier))
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
    case 'reference:identifier':
      return { kind: 'reference-identifier', parameter, values: values.map((one) => readToken(code, one)) };
  }
  const possible = modifiersOf(parameter.type);
  const known = possible.includes(modifier)
    ? 'is not supported yet'
    : `is none of its type, ${parameter.type}`;
  throw unsupported(
    code,
    `has the modifier ":${short(modifier)}", which ${known}: possible are ${possible.map((one) => `:${one}`).join(', ') || 'none'}`,
  );
}

function demandFew(name: string, values: readonly string[], most: number): void {
  if (values.length > most)
    throw tooCostly(`The parameter ${name} lists ${values.length} values: at most ${most} are taken`);
}

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

function readList(name: string, modifier: string | undefined, value: string): Filter {
  const id = value.startsWith('List/') ? value.slice('List/'.length) : value;
  if (modifier !== undefined || !isId(id))
    throw parameterFault(name, 'must be the id of one List, such as 42');
  return { kind: 'list', id };
}

/** `subject:Patient.name=…`: without a type, each that the reference may lead to and has the parameter. */
function readChain(
  grammar: Grammar,
  type: string,
  parameter: SearchParameter,
  modifier: string | undefined,
  rest: string,
  value: string,
  depth: number,
): Filter {
  const { definitions } = grammar;
  const name = `${parameter.code}${modifier === undefined ? '' : `:${modifier}`}.${rest}`;
  if (parameter.type !== 'reference')
    throw parameterFault(name, `is a chain, and ${parameter.code} is no reference but a ${parameter.type}`);
  if (!referencePaths(definitions, type, parameter))
    throw unsupported(
      name,
      'is a chain through canonicals, or through a part of the references of an element: it is not supported',
    );
  const next = /^[^.:]+/.exec(rest)?.[0] ?? '';
  if (parameter.chains && !parameter.chains.includes(next))
    throw unsupported(
      name,
      `goes on by ${short(next)}, which its SearchParameter does not list: possible are ${parameter.chains.join(', ') || 'none'}`,
    );
  const possible = parameter.target?.length ? parameter.target : definitions.resourceTypes;
  if (modifier !== undefined && !possible.includes(modifier))
    throw parameterFault(name, `cannot lead to ${short(modifier)}: possible are ${possible.join(', ')}`);
  const targets: ChainTarget[] = [];
  let unknown: UnknownParameter | undefined;
  for (const target of modifier === undefined ? possible : [modifier]) {
    try {
      targets.push({ type: target, filter: readFilter(grammar, target, rest, value, depth + 1) });
    } catch (fault) {
      if (!(fault instanceof UnknownParameter)) throw fault;
      unknown ??= fault;
    }
  }
  if (targets.length === 0 && unknown) throw unknown;
  return { kind: 'chain', parameter, targets };
}

/** `_has:Observation:patient:code=…`: who is referred to by such a resource. */
function readHas(grammar: Grammar, type: string, name: string, value: string, depth: number): Filter {
  const { definitions } = grammar;
  const [, source = '', code = '', ...rest] = name.split(':');
  if (!definitions.isResourceType(source) || rest.length === 0)
    throw parameterFault(
      name,
      'must be _has:Type:reference:parameter, such as _has:Observation:patient:code',
    );
  const parameter = findParameter(grammar, source, code);
  if (parameter.type !== 'reference')
    throw parameterFault(name, `needs a reference, and ${code} of ${source} is a ${parameter.type}`);
  if (parameter.target?.length && !parameter.target.includes(type))
    throw parameterFault(
      name,
      `cannot find a ${type}: ${code} of ${source} refers to ${parameter.target.join(', ')}`,
    );
  if (!referencePaths(definitions, source, parameter))
    throw unsupported(
      name,
      'goes by canonicals, or by a part of the references of an element: it is not supported',
    );
  return {
    kind: 'has',
    type: source,
    parameter,
    filter: readFilter(grammar, source, rest.join(':'), value, depth + 1),
  };
}
