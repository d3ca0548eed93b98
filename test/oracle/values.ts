/** The elements that a search parameter is about, by fhirpath.js, as what they stand for in searches (R4 search.html#ptypes). */
import fhirpath, { type UserInvocationTable } from 'fhirpath';
import model from 'fhirpath/fhir-context/r4/index.js';
import type { SearchParameter } from '../../src/fhir/definitions.ts';
import { type Exact, exactly, order, plus, times } from './exact.ts';
import { parseReference } from './references.ts';

/** An end of an interval; undefined: without end. */
export interface End {
  readonly at: Exact | undefined;
  /** the end itself does not belong to it */
  readonly open?: boolean;
}

export type Value =
  | {
      readonly is: 'token';
      readonly system?: string;
      readonly code?: string;
      /** what people read: display, text */
      readonly label?: string;
      /** codings of an identifier's type */
      readonly types?: readonly { readonly system?: string; readonly code?: string }[];
    }
  | { readonly is: 'string'; readonly text: string }
  /** milliseconds; low belongs to it, high does not */
  | { readonly is: 'date'; readonly low: number; readonly high: number }
  | {
      readonly is: 'number';
      readonly low: End;
      readonly high: End;
      readonly system?: string;
      readonly code?: string;
      readonly unit?: string;
    }
  | {
      readonly is: 'reference';
      readonly text?: string;
      /** a url with a version or without one, and no Reference */
      readonly canonical?: boolean;
      readonly identifier?: { readonly system?: string; readonly value?: string };
    }
  | { readonly is: 'uri'; readonly text: string }
  | { readonly is: 'place'; readonly latitude: number; readonly longitude: number };

/** Any element of a resource. */
// biome-ignore lint/suspicious/noExplicitAny: elements are read as JSON here, by the names of their members
type Element = any;

interface Node {
  readonly data: Element;
}

/**
 * `resolve() is Patient` is told by the text of the reference, by what is contained, or by the type that is said of it:
 * nothing is fetched.
 */
const leadsTo: UserInvocationTable = {
  leadsTo: {
    fn: (inputs: Element[], type: string, [resource]: Element[]) =>
      inputs.map((input) => {
        const text = input.reference ?? (typeof input === 'string' ? input : '');
        const inside = resource.contained?.find(({ id }: Element) => text === `#${id}`);
        return (inside?.resourceType ?? parseReference(text.split('|')[0])?.type ?? input.type) === type;
      }),
    arity: { 2: ['String', 'AnyAtRoot'] },
  },
};

type Compiled = (resource: object, variables?: Record<string, unknown>) => Node[];

const compiled = new Map<string, Compiled>();

/** The nodes that an expression leads to, with their types. */
function nodesOf(
  expression: string,
  resource: object,
  variables = {},
): readonly (readonly [string, Element])[] {
  let compute = compiled.get(expression);
  if (!compute) {
    // R4's expressions use `as` on lists, which FHIRPath has `ofType` for.
    const told = expression
      .replace(/resolve\(\) is (\w+)/g, "leadsTo('$1', %resource)")
      .replace(/ as (\w+)|\.as\((\w+)\)/g, '.ofType($1$2)');
    compute = fhirpath.compile(told, model, {
      resolveInternalTypes: false,
      userInvocationTable: leadsTo,
    }) as unknown as Compiled;
    compiled.set(expression, compute);
  }
  const nodes = compute(resource, { resource, ...variables });
  const types = fhirpath.types(nodes);
  return nodes.map((node, i) => [
    (types[i] as string).replace(/^(?:FHIR|System)\./, ''),
    typeof node === 'object' && node !== null && 'data' in node ? node.data : node,
  ]);
}

/** The sides of a union: fhirpath.js would compare all that they lead to, which it cannot where quantities have comparators. */
function sides(expression = '{}'): string[] {
  const found = [''];
  let depth = 0;
  for (const sign of expression) {
    if (sign === '(') depth++;
    if (sign === ')') depth--;
    if (sign === '|' && depth === 0) found.push('');
    else found[found.length - 1] += sign;
  }
  return found;
}

/** The values of a parameter that a resource has. */
export function valuesOf(parameter: SearchParameter, resource: object): Value[] {
  return sides(parameter.expression).flatMap((side) =>
    nodesOf(side, resource).flatMap(([type, element]) => valuesOfElement(parameter, type, element)),
  );
}

/** Of each element that a composite is about: the values of its parts. */
export function compositesOf(
  { expression, component = [] }: SearchParameter,
  parts: readonly SearchParameter[],
  resource: object,
): readonly (readonly Value[][])[] {
  return sides(expression).flatMap((side) =>
    nodesOf(side, resource).map((_, at) =>
      parts.map((part, n) =>
        sides(component[n]?.expression).flatMap((own) =>
          nodesOf(`(${side}).skip(%at).first().select(${own})`, resource, { at }).flatMap(([type, element]) =>
            valuesOfElement(part, type, element),
          ),
        ),
      ),
    ),
  );
}

function valuesOfElement(parameter: SearchParameter, type: string, element: Element): Value[] {
  switch (parameter.type) {
    case 'token':
      return tokens(parameter, type, element);
    case 'string':
      return strings(type, element).map((text) => ({ is: 'string', text }));
    case 'date':
      return dates(type, element);
    case 'number':
    case 'quantity':
      return numbers(parameter.type, type, element);
    case 'reference':
      return references(element);
    case 'uri':
      return typeof element === 'string' ? [{ is: 'uri', text: element }] : [];
    case 'special':
      return typeof element?.latitude === 'number' ? [{ is: 'place', ...element }] : [];
    default:
      return [];
  }
}

function tokens({ caseless }: SearchParameter, type: string, element: Element): Value[] {
  switch (type) {
    case 'Coding':
      return [{ is: 'token', system: element.system, code: element.code, label: element.display }];
    case 'CodeableConcept':
      return [
        ...(element.coding ?? []).flatMap((coding: Element) =>
          tokens({} as SearchParameter, 'Coding', coding),
        ),
        ...(element.text === undefined ? [] : [{ is: 'token' as const, label: element.text }]),
      ];
    case 'Identifier':
      return [
        {
          is: 'token',
          system: element.system,
          code: element.value,
          label: element.type?.text,
          types: element.type?.coding ?? [],
        },
      ];
    case 'ContactPoint':
      return [{ is: 'token', code: element.value }];
    case 'boolean':
    case 'Boolean':
      return [{ is: 'token', code: String(element) }];
    default:
      if (typeof element !== 'string') return [];
      return [{ is: 'token', code: caseless ? element.toLowerCase() : element }];
  }
}

function strings(type: string, element: Element): string[] {
  if (typeof element === 'string') return [element];
  const { text, family, given, prefix, suffix, line, city, district, state, postalCode, country } = element;
  const parts =
    type === 'HumanName'
      ? [text, family, given, prefix, suffix]
      : type === 'Address'
        ? [text, line, city, district, state, postalCode, country]
        : [];
  return parts.flat().filter((part) => typeof part === 'string');
}

function dates(type: string, element: Element): Value[] {
  const spans: Span[] =
    type === 'Timing'
      ? [
          ...(element.event ?? []).map(spanOf),
          ...(element.repeat?.boundsPeriod ? [periodOf(element.repeat.boundsPeriod)] : []),
        ]
      : [type === 'Period' ? periodOf(element) : spanOf(element)];
  if (spans.length === 0) return [];
  // Of a Timing "only the outer limits matter".
  const low = Math.min(...spans.map((span) => span.low));
  const high = Math.max(...spans.map((span) => span.high));
  return low < high ? [{ is: 'date', low, high }] : [];
}

/** Instants from low on, and before high. */
export interface Span {
  readonly low: number;
  readonly high: number;
}

const periodOf = ({ start, end }: Element): Span => ({
  low: start === undefined ? -Infinity : spanOf(start).low,
  high: end === undefined ? Infinity : spanOf(end).high,
});

const WRITTEN =
  /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?$/;

/** What a date stands for: all of the year, month, day, minute, second or millisecond that it names, in UTC without a zone. */
export function spanOf(text: string): Span {
  const [, year, month, day, hour, minute, second, fraction, zone] = WRITTEN.exec(
    text,
  ) as unknown as string[];
  const at = (...parts: number[]): number => {
    const [y = 0, m = 0, d = 1, h = 0, min = 0, s = 0, ms = 0] = parts;
    // Years before 100 would be of another century.
    return new Date(0).setUTCFullYear(y, m, d) + ((h * 60 + min) * 60 + s) * 1000 + ms;
  };
  const numbers = [year, month && Number(month) - 1, day, hour, minute, second]
    .filter((part) => part !== undefined)
    .map(Number);
  // A leap second is the one before it.
  if (numbers[5] === 60) numbers[5] = 59;
  if (fraction !== undefined) numbers.push(Number(fraction.slice(0, 3).padEnd(3, '0')));
  const after = numbers.slice();
  after[after.length - 1] = (after.at(-1) as number) + 1;
  const [, sign, hours, minutes] = /^([+-])(\d\d):(\d\d)$/.exec(zone ?? '') ?? [];
  const ahead = (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) * (sign === '-' ? -60_000 : 60_000);
  return { low: at(...numbers) - ahead, high: at(...after) - ahead };
}

const number = (value: number): Exact => exactly(String(value));

function numbers(kind: 'number' | 'quantity', type: string, element: Element): Value[] {
  if (typeof element === 'number') return kind === 'number' ? [point(element)] : [];
  switch (type) {
    case 'Range': {
      const low = element.low?.value;
      const high = element.high?.value;
      if (low === undefined && high === undefined) return [];
      const { system, code, unit } = element.low ?? element.high;
      const ends = { low: endAt(low), high: endAt(high) };
      return [{ is: 'number', ...ends, ...(kind === 'quantity' && { system, code, unit }) }];
    }
    case 'SampledData':
      return sampled(element);
    default: {
      const { value, comparator, system, code, unit } = element;
      if (typeof value !== 'number') return [];
      const open = comparator === '<' || comparator === '>';
      const low: End = comparator?.startsWith('<')
        ? { at: undefined }
        : { at: number(value), open: open && comparator === '>' };
      const high: End = comparator?.startsWith('>')
        ? { at: undefined }
        : { at: number(value), open: open && comparator === '<' };
      return [{ is: 'number', low, high, system, code, unit }];
    }
  }
}

const endAt = (value: number | undefined): End => ({ at: value === undefined ? undefined : number(value) });
const point = (value: number): Value => ({ is: 'number', low: endAt(value), high: endAt(value) });

/** "Just search on the bounds of the values" (Observation-value-quantity). Beyond a limit that is not said, anything may be. */
function sampled({ origin, factor = 1, data, lowerLimit, upperLimit }: Element): Value[] {
  const scaled = (value: string): Exact => plus(number(origin.value), times(exactly(value), number(factor)));
  const limit = (value: number | undefined): Exact | undefined =>
    value === undefined ? undefined : scaled(String(value));
  const samples: string[] = data.split(' ').filter((one: string) => one !== '' && one !== 'E');
  if (samples.length === 0) return [];
  const lows = samples.map((one) =>
    one === 'L' ? limit(lowerLimit) : one === 'U' ? limit(upperLimit) : scaled(one),
  );
  const [low, high] = [extreme(lows, samples, 'L', -1), extreme(lows, samples, 'U', 1)];
  if (low === null || high === null) return [];
  const { system, code, unit } = origin;
  return [{ is: 'number', low: { at: low }, high: { at: high }, system, code, unit }];
}

/** The least or the greatest; undefined: without end; null: nothing is known. */
function extreme(
  values: readonly (Exact | undefined)[],
  samples: readonly string[],
  beyond: 'L' | 'U',
  direction: 1 | -1,
): Exact | undefined | null {
  if (values.some((value, i) => value === undefined && samples[i] === beyond)) return undefined;
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return null;
  return known.reduce((a, b) => (order(a, b) * direction >= 0 ? a : b));
}

function references(element: Element): Value[] {
  if (typeof element === 'string') return [{ is: 'reference', text: element, canonical: true }];
  const { reference, identifier } = element;
  if (reference === undefined && identifier?.system === undefined && identifier?.value === undefined)
    return [];
  return [{ is: 'reference', text: reference, identifier }];
}
