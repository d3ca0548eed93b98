/** Prefixes on numbers: what is searched for against the range that a resource's number stands for (R4 search.html#prefix). */
import type { Comparison } from './dates.ts';
import type { NumberValue } from './request.ts';
import type { Conversion } from './units.ts';

/** A condition on the ends of a resource's range, both inclusive; a plain number is a range of one. */
export interface NumberTest {
  readonly joined: 'and' | 'or';
  readonly comparisons: readonly {
    readonly end: 'low' | 'high';
    readonly is: Comparison['is'];
    readonly than: number;
  }[];
}

type Ends = NumberTest['comparisons'][number];

const low = (is: Comparison['is'], than: number): Ends => ({ end: 'low', is, than });
const high = (is: Comparison['is'], than: number): Ends => ({ end: 'high', is, than });
const and = (...comparisons: Ends[]): NumberTest => ({ joined: 'and', comparisons });
const or = (...comparisons: Ends[]): NumberTest => ({ joined: 'or', comparisons });

/**
 * What a value of a number or quantity search asks for. The precision of what was typed counts for `eq` and `ne` only:
 * 100 is [99.5, 100.5) for these, and 100 exactly for the others; `ap` widens by a tenth.
 *
 * @param convert makes what was typed a number in the resource's unit; it never turns the order round
 */
export function numberTest(wanted: NumberValue, convert?: Conversion): NumberTest {
  const { joined, comparisons } = typedTest(wanted);
  if (!convert) return { joined, comparisons };
  // What is compared with is converted, the tenth included: of 37 Cel it is 3.7 K, and not 31.
  return { joined, comparisons: comparisons.map((one) => ({ ...one, than: convert(one.than) })) };
}

function typedTest({ prefix, exact, range }: NumberValue): NumberTest {
  const tenth = Math.abs(exact) / 10;
  switch (prefix) {
    case 'eq':
      return and(low('>=', range.low), high('<', range.high));
    case 'ne':
      return or(low('<', range.low), high('>=', range.high));
    case 'gt':
      return and(high('>', exact));
    case 'lt':
      return and(low('<', exact));
    case 'ge':
      return and(high('>=', exact));
    case 'le':
      return and(low('<=', exact));
    case 'sa':
      return and(low('>', exact));
    case 'eb':
      return and(high('<', exact));
    case 'ap':
      return and(low('<=', exact + tenth), high('>=', exact - tenth));
  }
}

/** Whether a resource's number passes. */
export function numberMatches(
  wanted: NumberValue,
  number: { readonly low: number; readonly high: number },
  convert?: Conversion,
): boolean {
  const { joined, comparisons } = numberTest(wanted, convert);
  const holds = ({ end, is, than }: Ends): boolean => {
    const value = number[end];
    if (is === '<') return value < than;
    if (is === '<=') return value <= than;
    return is === '>' ? value > than : value >= than;
  };
  return joined === 'and' ? comparisons.every(holds) : comparisons.some(holds);
}

const EARTH = 6_371_008.8;

/** Meters between two places on the sphere, by the haversine formula. */
export function distance(
  a: { readonly latitude: number; readonly longitude: number },
  b: { readonly latitude: number; readonly longitude: number },
): number {
  const radians = (degrees: number): number => (degrees * Math.PI) / 180;
  const half = (one: number, other: number): number => Math.sin(radians(other - one) / 2) ** 2;
  const h =
    half(a.latitude, b.latitude) +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * half(a.longitude, b.longitude);
  return 2 * EARTH * Math.asin(Math.sqrt(Math.min(1, h)));
}

/** The same as SQL, from the columns or parameters of both places. */
export const distanceSql = (
  latitude: string,
  longitude: string,
  toLatitude: string,
  toLongitude: string,
): string =>
  `${2 * EARTH} * asin(sqrt(least(1, sin(radians(${toLatitude} - ${latitude}) / 2) ^ 2 + cos(radians(${latitude})) * cos(radians(${toLatitude})) * sin(radians(${toLongitude} - ${longitude}) / 2) ^ 2)))`;
