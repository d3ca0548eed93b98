/** Which resources of a world a search finds, and in which order: slowly, and straight from R4 search.html. */
import type { Definitions, SearchParameter } from '../../src/fhir/definitions.ts';
import { partsOf, type Search } from './arbitrary/searches.ts';
import { begins, compare, folded, isOfType, plainText, split } from './compare.ts';
import { parseReference, type Target } from './references.ts';
import { compositesOf, type Value, valuesOf } from './values.ts';
import { hasWords } from './words.ts';

/** A resource that is there, or one that is contained in such. */
export interface Present {
  readonly type: string;
  readonly id: string;
  readonly resource: object;
  /** milliseconds since the epoch */
  readonly updated: number;
  /** what it is contained in */
  readonly container?: Present;
}

export interface Oracle {
  /** Those that a search finds, in an order that may be its. */
  find(search: Search): readonly Present[];
  /** Whether one may stand before another in the order of a search. */
  mayPrecede(search: Search, one: Present, other: Present): boolean;
}

/** What the codes of `http://a` mean, as worlds.ts says in FHIR. */
const ABOVE: Readonly<Record<string, readonly string[]>> = { x: ['x'], y: ['y', 'x'], X: ['X'] };
const SOME = ['http://a|x', 'http://a|X', 'http://a/b|y'];
const VALUE_SETS: Readonly<Record<string, readonly string[]>> = {
  'http://a/vs/some': SOME,
  'ValueSet/oracle-some': SOME,
  'http://a/vs/below': ['http://a|x', 'http://a|y'],
};

/** The oracle of a world, as long as that stays as it is. */
export function oracleOf(definitions: Definitions, world: readonly Present[]): Oracle {
  const values = byParameter(valuesOf);
  const composites = byParameter((parameter, resource) =>
    compositesOf(parameter, partsOf(definitions, parameter), resource),
  );

  const parameterOf = (type: string, code: string): SearchParameter | undefined =>
    definitions.searchParameters(type).find((one) => one.code === code);

  /** What a resource contains: "a chained condition will be evaluated inside contained resources" (R4 search.html#contained). */
  const inside = remembered((container) => {
    const { contained = [] } = container.resource as { contained?: { resourceType: string; id: string }[] };
    return contained.map((resource): Present => {
      const { resourceType: type, id } = resource;
      return { type, id, resource, updated: container.updated, container };
    });
  });

  /** The resources that a parameter refers to: in the same resource, or of this server. */
  function referred(one: Present, parameter: SearchParameter): Present[] {
    const container = one.container ?? one;
    return values(one, parameter).flatMap((value) => {
      if (value.is !== 'reference' || value.text === undefined) return [];
      if (value.text === '#') return [container];
      if (value.text.startsWith('#')) return inside(container).filter(({ id }) => `#${id}` === value.text);
      const [text = '', version] = value.canonical ? value.text.split('|') : [value.text];
      const target = parseReference(text);
      if (target?.here) return world.filter((each) => isOf(each, target));
      return value.canonical ? named(text, version, parameter) : [];
    });
  }

  /** What has a canonical's url and version; without a version the newest of each type (R4 references.html#canonical). */
  function named(url: string, version: string | undefined, { target = [] }: SearchParameter): Present[] {
    return target.flatMap((type) => {
      const all = world.filter((each) => each.type === type && (each.resource as Named).url === url);
      if (version !== undefined) return all.filter((each) => (each.resource as Named).version === version);
      return all.sort((a, b) => b.updated - a.updated).slice(0, 1);
    });
  }

  /** Whether a resource passes a parameter of a search; one that its type has not it does not pass. */
  function passes(one: Present, name: string, value: string): boolean {
    if (name.startsWith('_has:')) {
      const [, type = '', code = '', ...rest] = name.split(':');
      // Nothing but its container, and what that contains, can refer to a contained resource.
      const around = one.container ? [one.container, ...inside(one.container)] : world;
      return around.some((other) => {
        const parameter = parameterOf(other.type, code);
        return (
          other.type === type &&
          parameter !== undefined &&
          referred(other, parameter).includes(one) &&
          passes(other, rest.join(':'), value)
        );
      });
    }
    if (name === '_list') return isListed(one, value);
    const [, code = '', modifier = '', rest] = /^([^.:]+)(?::([^.]+))?(?:\.(.*))?$/s.exec(name) ?? [];
    const parameter = parameterOf(one.type, code);
    if (!parameter) return false;
    if (rest !== undefined)
      return referred(one, parameter).some(
        (target) =>
          (modifier === '' || target.type === modifier) &&
          (parameter.target ?? []).includes(target.type) &&
          passes(target, rest, value),
      );
    const alternatives = split(value, ',').filter(Boolean);
    switch (modifier) {
      case 'missing':
        return (value === 'true') === (values(one, parameter).length === 0);
      case 'not':
      case 'not-in':
        return !alternatives.some((each) => isOne(one, parameter, modifier === 'not' ? '' : 'in', each));
      default:
        return alternatives.some((each) => isOne(one, parameter, modifier, each));
    }
  }

  function isOne(one: Present, parameter: SearchParameter, modifier: string, wanted: string): boolean {
    const { code, type } = parameter;
    if (code === '_id') return one.id === wanted;
    if (code === '_lastUpdated')
      return compare(parameter, wanted, { is: 'date', low: one.updated, high: one.updated + 1 });
    if (code === '_text' || code === '_content') return hasWords(one.resource, code, plainText(wanted));
    if (type === 'composite') return isComposed(one, parameter, wanted);
    if (type === 'reference' && (modifier === 'above' || modifier === 'below'))
      return isRelated(one, parameter, modifier, wanted);
    return values(one, parameter).some((value) => isAsked(parameter, modifier, wanted, value));
  }

  function isComposed(one: Present, parameter: SearchParameter, wanted: string): boolean {
    const asked = split(wanted, '$');
    const parts = partsOf(definitions, parameter);
    return composites(one, parameter).some((element) =>
      element.every((found, i) =>
        found.some((value) => compare(parts[i] as SearchParameter, asked[i] as string, value)),
      ),
    );
  }

  /** `:above` and `:below` of resources that are part of others: the one that is named need not be there. */
  function isRelated(one: Present, parameter: SearchParameter, modifier: string, wanted: string): boolean {
    const kin = new Set([wanted]);
    const all = world.filter(({ type }) => wanted.startsWith(`${type}/`));
    const parents = (each: Present): string[] =>
      locals(each, parameterOf(each.type, 'partof') as SearchParameter);
    for (let before = -1; before < kin.size; ) {
      before = kin.size;
      for (const each of all) {
        const own = `${each.type}/${each.id}`;
        if (modifier === 'below' && parents(each).some((parent) => kin.has(parent))) kin.add(own);
        if (
          modifier === 'above' &&
          all.some((child) => kin.has(`${child.type}/${child.id}`) && parents(child).includes(own))
        )
          kin.add(own);
      }
    }
    return locals(one, parameter).some((name) => kin.has(name));
  }

  /** What a parameter refers to on this server, as `Type/id`, be it there or not. */
  const locals = (one: Present, parameter: SearchParameter): string[] =>
    values(one, parameter).flatMap((value) => {
      const target = value.is === 'reference' && value.text ? parseReference(value.text) : undefined;
      return target?.here ? [`${target.type}/${target.id}`] : [];
    });

  const isListed = (one: Present, id: string): boolean =>
    world
      .filter((list) => list.type === 'List' && list.id === id)
      .some((list) => referred(list, parameterOf('List', 'item') as SearchParameter).includes(one));

  /** Whether it refers to the resource that has the compartment, or is that (R4 compartmentdefinition.html). */
  function isWithin(one: Present, { type, id }: { readonly type: string; readonly id: string }): boolean {
    if (one.type === type && one.id === id) return true;
    return definitions.compartment(type, one.type).some((code) => {
      const parameter = parameterOf(one.type, code);
      return parameter !== undefined && locals(one, parameter).includes(`${type}/${id}`);
    });
  }

  type Key = string | number | undefined;

  function keyOf(one: Present, code: string, descending: boolean): Key {
    if (code === '_id') return one.id;
    if (code === '_lastUpdated') return one.updated;
    const parameter = parameterOf(one.type, code);
    const own = parameter ? values(one, parameter).flatMap((value) => sortable(value, descending)) : [];
    return own.reduce<Key>(
      (best, each) => (best === undefined || (descending ? each > best : each < best) ? each : best),
      undefined,
    );
  }

  /** Less than 0 where one comes first; whatever has no value comes last. */
  function inOrder({ sort }: Search, one: Present, other: Present): number {
    for (const key of sort.split(',').filter(Boolean)) {
      const descending = key.startsWith('-');
      const code = descending ? key.slice(1) : key;
      const [a, b] = [keyOf(one, code, descending), keyOf(other, code, descending)];
      if (a === b) continue;
      if (a === undefined) return 1;
      if (b === undefined) return -1;
      return a < b === descending ? 1 : -1;
    }
    return 0;
  }

  return {
    find: (search) =>
      world
        .filter(
          (one) =>
            search.types.includes(one.type) &&
            (!search.within || isWithin(one, search.within)) &&
            search.parameters.every(([name, value]) => passes(one, name, value)),
        )
        .sort((one, other) => inOrder(search, one, other)),
    mayPrecede: (search, one, other) => inOrder(search, one, other) <= 0,
  };
}

interface Named {
  readonly url?: string;
  readonly version?: string;
}

/** What is told of a resource, told once. */
function remembered<T>(tell: (one: Present) => T): (one: Present) => T {
  const known = new Map<Present, T>();
  return (one) => {
    const found = known.get(one) ?? tell(one);
    known.set(one, found);
    return found;
  };
}

/** What parameters come to in resources, told once. */
function byParameter<T>(
  tell: (parameter: SearchParameter, resource: object) => T,
): (one: Present, parameter: SearchParameter) => T {
  const of = remembered(() => new Map<string, T>());
  return (one, parameter) => {
    const own = of(one);
    const found = own.get(parameter.url) ?? tell(parameter, one.resource);
    own.set(parameter.url, found);
    return found;
  };
}

const isOf = (one: Present, { type, id }: Target): boolean => one.type === type && one.id === id;

/** By a modifier, or without one. */
function isAsked(parameter: SearchParameter, modifier: string, wanted: string, value: Value): boolean {
  const text = plainText(wanted);
  switch (modifier) {
    case '':
      return compare(parameter, wanted, value);
    case 'text':
      return value.is === 'token' && value.label !== undefined && begins(value.label, text);
    case 'of-type':
      return value.is === 'token' && isOfType(wanted, value);
    case 'exact':
      return value.is === 'string' && value.text === text;
    case 'contains':
      return value.is === 'string' && folded(value.text).includes(folded(text));
    case 'in':
      return value.is === 'token' && (VALUE_SETS[text] ?? []).includes(`${value.system}|${value.code}`);
    case 'above':
    case 'below': {
      if (value.is === 'uri') {
        const [longer, shorter] = modifier === 'above' ? [text, value.text] : [value.text, text];
        return longer.startsWith(shorter);
      }
      const code = text.split('|')[1] as string;
      if (value.is !== 'token' || value.system !== 'http://a' || value.code === undefined) return false;
      const [lower, upper] = modifier === 'above' ? [code, value.code] : [value.code, code];
      return (ABOVE[lower] ?? []).includes(upper);
    }
    case 'identifier': {
      if (value.is !== 'reference' || !value.identifier) return false;
      const { system, value: code } = value.identifier;
      return compare({ ...parameter, type: 'token' }, wanted, { is: 'token', system, code });
    }
    default:
      // a type
      return value.is === 'reference' && compare({ ...parameter, target: [modifier] }, wanted, value);
  }
}

/**
 * What a value is sorted by, which R4 leaves to servers: a date by its beginning, a range of numbers by the end that
 * comes first.
 */
function sortable(value: Value, descending: boolean): (string | number)[] {
  switch (value.is) {
    case 'string':
      return [folded(value.text)];
    case 'token':
      return [value.code ?? value.label ?? ''].filter(Boolean);
    case 'date':
      return Number.isFinite(value.low) ? [value.low] : [];
    case 'number': {
      const { at } = descending ? value.high : value.low;
      return [at ? Number(at.top) / Number(at.bottom) : descending ? Infinity : -Infinity];
    }
    case 'uri':
      return [value.text];
    case 'reference':
      return value.text === undefined ? [] : [value.text];
    case 'place':
      return [];
  }
}
