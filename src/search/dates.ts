/** Prefixes on dates: the range searched for against the range that a resource's date stands for (R4 search.html#prefix). */
import type { Range } from '../fhir/date.ts';
import type { DateValue } from './request.ts';

/** One end of the resource's range against one end of the range searched for. */
export interface Comparison {
  readonly end: keyof Range;
  readonly is: '<' | '<=' | '>' | '>=';
  readonly than: keyof Range;
}

/** What a prefix says of two ranges [low, high), as data: SQL is made of it, and values in memory are judged by it. */
export interface Meaning {
  readonly joined: 'and' | 'or';
  readonly comparisons: readonly Comparison[];
}

const low = (is: Comparison['is'], than: keyof Range): Comparison => ({ end: 'low', is, than });
const high = (is: Comparison['is'], than: keyof Range): Comparison => ({ end: 'high', is, than });
const and = (...comparisons: Comparison[]): Meaning => ({ joined: 'and', comparisons });
const or = (...comparisons: Comparison[]): Meaning => ({ joined: 'or', comparisons });

export const MEANING: Readonly<Record<DateValue['prefix'], Meaning>> = {
  // The range searched for contains the resource's, or does not.
  eq: and(low('>=', 'low'), high('<=', 'high')),
  ne: or(low('<', 'low'), high('>', 'high')),
  // What is above, or below, the range searched for meets the resource's.
  gt: and(high('>', 'high')),
  lt: and(low('<', 'low')),
  // As gt or eq, and lt or eq: of what eq asks for, one half is left to say.
  ge: or(low('>=', 'low'), high('>', 'high')),
  le: or(low('<', 'low'), high('<=', 'high')),
  // The resource's range lies wholly after, or before.
  sa: and(low('>=', 'high')),
  eb: and(high('<=', 'low')),
  // The two overlap, once the range searched for is widened.
  ap: and(low('<', 'high'), high('>', 'low')),
  // Without widening it, and: the resource's contains it (R4 search_filter.html#ops).
  po: and(low('<', 'high'), high('>', 'low')),
  co: and(low('<=', 'low'), high('>=', 'high')),
};

/** The range that the meaning compares with: for `ap` R4 recommends a tenth of the distance to now on either side. */
export function searchedRange({ prefix, range }: DateValue): Range {
  if (prefix !== 'ap') return range;
  const gap = Math.round(Math.abs(Date.now() - range.low) / 10);
  return { low: range.low - gap, high: range.high + gap };
}

/** Whether a resource's date, as the range [low, high) in milliseconds, is one that is searched for. */
export function dateMatches(wanted: DateValue, date: Range): boolean {
  const range = searchedRange(wanted);
  const { joined, comparisons } = MEANING[wanted.prefix];
  for (let i = 0; i < comparisons.length; i++) {
    const { end, is, than } = comparisons[i] as Comparison;
    const holds = compare(date[end], is, range[than]);
    if (holds === (joined === 'or')) return holds;
  }
  return joined === 'and';
}

function compare(one: number, is: Comparison['is'], other: number): boolean {
  switch (is) {
    case '<':
      return one < other;
    case '<=':
      return one <= other;
    case '>':
      return one > other;
    case '>=':
      return one >= other;
  }
}
