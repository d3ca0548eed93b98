/** Statistics of measurements, by the codes of R4 valueset-observation-statistics.html. */

export interface Measurement {
  /** milliseconds; undefined where nobody said when */
  readonly at: number | undefined;
  readonly value: number;
}

/** What a statistic is measured in: the unit of the values, its square, that by day, or none. */
type Dimension = 'unit' | 'square' | 'by day' | 'none';

export interface Statistic {
  readonly display: string;
  /** each number that the statistic gives; undefined where there are too few measurements for it */
  readonly parts: readonly {
    /** where there are several */
    readonly name?: string;
    readonly dimension: Dimension;
    readonly of: (sample: Sample) => number | undefined;
  }[];
}

export interface Sample {
  readonly measurements: readonly Measurement[];
  /** ascending */
  readonly values: readonly number[];
  /** with those that have no valid result */
  readonly total: number;
  /** milliseconds: where the time of a regression begins */
  readonly from: number;
}

export function sampleOf(measurements: readonly Measurement[], total: number, from: number): Sample {
  const values = measurements.map(({ value }) => value).sort((a, b) => a - b);
  return { measurements, values, total, from };
}

const one = (
  display: string,
  dimension: Dimension,
  of: (sample: Sample) => number | undefined,
): Statistic => ({
  display,
  parts: [{ dimension, of }],
});

/** By their codes. */
export const STATISTICS: Readonly<Record<string, Statistic>> = {
  average: one('Average', 'unit', ({ values }) => mean(values)),
  maximum: one('Maximum', 'unit', ({ values }) => values.at(-1)),
  minimum: one('Minimum', 'unit', ({ values }) => values[0]),
  count: one('Count', 'none', ({ values }) => values.length),
  'total-count': one('Total Count', 'none', ({ total }) => total),
  median: one('Median', 'unit', ({ values }) => quantile(values, 0.5)),
  'std-dev': one('Standard Deviation', 'unit', ({ values }) => root(variance(values))),
  sum: one('Sum', 'unit', ({ values }) => (values.length > 0 ? sum(values) : undefined)),
  variance: one('Variance', 'square', ({ values }) => variance(values)),
  '20-percent': one('20th Percentile', 'unit', ({ values }) => quantile(values, 0.2)),
  '80-percent': one('80th Percentile', 'unit', ({ values }) => quantile(values, 0.8)),
  '4-lower': one('Lower Quartile', 'unit', ({ values }) => quantile(values, 0.25)),
  '4-upper': one('Upper Quartile', 'unit', ({ values }) => quantile(values, 0.75)),
  '4-dev': one('Quartile Deviation', 'unit', ({ values }) => quartileDeviation(values)),
  '5-1': one('1st Quintile', 'unit', ({ values }) => quantile(values, 0.2)),
  '5-2': one('2nd Quintile', 'unit', ({ values }) => quantile(values, 0.4)),
  '5-3': one('3rd Quintile', 'unit', ({ values }) => quantile(values, 0.6)),
  '5-4': one('4th Quintile', 'unit', ({ values }) => quantile(values, 0.8)),
  skew: one('Skew', 'none', ({ values }) => standardized(values, 3)),
  // of the normal distribution 3
  kurtosis: one('Kurtosis', 'none', ({ values }) => standardized(values, 4)),
  // Least squares over days since the period began.
  regression: {
    display: 'Regression',
    parts: [
      { name: 'gradient', dimension: 'by day', of: (sample) => line(sample)?.gradient },
      { name: 'intercept', dimension: 'unit', of: (sample) => line(sample)?.intercept },
    ],
  },
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const mean = (values: readonly number[]): number | undefined =>
  values.length > 0 ? sum(values) / values.length : undefined;

/** Of a sample: divided by n - 1. */
function variance(values: readonly number[]): number | undefined {
  return values.length > 1 ? (moment(values, 2) * values.length) / (values.length - 1) : undefined;
}

const root = (value: number | undefined): number | undefined =>
  value === undefined ? undefined : Math.sqrt(value);

/** The mean power of what values differ from their mean by. */
function moment(values: readonly number[], power: number): number {
  const middle = mean(values) ?? 0;
  return sum(values.map((value) => (value - middle) ** power)) / values.length;
}

function standardized(values: readonly number[], power: number): number | undefined {
  const spread = values.length > 0 ? moment(values, 2) : 0;
  return spread > 0 ? moment(values, power) / spread ** (power / 2) : undefined;
}

/** Between two values in proportion (Hyndman and Fan's seventh, which spreadsheets and R use). */
function quantile(values: readonly number[], share: number): number | undefined {
  const place = (values.length - 1) * share;
  const [low, high] = [values[Math.floor(place)], values[Math.ceil(place)]];
  return low === undefined || high === undefined
    ? undefined
    : low + (high - low) * (place - Math.floor(place));
}

function quartileDeviation(values: readonly number[]): number | undefined {
  const [lower, upper] = [quantile(values, 0.25), quantile(values, 0.75)];
  return lower === undefined || upper === undefined ? undefined : (upper - lower) / 2;
}

const DAY = 86_400_000;

/** Undefined where all were made at one time. */
function line({ measurements, from }: Sample): { gradient: number; intercept: number } | undefined {
  const timed = measurements.filter(({ at }) => at !== undefined);
  if (timed.length === 0) return undefined;
  const days = timed.map(({ at }) => ((at as number) - from) / DAY);
  const values = timed.map(({ value }) => value);
  const [day, value] = [mean(days) as number, mean(values) as number];
  const spread = sum(days.map((one) => (one - day) ** 2));
  if (spread === 0) return undefined;
  const gradient = sum(days.map((one, i) => (one - day) * ((values[i] as number) - value))) / spread;
  return { gradient, intercept: value - gradient * day };
}
