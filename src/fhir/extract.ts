/** The values by which searches find a resource, taken out by the standard's SearchParameter expressions. */
import type { Resource } from 'fhir/r4.js';
import type { Definitions, SearchParameter } from './definitions.ts';
import { type Cursor, compileExpression } from './extraction/compile.ts';
import { parseExpression } from './extraction/fhirpath.ts';
import { type Place, place, type Sink, visit } from './extraction/plan.ts';
import { type Convert, converterOf, type SearchValue } from './extraction/values.ts';

export type { SearchValue } from './extraction/values.ts';

/**
 * Index rows carry the version that wrote them. Raise it with any change of what is extracted, here, in
 * extraction/ or in the parameters: rows of older versions are then written anew in the background.
 */
export const EXTRACTOR_VERSION = 6;

/** One value of one parameter. */
export interface Extracted {
  readonly parameter: SearchParameter;
  readonly value: SearchValue;
}

/** A parameter that gives no values, and why. */
export interface Skipped {
  readonly type: string;
  readonly code: string;
  readonly reason: string;
}

export interface Extractor {
  /**
   * All search values of a valid resource; of an invalid one, those that can be read. Contained resources and
   * resources within a Bundle give none.
   */
  extract(resource: Resource): Extracted[];
  /** The parameters of a type whose values `extract` gives: not those that columns or operations answer. */
  parameters(type: string): readonly SearchParameter[];
  /** Parameters whose expressions cannot be compiled. To look at it compiles those of all types. */
  readonly skipped: readonly Skipped[];
}

/** Answered by columns of the row, by full text, by a named query, or by a grammar of their own. */
const NOT_EXTRACTED = new Set(['_id', '_lastUpdated', '_text', '_content', '_query', '_filter']);

/** Makes the extractor; a type's expressions are compiled when its first resource comes, and when they have changed. */
export function compileExtractor(definitions: Definitions): Extractor {
  const byType = new Map<string, CompiledType<Extracted>>();
  const compiled = (type: string): CompiledType<Extracted> => {
    let known = byType.get(type);
    if (known?.made !== definitions.indexedBy(type)) {
      known = compileType(definitions, type, valueSinks(definitions));
      // names that are no types are not kept: callers may pass on what clients write
      if (definitions.isResourceType(type)) byType.set(type, known);
    }
    return known;
  };
  return {
    extract(resource) {
      const out: Extracted[] = [];
      visit(compiled(resource.resourceType).start, resource, { resource, out });
      return out;
    },
    parameters: (type) => compiled(type).parameters,
    get skipped() {
      return definitions.resourceTypes.flatMap((type) => compiled(type).skipped);
    },
  };
}

/** What a type's expressions come to. */
export interface CompiledType<T> {
  readonly start: Place<T>;
  readonly parameters: readonly SearchParameter[];
  readonly skipped: readonly Skipped[];
  /** the list that it was compiled from */
  readonly made: readonly SearchParameter[];
}

/** Puts at a cursor what is to be done with a parameter's elements there. */
export type Attach<T> = (parameter: SearchParameter, cursor: Cursor<T>, resourceType: string) => void;

/**
 * Compiles all parameters of a type into one tree.
 *
 * @param attach  is called for every place that a parameter's expression comes to
 */
export function compileType<T>(definitions: Definitions, type: string, attach: Attach<T>): CompiledType<T> {
  const start = place<T>();
  const parameters: SearchParameter[] = [];
  const skipped: Skipped[] = [];
  const made = definitions.indexedBy(type);
  for (const parameter of made) {
    if (NOT_EXTRACTED.has(parameter.code)) continue;
    try {
      const root: Cursor<T> = { place: start, type };
      const expression = parseExpression(parameter.expression ?? '');
      const cursors = compileExpression(definitions, expression, { start: root, resource: root });
      for (const cursor of cursors) attach(parameter, cursor, type);
      parameters.push(parameter);
    } catch (fault) {
      skipped.push({ type, code: parameter.code, reason: (fault as Error).message });
    }
  }
  return { start, parameters, skipped, made };
}

/** Attaches conversions to search values. Parameters that make the same of one element share the conversion. */
function valueSinks(definitions: Definitions): Attach<Extracted> {
  const shared = new Map<Place<Extracted>, Map<Convert, SearchParameter[]>>();
  return (parameter, cursor, resourceType) => {
    if (parameter.type === 'composite') {
      cursor.place.sinks.push(compositeSink(definitions, parameter, cursor.type, resourceType));
      return;
    }
    const convert = converterOf(parameter, cursor.type);
    if (!convert) return;
    const here = shared.get(cursor.place) ?? new Map<Convert, SearchParameter[]>();
    shared.set(cursor.place, here);
    const known = here.get(convert);
    if (known) {
      known.push(parameter);
      return;
    }
    const parameters = [parameter];
    here.set(convert, parameters);
    cursor.place.sinks.push((element, walk) => {
      const values: SearchValue[] = [];
      convert(element, values);
      for (let i = 0; i < parameters.length; i++) {
        for (let j = 0; j < values.length; j++)
          walk.out.push({ parameter: parameters[i]!, value: values[j]! });
      }
    });
  };
}

type Component = (element: unknown, resource: unknown) => SearchValue[];

/** The values of all components within one element, where each has some. */
function compositeSink(
  definitions: Definitions,
  parameter: SearchParameter,
  type: string,
  resourceType: string,
): Sink<Extracted> {
  const components = (parameter.component ?? []).map(({ definition, expression }): Component => {
    const one = definitions.searchParameters(resourceType).find(({ url }) => url === definition);
    if (!one) throw new Error(`its component ${definition} is no parameter of ${resourceType}`);
    return compileComponent(definitions, one, expression, type, resourceType);
  });
  const last = components.length - 1;
  return (element, walk) => {
    // The last component is the one that tells parameters apart (code-value-*): most end here.
    const values = components[last]!(element, walk.resource);
    if (values.length === 0) return;
    const parts: SearchValue[][] = [];
    for (let i = 0; i < last; i++) {
      const part = components[i]!(element, walk.resource);
      if (part.length === 0) return;
      parts.push(part);
    }
    parts.push(values);
    walk.out.push({ parameter, value: { kind: 'composite', parts } });
  };
}

/** @throws Unsupported */
export function compileComponent(
  definitions: Definitions,
  parameter: SearchParameter,
  expression: string,
  type: string,
  resourceType: string,
): Component {
  const start = { place: place<SearchValue>(), type };
  const whole = { place: place<SearchValue>(), type: resourceType };
  const cursors = compileExpression(definitions, parseExpression(expression), { start, resource: whole });
  for (const cursor of cursors) {
    const convert = converterOf(parameter, cursor.type);
    if (convert) cursor.place.sinks.push((element, walk) => convert(element, walk.out));
  }
  return (element, resource) => {
    const walk = { resource, out: [] };
    visit(start.place, element, walk);
    visit(whole.place, resource, walk);
    return walk.out;
  };
}
