/** Composites: values of several parameters that belong together within one element (R4 search.html#composite). */
import type { Definitions, SearchParameter } from '../fhir/definitions.ts';
import type { ComponentValue, CompositeValue, Filter } from './request.ts';

/**
 * A search by a composite, told as far as it can be by its parts. Of one over the whole resource these find what it
 * does, but for parts that its own expressions leave out; what is over the resource or an element is either.
 *
 * @param parts the parameters that it is made of, in their order
 */
export function composed(
  definitions: Definitions,
  type: string,
  parameter: SearchParameter,
  parts: readonly SearchParameter[],
  values: readonly CompositeValue[],
): Filter {
  const { code } = parameter;
  if (isWhole(parameter)) return either(values.map((value) => whole(parameter, parts, value)));
  if (type !== 'Observation' || !code.startsWith('combo-') || parameter.posted !== undefined)
    return { kind: 'composite', parameter, values };
  const named = (name: string): SearchParameter =>
    definitions.searchParameters(type).find((one) => one.code === name) as SearchParameter;
  const own = parts.map((part) => named(part.code.replace('combo-', '')));
  const ofResource = named(code.replace('combo-', ''));
  return either([
    ...values.map((value) => whole(ofResource, own, value)),
    { kind: 'composite', parameter: named(code.replace('combo-', 'component-')), values },
  ]);
}

/**
 * Whether the element that a composite of the standard is over is the resource: it has no rows of its own. A posted one
 * may take less of the resource than its parts do.
 */
export const isWhole = ({ expression = '', base, posted }: SearchParameter): boolean =>
  posted === undefined && base.includes(expression);

/**
 * Whether the index has pairs for a value of a composite within an element (store/index/values.ts): a token with one
 * of most other types, or with two numbers.
 */
export function isIndexed([first, second, third, ...more]: CompositeValue): boolean {
  if (first?.kind !== 'token' || !second || more.length > 0) return false;
  if (third) return second.kind === 'number' && third.kind === 'number';
  if (second.kind === 'token') return first.value.code !== undefined && second.value.code !== undefined;
  return second.kind !== 'reference' && second.kind !== 'uri';
}

const either = (filters: readonly Filter[]): Filter =>
  filters.length === 1 ? (filters[0] as Filter) : { kind: 'any', filters };

const whole = (
  parameter: SearchParameter,
  parts: readonly SearchParameter[],
  value: CompositeValue,
): Filter => ({
  kind: 'all',
  filters: [
    ...parts.map((part, i) => filterOf(part, value[i] as ComponentValue)),
    { kind: 'composite', parameter, values: [value] },
  ],
});

/** A part as a filter of its own. */
export function filterOf(parameter: SearchParameter, part: ComponentValue): Filter {
  switch (part.kind) {
    case 'token':
      return { kind: 'token', parameter, values: [part.value] };
    case 'date':
      return { kind: 'date', parameter, values: [part.value] };
    case 'number':
      return { kind: 'number', parameter, values: [part.value] };
    case 'quantity':
      return { kind: 'quantity', parameter, values: [part.value] };
    case 'reference':
      return { kind: 'reference', parameter, values: [part.value] };
    case 'uri':
      return { kind: 'uri', parameter, values: [part.value] };
    case 'string':
      return { kind: 'string', parameter, values: [part.value] };
  }
}
