/** Searches built from the definitions of a type's parameters, by values that resources have. */
import fc from 'fast-check';
import type { Definitions, SearchParameter } from '../../../src/fhir/definitions.ts';
import { BASE_URL } from '../../support/records.ts';
import {
  code,
  codes,
  id,
  ids,
  name,
  names,
  numbers,
  searchedDate,
  systems,
  units,
  url,
  urls,
} from './elements.ts';
import { TYPES } from './resources.ts';

export type Parameter = readonly [name: string, value: string];

export interface Search {
  /** one, or several, which `_type` names */
  readonly types: readonly string[];
  /** the compartment that is searched */
  readonly within?: { readonly type: string; readonly id: string };
  /** `%updated3%` is the time of a resource */
  readonly parameters: readonly Parameter[];
  /** the value of `_sort`; empty: as the server likes */
  readonly sort: string;
  readonly count: number;
  readonly total: boolean;
  readonly post: boolean;
}

/** What searches are built from. */
export interface Vocabulary {
  readonly definitions: Definitions;
  /** The parameters of a type for which resources have values. */
  parametersOf(type: string): readonly SearchParameter[];
}

export const escaped = (text: string): string => text.replace(/[\\,|$]/g, '\\$&');

export const several = (value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(value, { minLength: 1, maxLength: 3 }).map((all) => all.join(','));

const exact = ['', 'eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb'];
const prefix = fc.constantFrom(...exact, 'ap');

const token = fc.oneof(
  code,
  fc.constantFrom(...codes, 'female', 'true', 'final', 'phone', 'Patient', 'Text', '1.2', 'a').map(escaped),
  fc
    .tuple(fc.constantFrom('', ...systems), fc.oneof(fc.constantFrom('', ...codes), code))
    .filter(([from, what]) => from !== '' || what !== '')
    .map(([from, what]) => `${escaped(from)}|${escaped(what)}`),
);

/** Values of parameters, by their types. */
export const VALUES: Readonly<Record<SearchParameter['type'], fc.Arbitrary<string>>> = {
  date: fc.tuple(prefix, searchedDate).map((both) => both.join('')),
  token,
  string: fc.oneof(
    {
      weight: 12,
      arbitrary: fc
        .tuple(
          name.filter((one) => one !== '-'),
          fc.nat({ max: 3 }),
          fc.boolean(),
        )
        .map(([text, length, upper]) =>
          escaped([...(upper ? text.toUpperCase() : text)].slice(0, length + 1).join('')),
        ),
    },
    // nearly as much as the index has together
    { weight: 1, arbitrary: fc.constantFrom('ÄB😀 '.repeat(100), 'äb😀 '.repeat(99).trim()) },
  ),
  uri: url.map(escaped),
  special: fc
    .tuple(
      fc.constantFrom('42.36|-71.06', '0|180', '90|10', '-90|0'),
      fc.constantFrom('', '|1|km', '|10|km', '|20000|km'),
    )
    .map((both) => both.join('')),
  number: fc.tuple(prefix, fc.constantFrom(...numbers, '1e2', '100.0', '5.40')).map((both) => both.join('')),
  quantity: fc
    .tuple(
      prefix,
      fc.constantFrom(...numbers, '1e2', '100.0', '5.4e-3', 278.55),
      fc.constantFrom(
        '',
        ...units.flatMap((unit) => [`||${unit}`, `|http://unitsofmeasure.org|${unit}`]),
        '|http://a|mg',
        '|http://a|',
      ),
    )
    .map((all) => all.join('')),
  reference: fc.oneof(
    id,
    fc.tuple(fc.constantFrom(...TYPES), id).map((both) => both.join('/')),
  ),
  composite: fc.constant(''),
};

/** Modifiers of a type of parameter, and values for them. */
const MODIFIED: Readonly<
  Partial<Record<SearchParameter['type'], Readonly<Record<string, fc.Arbitrary<string>>>>>
> = {
  token: {
    not: token,
    text: fc.constantFrom('text', 'DISP', 'x', 'none'),
    'of-type': fc
      .tuple(fc.constantFrom('', ...systems), code, fc.constantFrom(...codes))
      .map((parts) => parts.map(escaped).join('|')),
    in: fc.constantFrom('http://a/vs/some', 'http://a/vs/below', 'ValueSet/oracle-some'),
    'not-in': fc.constantFrom('http://a/vs/some', 'http://a/vs/below'),
    above: fc.constantFrom('http://a|y', 'http://a|x', 'http://a|X'),
    below: fc.constantFrom('http://a|x', 'http://a|y', 'http://a|X'),
  },
  string: {
    exact: fc
      .tuple(name, fc.constantFrom('', '', '', 'lower', 'short'))
      .map(([text, how]) =>
        how === 'lower' ? text.toLowerCase() : how === 'short' ? text.slice(0, -1) || 'x' : text,
      )
      .map(escaped),
    contains: fc.oneof(
      fc.constantFrom('end', 'b😀 a'.repeat(40)),
      fc
        .tuple(fc.constantFrom(...names.filter((one) => one !== '-')), fc.nat({ max: 3 }))
        .map(([text, from]) => escaped([...text].slice(from, from + 2).join('')))
        .filter((text) => /[\p{L}\p{N}]/u.test(text)),
    ),
  },
  uri: {
    below: fc.constantFrom('http://a', 'http://a/', 'http://a/q|'),
    above: fc.constantFrom('http://a/q/more', 'http://a/Q'),
  },
};

/** Codings are in these: what has no system is in no value set and no hierarchy. */
const CODED =
  /^(?:code|category|combo-code|component-code|value-concept|combo-value-concept|_tag|_security|class|vaccine-code|type|context|context-type)$/;
const TERMINOLOGICAL = new Set(['in', 'not-in', 'above', 'below']);

const words = fc.constantFrom(
  'soren',
  'x',
  'strasse',
  'anne marie',
  '"Anne Marie"',
  'text or brien',
  'x and not text',
  '(uber OR soren) x',
);

/** Of the types that are searched here, those that a reference may lead to. */
const targetsOf = ({ target = [] }: SearchParameter): readonly string[] =>
  target.filter((type) => TYPES.includes(type));

/** A search with a modifier, or none where the parameter has none. */
function modified(searched: SearchParameter): fc.Arbitrary<Parameter> | undefined {
  const { code: name, type } = searched;
  // Combinations have no modifiers.
  if (/^_(?:lastUpdated|text|content)$/.test(name) || type === 'composite' || type === 'special')
    return undefined;
  const missing = fc.constantFrom('true', 'false').map((value): Parameter => [`${name}:missing`, value]);
  if (name === '_id') return several(id).map((value): Parameter => [`_id:not`, value]);
  const own = Object.entries(MODIFIED[type] ?? {})
    .filter(([modifier]) => modifier !== 'of-type' || name.endsWith('identifier'))
    .filter(([modifier]) => type !== 'token' || !TERMINOLOGICAL.has(modifier) || CODED.test(name))
    .map(([modifier, value]) => several(value).map((values): Parameter => [`${name}:${modifier}`, values]));
  const logical = several(token).map((value): Parameter => [`${name}:identifier`, value]);
  const others = type === 'reference' ? [logical, ...inHierarchies(searched)] : own;
  return fc.oneof(missing, ...others);
}

/** Of these, some are part of others. */
const HIERARCHIES = ['Organization', 'Location'];

function inHierarchies(searched: SearchParameter): fc.Arbitrary<Parameter>[] {
  const types = targetsOf(searched).filter((type) => HIERARCHIES.includes(type));
  if (types.length === 0) return [];
  return ['above', 'below'].map((direction) =>
    fc
      .tuple(fc.constantFrom(...types), id)
      .map(([type, one]): Parameter => [`${searched.code}:${direction}`, `${type}/${one}`]),
  );
}

/** A search by references: to the types that the parameter can have, or by modifier to one of them. */
function byReference(searched: SearchParameter): fc.Arbitrary<Parameter> {
  const { code: name, target = [] } = searched;
  const one = (types: readonly string[]): fc.Arbitrary<string> =>
    fc.oneof(
      id,
      fc.tuple(fc.constantFrom(...types), id).map((both) => both.join('/')),
      fc.constantFrom(...urls, 'http://a/q|2').map(escaped),
      fc
        .tuple(
          fc.constantFrom('', `${BASE_URL}/`, 'http://elsewhere/fhir/'),
          fc.constantFrom(...types),
          id,
          fc.constantFrom('', '', '/_history/2', '/_history/3'),
        )
        .map(([base, type, of, version]) => `${base}${type}/${of}${version}`),
    );
  const known = targetsOf(searched);
  const types = known.length > 0 ? known : target;
  if (types.length === 0) return several(id).map((value): Parameter => [name, value]);
  return fc.oneof(
    several(one(types)).map((value): Parameter => [name, value]),
    fc
      .constantFrom(...types)
      .chain((type) => several(one([type])).map((value): Parameter => [`${name}:${type}`, value])),
  );
}

/** The parameters that a composite is made of. */
export function partsOf(definitions: Definitions, { component = [] }: SearchParameter): SearchParameter[] {
  const all = TYPES.flatMap((type) => definitions.searchParameters(type));
  return component.map(({ definition }) => all.find(({ url: one }) => one === definition) as SearchParameter);
}

/** The values of a composite's parts, apart by `$`. */
export const composite = (parts: readonly SearchParameter[]): fc.Arbitrary<string> =>
  fc.tuple(...parts.map(({ type }) => VALUES[type])).map((all) => all.join('$'));

function plain({ definitions }: Vocabulary, searched: SearchParameter): fc.Arbitrary<Parameter> {
  const { code: name, type } = searched;
  if (type === 'reference') return byReference(searched);
  const value =
    name === '_id'
      ? id
      : name === '_lastUpdated'
        ? // ap of what was written just now means another moment at each look
          fc.tuple(fc.constantFrom(...exact), fc.nat(40)).map(([how, n]) => `${how}%updated${n}%`)
        : name === '_text' || name === '_content'
          ? words
          : type === 'composite'
            ? composite(partsOf(definitions, searched))
            : VALUES[type];
  return several(value).map((values): Parameter => [name, values]);
}

/** So many references a chain follows at most. */
const DEEPEST = 2;

/** One parameter of a search of a type. */
function parameter(vocabulary: Vocabulary, type: string, depth = 0): fc.Arbitrary<Parameter> {
  const all = vocabulary.parametersOf(type);
  const own = fc.constantFrom(...all).chain((one) => plain(vocabulary, one));
  const withModifier = fc.constantFrom(...all).chain((one) => modified(one) ?? plain(vocabulary, one));
  const kinds = [
    { weight: 8, arbitrary: own },
    { weight: 6, arbitrary: withModifier },
  ];
  if (depth === 0)
    kinds.push({ weight: 1, arbitrary: fc.constantFrom(...ids).map((list): Parameter => ['_list', list]) });
  if (depth < DEEPEST) {
    const joins = [...chains(vocabulary, type, depth), ...hasOf(vocabulary, type, depth)];
    if (joins.length > 0) kinds.push({ weight: 5, arbitrary: fc.oneof(...joins) });
  }
  return fc.oneof(...kinds);
}

const isReference = ({ type }: SearchParameter): boolean => type === 'reference';

function chains(vocabulary: Vocabulary, type: string, depth: number): fc.Arbitrary<Parameter>[] {
  const links = vocabulary
    .parametersOf(type)
    .filter(isReference)
    .flatMap((one) =>
      targetsOf(one).map((target) => ({ code: one.code, target, only: one.target?.length === 1 })),
    );
  if (links.length === 0) return [];
  return [
    fc
      .tuple(fc.constantFrom(...links), fc.boolean())
      .chain(([{ code: name, target, only }, bare]) =>
        parameter(vocabulary, target, depth + 1).map(
          ([rest, value]): Parameter => [
            only || bare ? `${name}.${rest}` : `${name}:${target}.${rest}`,
            value,
          ],
        ),
      ),
  ];
}

function hasOf(vocabulary: Vocabulary, type: string, depth: number): fc.Arbitrary<Parameter>[] {
  const links = TYPES.flatMap((source) =>
    vocabulary
      .parametersOf(source)
      .filter(isReference)
      .filter((one) => !one.target?.length || one.target.includes(type))
      .map((one) => ({ source, code: one.code })),
  );
  if (links.length === 0) return [];
  return [
    fc
      .constantFrom(...links)
      .chain(({ source, code: name }) =>
        parameter(vocabulary, source, depth + 1).map(
          ([rest, value]): Parameter => [`_has:${source}:${name}:${rest}`, value],
        ),
      ),
  ];
}

function sortOf(vocabulary: Vocabulary, type: string): fc.Arbitrary<string> {
  const sortable = vocabulary
    .parametersOf(type)
    .filter(
      ({ type: kind, code: name }) =>
        kind !== 'composite' && kind !== 'special' && !/^_(?:text|content)$/.test(name),
    )
    .map((one) => one.code);
  const key = fc
    .tuple(fc.constantFrom('', '-'), fc.constantFrom(...new Set([...sortable, '_id', '_lastUpdated'])))
    .map((both) => both.join(''));
  return fc.oneof(
    fc.constant(''),
    fc.constantFrom('_lastUpdated', '-_lastUpdated'),
    fc
      .uniqueArray(key, { minLength: 1, maxLength: 3, selector: (one) => one.replace('-', '') })
      .map((all) => all.join(',')),
  );
}

const shape = { count: fc.constantFrom(1, 2, 3, 5, 8, 20), total: fc.boolean(), post: fc.boolean() };

function ofType(vocabulary: Vocabulary, type: string): fc.Arbitrary<Search> {
  return fc.record({
    types: fc.constant([type]),
    parameters: fc.oneof(
      { weight: 3, arbitrary: fc.tuple(parameter(vocabulary, type)) },
      { weight: 1, arbitrary: fc.tuple(parameter(vocabulary, type), parameter(vocabulary, type)) },
    ),
    sort: sortOf(vocabulary, type),
    ...shape,
  });
}

function ofCompartment(vocabulary: Vocabulary): fc.Arbitrary<Search> {
  const { definitions } = vocabulary;
  const members = [...definitions.compartments].flatMap((of) =>
    TYPES.filter((type) => type === of || definitions.compartment(of, type).length > 0).map((type) => ({
      of,
      type,
    })),
  );
  return fc.constantFrom(...members).chain(({ of, type }) =>
    fc.record({
      types: fc.constant([type]),
      within: id.map((one) => ({ type: of, id: one })),
      parameters: fc.array(parameter(vocabulary, type, 1), { maxLength: 1 }),
      sort: sortOf(vocabulary, type),
      ...shape,
      post: fc.constant(false),
    }),
  );
}

function ofSystem(vocabulary: Vocabulary): fc.Arbitrary<Search> {
  return fc.uniqueArray(fc.constantFrom(...TYPES), { minLength: 2, maxLength: 4 }).chain((types) => {
    const [first = '', ...others] = types;
    const isCommon = ({ code: name, type }: SearchParameter): boolean =>
      type !== 'reference' &&
      others.every((each) =>
        vocabulary.parametersOf(each).some((one) => one.code === name && one.type === type),
      );
    const common = vocabulary.parametersOf(first).filter(isCommon);
    return fc.record({
      types: fc.constant(types),
      parameters: fc.array(
        fc.constantFrom(...common).chain((one) => plain(vocabulary, one)),
        { minLength: 1, maxLength: 2 },
      ),
      sort: fc.constantFrom('', '_lastUpdated', '-_lastUpdated', '_id', '-_id,_lastUpdated'),
      ...shape,
    });
  });
}

/** Any search of a world. */
export function search(vocabulary: Vocabulary): fc.Arbitrary<Search> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.oneof(...TYPES.map((type) => ofType(vocabulary, type))) },
    { weight: 3, arbitrary: ofCompartment(vocabulary) },
    { weight: 2, arbitrary: ofSystem(vocabulary) },
  );
}
