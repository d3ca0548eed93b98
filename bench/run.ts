/**
 * The benchmark: the server beside its yardsticks, by turns, on one database. `npm run bench -- --help`.
 *
 * The machine is shared and noisy: only what two neighbouring slices say about each other is worth something, so
 * the figure is the median of the rounds' ratios, with the half of them around it.
 */
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type Database, openDatabase } from './database.ts';
import type { Result, Slice } from './driver.ts';
import {
  ask,
  consilium,
  cpuOf,
  cpuOfPostgres,
  forkHere,
  freePort,
  memoryOf,
  type Running,
  serve,
} from './processes.ts';
import { addAll, type Histogram, quantile, type Spread, spread, timeAt } from './statistics.ts';
import { type Comparison, comparisons, type WorkloadName } from './workloads.ts';

const HELP = `npm run bench -- [options]
  --observations N   Observations in the database (100000); --patients N (20000)
  --rounds N         rounds of each comparison (15); --slice MS of each turn (2000)
  --clients LIST     numbers of clients (1,8,32)
  --only LIST        workloads by the beginning of their names (all): ${comparisons.map(({ workload }) => workload).join(', ')}
  --commit LIST      synchronous_commit for the writes (on,off)
  --json FILE        writes the figures there as well
  --profile          the server writes a CPU profile into bench/.data/profiles when it stops
DATABASE_URL names an empty database, or the one of an earlier run; unset, one is kept under bench/.data.`;

const { values: options } = parseArgs({
  options: {
    observations: { type: 'string', default: '100000' },
    patients: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '15' },
    slice: { type: 'string', default: '2000' },
    clients: { type: 'string', default: '1,8,32' },
    only: { type: 'string' },
    commit: { type: 'string', default: 'on,off' },
    json: { type: 'string' },
    profile: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** One workload at one number of clients: of all rounds together. */
interface Turns {
  requests: number;
  errors: number;
  fault?: string;
  seconds: number;
  readonly rates: number[];
  readonly times: Histogram;
  nodeCpu: number;
  postgresCpu: number;
}

interface Figure {
  readonly workload: WorkloadName;
  readonly clients: number;
  readonly commit: string;
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
  readonly fault?: string;
  /** CPU for each request in µs */
  readonly nodeCpu: number;
  readonly postgresCpu: number;
  readonly ratios: Readonly<Record<string, Spread>>;
  readonly yardstick: boolean;
}

interface Bench {
  readonly database: Database;
  readonly driver: ChildProcess;
  readonly server: Running;
  readonly yardstick: { readonly process: ChildProcess; readonly port: number };
  readonly token: string;
}

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
  const size = { observations: Number(options.observations), patients: Number(options.patients) };
  const database = await openDatabase(size, console.log);
  const figures: Figure[] = [];
  let peak = 0;
  try {
    const wanted = options.only?.split(',') ?? [''];
    const chosen = comparisons.filter(({ workload }) => wanted.some((name) => workload.startsWith(name)));
    for (const commit of options.commit.split(',')) {
      const asked = chosen.filter(({ writes }) => writes || commit === options.commit.split(',')[0]);
      if (asked.length === 0) continue;
      await commitIs(database.url, commit);
      console.log(
        `\nsynchronous_commit ${commit}, ${size.observations} Observations, ${size.patients} patients`,
      );
      console.log(header());
      const bench = await startAll(database);
      try {
        for (const comparison of asked)
          for (const clients of options.clients.split(',').map(Number))
            for (const figure of await compare(bench, comparison, clients, commit, size)) {
              figures.push(figure);
              console.log(line(figure));
            }
        peak = Math.max(peak, memoryOf(bench.server.pid)?.peak ?? 0);
      } finally {
        bench.driver.kill();
        bench.yardstick.process.disconnect();
        await bench.server.stop();
      }
    }
  } finally {
    await commitIs(database.url, undefined);
    await database.close();
  }
  const errors = figures.reduce((sum, figure) => sum + figure.errors, 0);
  console.log(`\npeak memory of the server: ${peak} MiB; wrong answers: ${errors}`);
  for (const { workload, fault } of figures) if (fault) console.log(`  ${workload}: ${fault}`);
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ size, peak, figures }, undefined, 2)}\n`);
  if (errors > 0) process.exitCode = 1;
}

/** For both sides alike: connections made from now on have it. */
async function commitIs(databaseUrl: string, value: string | undefined): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query('select quote_ident(current_database()) as name');
  await client.query(
    value === undefined
      ? `alter database ${rows[0].name} reset synchronous_commit`
      : `alter database ${rows[0].name} set synchronous_commit = ${client.escapeLiteral(value)}`,
  );
  await client.end();
}

async function startAll(database: Database): Promise<Bench> {
  const env = { DATABASE_URL: database.url };
  const printed = await consilium(['token', '--minutes', '1440'], env);
  const token = printed.trim().split(/\s+/).at(-1)!;
  const profile = options.profile ? { NODE_OPTIONS: '--cpu-prof --cpu-prof-dir=bench/.data/profiles' } : {};
  const server = await serve({ ...env, DATA_DIR: database.dataDir, ...profile }, await freePort());
  const process = forkHere('yardstick.ts', env);
  try {
    const { port } = await ask<{ port: number }>(process);
    return { database, driver: forkHere('driver.ts'), server, yardstick: { process, port }, token };
  } catch (fault) {
    await server.stop();
    throw fault;
  }
}

/** Rounds in which the workload and its yardsticks take turns, another one first each time. */
async function compare(
  bench: Bench,
  { workload, yardsticks }: Comparison,
  clients: number,
  commit: string,
  size: Slice['size'],
): Promise<Figure[]> {
  const names = [workload, ...yardsticks];
  const turns = names.map(
    (): Turns => ({
      ...{ requests: 0, errors: 0, seconds: 0, nodeCpu: 0, postgresCpu: 0 },
      rates: [],
      times: [],
    }),
  );
  const rounds = Number(options.rounds);
  // Round -1 is short and not counted: it prepares statements, and compiles.
  for (let round = -1; round < rounds; round++)
    for (let k = 0; k < names.length; k++) {
      const at = (k + Math.max(round, 0)) % names.length;
      const name = names[at]!;
      const own = at === 0;
      const pid = own ? bench.server.pid : bench.yardstick.process.pid!;
      const before = [cpuOf(pid), bench.database.pid && cpuOfPostgres(bench.database.pid)];
      const result = await ask<Result>(bench.driver, {
        port: own ? bench.server.port : bench.yardstick.port,
        workload: name,
        clients,
        milliseconds: round < 0 ? Math.min(500, Number(options.slice)) : Number(options.slice),
        size,
        token: bench.token,
      } satisfies Slice);
      const after = [cpuOf(pid), bench.database.pid && cpuOfPostgres(bench.database.pid)];
      const turn = turns[at]!;
      turn.errors += result.errors;
      turn.fault ??= result.fault;
      if (round < 0) continue;
      turn.requests += result.requests;
      turn.seconds += result.seconds;
      turn.rates.push((result.requests - result.errors) / result.seconds);
      turn.nodeCpu += (after[0] ?? Number.NaN) - (before[0] ?? Number.NaN);
      turn.postgresCpu += (after[1] ?? Number.NaN) - (before[1] ?? Number.NaN);
      addAll(turn.times, result.times);
    }
  return names.map((name, i): Figure => {
    const turn = turns[i]!;
    const ratios =
      i > 0 ? [] : yardsticks.map((yardstick, y) => [yardstick, ratio(turn, turns[y + 1]!)] as const);
    return {
      ...{ workload: name, clients, commit, errors: turn.errors, fault: turn.fault, yardstick: i > 0 },
      rate: quantile(turn.rates, 0.5),
      p50: timeAt(turn.times, 0.5),
      p99: timeAt(turn.times, 0.99),
      nodeCpu: turn.nodeCpu / turn.requests,
      postgresCpu: turn.postgresCpu / turn.requests,
      ratios: Object.fromEntries(ratios),
    };
  });
}

function ratio(one: Turns, other: Turns): Spread {
  return spread(one.rates.map((rate, round) => rate / other.rates[round]!));
}

function header(): string {
  const names = ['clients', 'per s', 'p50 ms', 'p99 ms', 'node µs', 'pg µs', 'errors'];
  return `${'workload'.padEnd(26)}${names.map((name) => name.padStart(8)).join('')}  ratio (half of the rounds)`;
}

function line(figure: Figure): string {
  const { workload, clients, rate, p50, p99, nodeCpu, postgresCpu, errors, ratios, yardstick } = figure;
  const numbers = [
    ...[String(clients), rate.toFixed(0), p50.toFixed(2), p99.toFixed(2)],
    ...[nodeCpu, postgresCpu].map((cpu) => (Number.isNaN(cpu) ? '-' : cpu.toFixed(0))),
    String(errors),
  ];
  const against = Object.entries(ratios).map(
    ([name, { low, median, high }]) =>
      `${median.toFixed(2)} of ${name} (${low.toFixed(2)}-${high.toFixed(2)})`,
  );
  return [
    `${yardstick ? '  ' : ''}${workload}`.padEnd(26),
    ...numbers.map((number) => number.padStart(8)),
    against.length > 0 ? `  ${against.join(', ')}` : '',
  ].join('');
}
