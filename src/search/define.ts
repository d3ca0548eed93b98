/** What a posted SearchParameter defines, or why it cannot be what it says (R4 searchparameter.html). */
import type { SearchParameter as Resource } from 'fhir/r4.js';
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import { compileExpression } from '../fhir/extraction/compile.ts';
import { type Expression, parseExpression, Unsupported } from '../fhir/extraction/fhirpath.ts';
import { place } from '../fhir/extraction/plan.ts';
import { converterOf } from '../fhir/extraction/values.ts';
import { type Refusal, refusal } from '../fhir/outcome.ts';
import { isFor } from '../fhir/posted-parameters.ts';
import { short } from './faults.ts';
import { allModifiersOf } from './filter.ts';

/** Every write pays for all that act on its type. */
const MOST = 200;
/** An expression is compiled in every process, and its parser goes down for each parenthesis. */
const LONGEST_EXPRESSION = 2000;
const DEEPEST = 20;

const TYPES: readonly string[] = [
  'number',
  'date',
  'string',
  'token',
  'reference',
  'composite',
  'quantity',
  'uri',
];

/**
 * Reads a SearchParameter that was posted.
 *
 * @param others what acts already beside it
 * @returns      undefined where it does not act: a draft, a retired one
 * @throws       Refusal 422 naming the element: what it lacks, what it would shadow, what is not supported here
 */
export function readDefinition(
  definitions: Definitions,
  resource: Resource,
  others: readonly SearchParameter[],
): SearchParameter | undefined {
  if (resource.status !== 'active') return undefined;
  const { code, type, expression, target, url } = resource;
  const base = [...new Set(resource.base as readonly string[])];
  checkCode(code);
  if (!TYPES.includes(type))
    throw refused(
      'type',
      `a SearchParameter of type ${type} is not compiled here: it is one of ${TYPES.join(', ')}`,
    );
  for (const one of base)
    if (one !== 'Resource' && one !== 'DomainResource' && !definitions.isResourceType(one))
      throw refused('base', `${short(one)} is no resource type of R4`);
  const usage = resource.xpathUsage;
  if (usage !== undefined && usage !== 'normal')
    throw refused('xpathUsage', `${usage} is not supported: values are searched for as they are (normal)`);
  for (const one of target ?? [])
    if (!definitions.isResourceType(one)) throw refused('target', `${short(one)} is no resource type of R4`);
  if (target && type !== 'reference') throw refused('target', 'only a reference has targets');
  if (!expression) throw refused('expression', 'without an expression it finds nothing');
  const made: SearchParameter = {
    code,
    type: type as SearchParameter['type'],
    base,
    expression,
    // An id alone is looked for among these.
    target: target ?? (type === 'reference' ? definitions.resourceTypes : undefined),
    url,
    component: componentsOf(definitions, resource, base),
    multipleOr: resource.multipleOr,
    multipleAnd: resource.multipleAnd,
    modifiers: readModifiers(resource),
    comparators: readComparators(resource),
    chains: readChains(resource),
  };
  if (others.length >= MOST)
    throw refused('status', `${MOST} SearchParameters act already, and each costs every write: retire one`);
  checkShadows(definitions, made, others);
  for (const one of typesOf(definitions, made)) checkExpression(definitions, made, one);
  return made;
}

/** All types that a parameter is for. */
export const typesOf = (definitions: Definitions, parameter: Pick<SearchParameter, 'base'>): string[] =>
  definitions.resourceTypes.filter((type) => isFor(definitions, parameter, type));

function checkCode(code: string): void {
  if (!/^[A-Za-z][\w-]{0,63}$/.test(code))
    throw refused(
      'code',
      `"${short(code)}" cannot stand in a query: it is a letter and up to 63 letters, digits, "-" and "_"; what begins with "_" is the standard's`,
    );
}

/** What has its name, or its url, is not to be replaced: searches and rules of access were written with that in mind. */
function checkShadows(
  definitions: Definitions,
  made: SearchParameter,
  others: readonly SearchParameter[],
): void {
  for (const type of typesOf(definitions, made)) {
    const standard = definitions
      .indexedBy(type)
      .find((one) => one.posted === undefined && one.code === made.code);
    if (standard)
      throw refused(
        'code',
        `${type} has the search parameter ${made.code} of R4 (${standard.url}): choose another code`,
      );
    const posted = others.find((one) => one.code === made.code && isFor(definitions, one, type));
    if (posted)
      throw refused(
        'code',
        `${type} has the search parameter ${made.code} already, by ${short(posted.url)}: retire that one, or choose another code`,
      );
  }
  const known = definitions.resourceTypes.some((type) =>
    definitions.indexedBy(type).some((one) => one.posted === undefined && one.url === made.url),
  );
  if (known || others.some(({ url }) => url === made.url))
    throw refused('url', `${short(made.url)} is the url of another search parameter: it needs its own`);
}

/** @throws Refusal 422 unless it compiles for a type, and comes to elements that its type has values for */
function checkExpression(definitions: Definitions, made: SearchParameter, type: string): void {
  const { expression = '' } = made;
  const found = compiled(definitions, expression, type, type, 'expression');
  if (made.type === 'composite') {
    for (const [i, component] of (made.component ?? []).entries()) {
      const part = definitions.searchParameters(type).find(({ url }) => url === component.definition);
      const at = `component[${i}].definition`;
      if (!part || part.posted !== undefined)
        throw refused(at, `${short(component.definition)} is no search parameter of ${type} in R4`);
      if (part.type === 'composite' || part.type === 'special')
        throw refused(at, `${part.code} is ${part.type}: a composite is made of simple parameters`);
      const types = found.flatMap((each) =>
        compiled(definitions, component.expression, each, type, `component[${i}].expression`),
      );
      demandValues(part, types, `component[${i}].expression`);
    }
    return;
  }
  demandValues(made, found, 'expression');
}

function demandValues(parameter: SearchParameter, types: readonly string[], at: string): void {
  if (types.some((type) => converterOf(parameter, type))) return;
  const what =
    types.length > 0 ? `elements of type ${[...new Set(types)].slice(0, 5).join(', ')}` : 'no element';
  throw refused(
    at,
    `it comes to ${what}, of which a ${parameter.type} has no values (R4 search.html#ptypes)`,
  );
}

/**
 * The types of the elements that an expression comes to.
 *
 * @param start type or path that it starts from
 */
function compiled(
  definitions: Definitions,
  text: string,
  start: string,
  resourceType: string,
  at: string,
): readonly string[] {
  if (text.length > LONGEST_EXPRESSION)
    throw refused(at, `it is longer than ${LONGEST_EXPRESSION} characters`);
  if (depthOf(text) > DEEPEST) throw refused(at, `it is nested more than ${DEEPEST} deep`);
  try {
    const expression = parseExpression(text);
    const given = serverGiven(expression, resourceType);
    if (given)
      throw new Unsupported(
        `${given} is given by the server and not indexed so: search by _id and _lastUpdated`,
      );
    const whole = { place: place<unknown>(), type: resourceType };
    const from = start === resourceType ? whole : { place: place<unknown>(), type: start };
    return compileExpression(definitions, expression, { start: from, resource: whole }).map(
      ({ type }) => type,
    );
  } catch (fault) {
    if (!(fault instanceof Unsupported)) throw fault;
    throw refused(at, `it cannot be compiled for ${resourceType}: ${fault.message}`);
  }
}

/** How deep parentheses and brackets go. */
function depthOf(text: string): number {
  let [depth, most] = [0, 0];
  for (const one of text) {
    if (one === '(' || one === '[') most = Math.max(most, ++depth);
    else if (one === ')' || one === ']') depth--;
  }
  return most;
}

/** The first member of those that stand in no content: the resource's id, and what of meta the server stamps. */
function serverGiven(expression: Expression, resourceType: string): string | undefined {
  const inAll = (parts: readonly (Expression | undefined)[]): string | undefined => {
    for (const part of parts) {
      const found = part && serverGiven(part, resourceType);
      if (found) return found;
    }
    return undefined;
  };
  switch (expression.kind) {
    case 'member': {
      const { name, of } = expression;
      if (name === 'lastUpdated' || name === 'versionId') return `meta.${name}`;
      const ofResource =
        of === undefined ||
        (of.kind === 'member' &&
          of.of === undefined &&
          [resourceType, 'Resource', 'DomainResource'].includes(of.name)) ||
        (of.kind === 'variable' && of.name === '%resource');
      return name === 'id' && ofResource ? 'the id' : inAll([of]);
    }
    case 'call':
      return inAll([expression.of, ...expression.arguments]);
    case 'binary':
      return inAll([expression.left, expression.right]);
    case 'index':
    case 'type':
      return inAll([expression.of]);
    default:
      return undefined;
  }
}

function componentsOf(
  definitions: Definitions,
  { type, component = [] }: Resource,
  base: readonly string[],
): SearchParameter['component'] {
  if (type !== 'composite') {
    if (component.length > 0)
      throw refused('component', `only a composite has components, and this is a ${type}`);
    return undefined;
  }
  if (component.length < 2 || component.length > 3)
    throw refused('component', 'a composite has two components, or three');
  if (base.length !== 1 || !definitions.isResourceType(base[0] ?? ''))
    throw refused('base', 'a composite is of one resource type');
  return component.map(({ definition, expression }) => ({
    definition: definition.split('|')[0] as string,
    expression,
  }));
}

/** Those of valueset-search-modifier-code as queries have them. */
const IN_QUERY: Readonly<Record<string, string>> = { type: '[type]', ofType: 'of-type' };

function readModifiers({ type, modifier }: Resource): readonly string[] | undefined {
  const possible = allModifiersOf(type as SearchParameter['type']);
  return modifier?.map((one, i) => {
    const written = IN_QUERY[one] ?? one;
    if (!possible.includes(written))
      throw refused(
        `modifier[${i}]`,
        `:${one} is none of a ${type}: possible are ${possible.join(', ') || 'none'}`,
      );
    return written;
  });
}

function readComparators({ type, comparator }: Resource): readonly string[] | undefined {
  if (comparator && type !== 'number' && type !== 'date' && type !== 'quantity')
    throw refused('comparator', `only numbers, dates and quantities are compared, and this is a ${type}`);
  return comparator;
}

function readChains({ type, chain }: Resource): readonly string[] | undefined {
  if (chain && type !== 'reference')
    throw refused('chain', `only references are followed, and this is a ${type}`);
  return chain;
}

/** 422: it is a sound resource, and cannot act. */
function refused(element: string, says: string): Refusal {
  return refusal(
    422,
    'not-supported',
    `An active SearchParameter acts, and this one cannot: ${says}. As a draft it is only kept`,
    `SearchParameter.${element}`,
  );
}
