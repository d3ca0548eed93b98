/** What a benchmark finds, and the table that it prints. */
import type { Result } from './driver.ts';
import type { Asked } from './searches.ts';
import { addAll, type Histogram, quantile, type Spread, spread, timeAt } from './statistics.ts';

/** One workload at one number of clients: of all rounds together. */
export interface Turns {
  readonly workload: string;
  requests: number;
  resources: number;
  errors: number;
  fault?: string;
  readonly rates: number[];
  readonly times: Histogram;
  nodeCpu: number;
  postgresCpu: number;
}

export const noTurns = (workload: string): Turns => ({
  ...{ workload, requests: 0, resources: 0, errors: 0, nodeCpu: 0, postgresCpu: 0 },
  rates: [],
  times: [],
});

/** CPU that was used in a turn, in µs; NaN where it is not known. */
export interface Cpu {
  readonly node: number;
  readonly postgres: number;
}

/** Adds what came of a turn; of one that is not counted, only what was wrong. */
export function addTurn(turns: Turns, result: Result, cpu: Cpu, counted: boolean): void {
  turns.errors += result.errors;
  turns.fault ??= result.fault;
  if (!counted) return;
  turns.requests += result.requests;
  turns.resources += result.resources;
  turns.rates.push(result.resources / result.seconds);
  turns.nodeCpu += cpu.node;
  turns.postgresCpu += cpu.postgres;
  addAll(turns.times, result.times);
}

export interface Figure {
  readonly workload: string;
  readonly clients: number;
  readonly commit: string;
  /** resources per second, which are requests except of transactions */
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
  readonly errors: number;
  readonly fault?: string;
  /** CPU for each resource in µs */
  readonly nodeCpu: number;
  readonly postgresCpu: number;
  readonly ratios: Readonly<Record<string, Spread>>;
  readonly yardstick: boolean;
  readonly asked?: Asked;
  /** of the server in MiB: before, and the most while it was measured */
  readonly memory?: { readonly before: number; readonly most: number };
}

/** The figure of some turns beside those of the yardsticks. */
export function figureOf(
  turns: Turns,
  yardsticks: readonly Turns[],
  rest: Pick<Figure, 'clients' | 'commit' | 'yardstick' | 'memory' | 'asked'>,
): Figure {
  const { workload, errors, fault, resources, times } = turns;
  return {
    ...{ workload, errors, fault, ...rest },
    rate: quantile(turns.rates, 0.5),
    p50: timeAt(times, 0.5),
    p99: timeAt(times, 0.99),
    longest: timeAt(times, 1),
    nodeCpu: turns.nodeCpu / resources,
    postgresCpu: turns.postgresCpu / resources,
    ratios: Object.fromEntries(yardsticks.map((other) => [other.workload, ratio(turns, other)])),
  };
}

function ratio(one: Turns, other: Turns): Spread {
  return spread(one.rates.map((rate, round) => rate / other.rates[round]!));
}

/** What is asked, and whether it is met. */
function askedOf({ asked, p99, ratios, clients }: Figure): string[] {
  const told = (met: boolean, what: string): string => `${met ? 'meets' : 'MISSES'} ${what}`;
  const lines: string[] = [];
  for (const [name, least] of Object.entries(asked?.ratios ?? {})) {
    const median = Object.entries(ratios).find(([other]) => other.endsWith(name))?.[1].median ?? Number.NaN;
    lines.push(told(median >= least, `${least} of ${name}`));
  }
  // Times are asked for 8 clients: more of them wait for each other on two cores.
  if (asked?.p99 !== undefined && clients <= 8) lines.push(told(p99 <= asked.p99, `p99 < ${asked.p99} ms`));
  return lines;
}

export function header(): string {
  const names = ['clients', 'per s', 'p50 ms', 'p99 ms', 'node µs', 'pg µs', 'errors'];
  return `${'workload'.padEnd(26)}${names.map((name) => name.padStart(8)).join('')}  ratio (half of the rounds)`;
}

export function line(figure: Figure): string {
  const { workload, clients, rate, p50, p99, nodeCpu, postgresCpu, errors, ratios, yardstick, memory } =
    figure;
  const numbers = [
    ...[String(clients), rate.toFixed(0), p50.toFixed(2), p99.toFixed(2)],
    ...[nodeCpu, postgresCpu].map((cpu) => (Number.isNaN(cpu) ? '-' : cpu.toFixed(0))),
    String(errors),
  ];
  const further = Object.entries(ratios).map(
    ([name, { low, median, high }]) =>
      `${median.toFixed(2)} of ${name} (${low.toFixed(2)}-${high.toFixed(2)})`,
  );
  further.push(...askedOf(figure));
  if (memory)
    further.push(
      `longest ${figure.longest.toFixed(0)} ms; memory ${memory.before} MiB before, at most ${memory.most}`,
    );
  return [
    `${yardstick ? '  ' : ''}${workload}`.padEnd(26),
    ...numbers.map((number) => number.padStart(8)),
    further.length > 0 ? `  ${further.join(', ')}` : '',
  ].join('');
}
