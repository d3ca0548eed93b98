/** Expressions of `_filter` (R4 search_filter.html) over the values that the oracle's resources have. */
import fc from 'fast-check';
import type { SearchParameter } from '../../src/fhir/definitions.ts';
import { operatorsOf } from '../../src/search/filter-language/operations.ts';
import { ids, names } from '../oracle/arbitrary/elements.ts';
import { composite, VALUES } from '../oracle/arbitrary/searches.ts';

export interface Asked {
  /** `%id3%` and `%updated3%` stand for those of a resource */
  readonly parameters: readonly (readonly [name: string, value: string])[];
  /** empty: by the type's date */
  readonly sort: string;
}

/** The parameters that a composite is made of. */
export type PartsOf = (composite: SearchParameter) => readonly SearchParameter[];

/** What the standard's value sets and hierarchies decide is not there to be asked for; `ap` is another at each look. */
const OTHERS = new Set(['in', 'ni', 'ss', 'sb', 'ap']);

const PREFIX = /^(?:eq|ne|gt|lt|ge|le|sa|eb|ap)/;

/** A text: the beginning, the end or some part of a name. */
const text = fc
  .tuple(
    fc.constantFrom(...names.filter((name) => name !== '-')),
    fc.nat({ max: 120 }),
    fc.constantFrom('begin', 'end', 'part', 'whole'),
  )
  .map(([name, length, which]) => {
    const all = [...name];
    const few = (length % 6) + 1;
    if (which === 'begin') return all.slice(0, length % 2 ? Math.min(length, 60) : few).join('');
    if (which === 'end') return all.slice(length % 2 ? -Math.min(length, 60) : -few).join('');
    return which === 'part' ? all.slice(few, few + 3).join('') : all.slice(0, 60).join('');
  });

function valueFor(parameter: SearchParameter, partsOf: PartsOf): fc.Arbitrary<string> {
  const { code, type, target = [] } = parameter;
  if (code === '_id') return fc.nat({ max: 11 }).map((which) => `%id${which}%`);
  if (code === '_lastUpdated') return fc.nat({ max: 11 }).map((which) => `%updated${which}%`);
  switch (type) {
    case 'string':
      return text;
    case 'reference':
      return fc.tuple(fc.constantFrom(...target), fc.constantFrom(...ids)).map((both) => both.join('/'));
    case 'composite':
      return composite(partsOf(parameter));
    default:
      return VALUES[type].map((value) => value.replace(PREFIX, ''));
  }
}

/** A value as a JSON string, or as it is where that can be. */
const written = (value: string, bare: boolean): string =>
  bare && /^[^\s\])"][^\s\])]*$/.test(value) ? value : JSON.stringify(value);

function test(parameter: SearchParameter, partsOf: PartsOf): fc.Arbitrary<string> {
  const operators = operatorsOf(parameter).filter((operator) => !OTHERS.has(operator));
  return fc.constantFrom(...operators).chain((operator) => {
    const value = operator === 'pr' ? fc.constantFrom('true', 'false') : valueFor(parameter, partsOf);
    return fc
      .tuple(value, fc.boolean())
      .map(([one, bare]) => `${parameter.code} ${operator} ${written(one, bare)}`);
  });
}

/** A search by one expression. */
export function filterBy(parameters: readonly SearchParameter[], partsOf: PartsOf): fc.Arbitrary<Asked> {
  const { expression } = fc.letrec<{ expression: string }>((tie) => ({
    expression: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.constantFrom(...parameters).chain((one) => test(one, partsOf)),
      tie('expression').map((one) => `not (${one})`),
      fc
        .tuple(tie('expression'), fc.constantFrom('and', 'or'), tie('expression'), fc.boolean())
        .map(([one, word, other, apart]) => `${one} ${word} ${apart ? `(${other})` : other}`),
    ),
  }));
  return fc.record({
    parameters: expression.map((one) => [['_filter', one]] as const),
    sort: fc.constantFrom('', '_sort=-_lastUpdated'),
  });
}
