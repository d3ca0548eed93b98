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
import type { Result } from './driver.ts';
import { addTurn, type Cpu, type Figure, figureOf, header, line, noTurns, type Turns } from './figures.ts';
import { seed } from './mixed.ts';
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
import { openWire, request, send } from './wire.ts';
import { type Comparison, comparisons, isBare, type WorkloadName } from './workloads.ts';

/** Other clients beside a large transaction. */
const FEW = 4;

const names = [...new Set(comparisons.map(({ workload }) => workload.split(' ')[0]))];

const HELP = `npm run bench -- [options]
  --observations N   Observations in the database (100000); --patients N (20000); --others N of other types (0)
  --rounds N         rounds of each comparison (15); --slice MS of each turn (2000)
  --clients LIST     numbers of clients (1,8,32)
  --only LIST        workloads by the beginning of their names (all): ${names.join(', ')}
                     transaction: 50 mixed resources, counted one by one; searches are rows such as "search code": all of them by --only search, for a million
                     Observations and 500,000 others; mixed: reads, searches and writes of
                     nine types; large: transactions of 5,000 by one client, with ${FEW} others served meanwhile
  --commit LIST      synchronous_commit for the writes (on,off)
  --json FILE        writes the figures there as well
  --profile          the server writes a CPU profile into bench/.data/profiles when it stops
DATABASE_URL names an empty database, or the one of an earlier run; unset, one is kept under bench/.data.`;

const { values: options } = parseArgs({
  options: {
    observations: { type: 'string', default: '100000' },
    patients: { type: 'string', default: '20000' },
    others: { type: 'string', default: '0' },
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

interface Bench {
  readonly database: Database;
  readonly driver: ChildProcess;
  readonly server: Running;
  readonly yardstick: { readonly process: ChildProcess; readonly port: number };
  readonly token: string;
}

const size = {
  observations: Number(options.observations),
  patients: Number(options.patients),
  others: Number(options.others),
};
const rounds = Number(options.rounds);

if (options.help) console.log(HELP);
else await main();

async function main(): Promise<void> {
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
        for (const comparison of asked) {
          const { workload, beside } = comparison;
          if (workload === 'mixed') await seedAll(bench);
          for (const clients of beside ? [FEW] : options.clients.split(',').map(Number))
            for (const figure of beside
              ? await compareBeside(bench, comparison, beside, clients, commit)
              : await compare(bench, comparison, clients, commit)) {
              figures.push(figure);
              console.log(line(figure));
            }
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

/** Puts what `mixed` reads and changes into both databases, where it is not there yet. */
async function seedAll({ server, yardstick, token }: Bench): Promise<void> {
  await seed(server.port, token);
  const wire = await openWire(yardstick.port);
  const answer = await send(wire, request('POST', '/mixed/seed', { body: '' }));
  if (answer.status !== 200) throw new Error(`the yardstick answered ${answer.status}: ${answer.body}`);
  wire.close();
}

/** Rounds in which the workload and its yardsticks take turns, another one first each time. */
async function compare(
  bench: Bench,
  { workload, yardsticks, asked }: Comparison,
  clients: number,
  commit: string,
): Promise<Figure[]> {
  const names = [workload, ...yardsticks];
  const turns = names.map(noTurns);
  for (let round = -1; round < rounds; round++)
    for (let k = 0; k < turns.length; k++) {
      const at = (k + Math.max(round, 0)) % turns.length;
      const ofServer = !isBare(names[at]!);
      const slice = { ...sliceOf(bench, round, ofServer), workload: names[at]!, clients };
      const before = cpuNow(bench, ofServer);
      const result = await ask<Result>(bench.driver, slice);
      addTurn(turns[at]!, result, cpuSince(before, cpuNow(bench, ofServer)), round >= 0);
    }
  const [own, ...others] = turns as [Turns, ...Turns[]];
  return [
    figureOf(own, others, { clients, commit, yardstick: false, asked }),
    ...others.map((other) => figureOf(other, [], { clients, commit, yardstick: true })),
  ];
}

/** Rounds in which other clients are served alone, and then beside one client with the workload. */
async function compareBeside(
  bench: Bench,
  { workload }: Comparison,
  beside: WorkloadName,
  clients: number,
  commit: string,
): Promise<Figure[]> {
  const own = noTurns(workload);
  const others = noTurns(`${beside} beside ${workload}`);
  const alone = noTurns(`${beside} alone`);
  const second = forkHere('driver.ts');
  const before = memoryOf(bench.server.pid)?.now ?? Number.NaN;
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, memoryOf(bench.server.pid)?.now ?? Number.NaN);
  }, 50);
  try {
    for (let round = -1; round < rounds; round++) {
      const slice = sliceOf(bench, round, true);
      const times = [cpuNow(bench, true)];
      const lone = await ask<Result>(bench.driver, { ...slice, workload: beside, clients });
      times.push(cpuNow(bench, true));
      // Others end in time, and the workload after its last answer: so they are beside it all the while.
      const [large, busy] = await Promise.all([
        ask<Result>(second, { ...slice, workload, clients: 1 }),
        ask<Result>(bench.driver, { ...slice, workload: beside, clients }),
      ]);
      times.push(cpuNow(bench, true));
      addTurn(alone, lone, cpuSince(times[0]!, times[1]!), round >= 0);
      addTurn(own, large, cpuSince(times[1]!, times[2]!), round >= 0);
      // Theirs is in that of the workload.
      addTurn(others, busy, { node: Number.NaN, postgres: Number.NaN }, round >= 0);
    }
  } finally {
    clearInterval(watch);
    second.kill();
  }
  const memory = { before, most };
  return [
    figureOf(own, [], { clients: 1, commit, yardstick: false, memory }),
    figureOf(others, [alone], { clients, commit, yardstick: true, memory }),
    figureOf(alone, [], { clients, commit, yardstick: true }),
  ];
}

/** What a driver is told in a round. Round -1 is short and not counted: it prepares statements, and compiles. */
function sliceOf({ server, yardstick, token }: Bench, round: number, ofServer: boolean) {
  const port = ofServer ? server.port : yardstick.port;
  const milliseconds = round < 0 ? Math.min(500, Number(options.slice)) : Number(options.slice);
  return { port, milliseconds, size, token };
}

function cpuNow({ server, yardstick, database }: Bench, ofServer: boolean): Cpu {
  return {
    node: cpuOf(ofServer ? server.pid : yardstick.process.pid!) ?? Number.NaN,
    postgres: (database.pid && cpuOfPostgres(database.pid)) ?? Number.NaN,
  };
}

function cpuSince(before: Cpu, after: Cpu): Cpu {
  return { node: after.node - before.node, postgres: after.postgres - before.postgres };
}
