/**
 * `npm run test:concurrency -- [--minutes 10] [--clients 16] [--pause 20] [--restart 10]`: random clients over two
 * servers that are killed and started again; whether what they were told, and what is there, can come of doing one
 * thing after the other. `--record FILE` writes down what was around each fault. `--users 5,20,50 [--seconds 10]`:
 * users who post overlapping Bundles, and how they get on.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect } from '../../src/store/connect.ts';
import { startEmbedded } from '../../src/store/embedded.ts';
import { migrate } from '../../src/store/migrate.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { concurrency, describe, type Report } from './concurrency.ts';
import { describeUsers, letUsersPost } from './users.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    clients: { type: 'string', default: '16' },
    pause: { type: 'string', default: '20' },
    restart: { type: 'string', default: '10' },
    users: { type: 'string' },
    record: { type: 'string' },
    seconds: { type: 'string', default: '10' },
  },
});
const dataDir = mkdtempSync(join(tmpdir(), 'consilium-concurrency-'));
chmodSync(dataDir, 0o755);
const embedded = await startEmbedded({ dataDir });
try {
  await migrate(embedded.url);
  const cluster = await startCluster({ DATABASE_URL: embedded.url, DATA_DIR: dataDir });
  try {
    process.exitCode = values.users ? await users(cluster, values.users.split(',')) : await work(cluster);
    if (cluster.complaints()) console.log(`the servers complained:\n${cluster.complaints().slice(0, 5000)}`);
  } finally {
    await cluster.stop();
  }
} finally {
  await embedded.release();
  rmSync(dataDir, { recursive: true, force: true });
}

/** All that was asked about the resources and conditions of the faults, and their versions, as JSON. */
function around({ faults, history }: Report): string {
  const steps = faults.flatMap(({ operations }) => operations.flatMap((operation) => operation.steps));
  const names = new Set(steps.flatMap(({ resource, answer }) => [resource, answer?.resource]));
  const conditions = new Set(steps.map(({ condition }) => condition));
  const concerned = history.operations.filter((operation) =>
    operation.steps.some(
      ({ resource, answer, condition, identifier }) =>
        (resource && names.has(resource)) ||
        (answer?.resource && names.has(answer.resource)) ||
        (condition && conditions.has(condition)) ||
        (identifier && conditions.has(identifier)),
    ),
  );
  const versions = [...history.resources].filter(([name]) => names.has(name));
  return JSON.stringify({ operations: concerned, versions });
}

/** @returns the exit code */
async function work(cluster: Cluster): Promise<number> {
  const report = await concurrency(cluster, {
    seconds: Number(values.minutes) * 60,
    clients: Number(values.clients),
    pause: Number(values.pause),
    restartEvery: Number(values.restart),
  });
  for (const line of describe(report)) console.log(line);
  if (values.record && report.faults.length > 0) writeFileSync(values.record, around(report));
  return report.faults.length === 0 ? 0 : 1;
}

/** @returns the exit code: any answer but 200 is a fault here; deadlocks that were repeated only cost time */
async function users(cluster: Cluster, numbers: readonly string[]): Promise<number> {
  let faults = 0;
  let before = await deadlocks();
  for (const number of numbers) {
    const report = await letUsersPost(cluster, Number(number), Number(values.seconds));
    const now = await deadlocks();
    console.log(`${describeUsers(report)}; ${now - before} deadlocks`);
    before = now;
    faults += report.astray === 0 && report.statuses.keys().every((status) => status === 200) ? 0 : 1;
  }
  return Math.min(1, faults);
}

/** So many deadlocks PostgreSQL has ended until now. Its backends tell of theirs within a second or so. */
async function deadlocks(): Promise<number> {
  await sleep(1500);
  const client = await connect(embedded.url);
  try {
    const { rows } = await client.query(
      'select deadlocks::integer from pg_stat_database where datname = current_database()',
    );
    return rows[0].deadlocks;
  } finally {
    await client.end();
  }
}
