/** Quantiles of ratios, and of times kept as counts. */

/**
 * How often each time was measured: in classes 2 % wide, so that rounds can be added up and sent between
 * processes. A class's number is log(µs) to the base 1.02.
 */
export type Histogram = number[];

const WIDTH = Math.log(1.02);

export function addTime(histogram: Histogram, microseconds: number): void {
  const at = microseconds <= 1 ? 0 : Math.round(Math.log(microseconds) / WIDTH);
  histogram[at] = (histogram[at] ?? 0) + 1;
}

export function addAll(histogram: Histogram, other: Histogram): void {
  for (const [at, count] of other.entries()) if (count) histogram[at] = (histogram[at] ?? 0) + count;
}

/** The time, in ms, that a share of all stays under. */
export function timeAt(histogram: Histogram, share: number): number {
  const total = histogram.reduce((sum, count) => sum + (count ?? 0), 0);
  let seen = 0;
  for (const [at, count] of histogram.entries()) {
    seen += count ?? 0;
    if (count && seen >= share * total) return Math.exp(at * WIDTH) / 1000;
  }
  return Number.NaN;
}

/** A quantile, between neighbours by their distance. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? below;
  return below + (above - below) * (at - Math.floor(at));
}

/** The middle of some values and the half of them around it. */
export interface Spread {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

export const spread = (values: readonly number[]): Spread => ({
  low: quantile(values, 0.25),
  median: quantile(values, 0.5),
  high: quantile(values, 0.75),
});
