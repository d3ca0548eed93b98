/**
 * What is acknowledged is kept: server and database are killed at random moments while clients write, started
 * again, and all that was acknowledged must be there, and agree.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Resource } from 'fhir/r4.js';
import { ask, consilium, freePort, type Running, serve, stop } from '../../bench/processes.ts';
import { type Answer, openWire, request, send } from '../../bench/wire.ts';
import { loadDefinitions } from '../../src/fhir/definitions.ts';
import { placeOf } from '../../src/store/embedded/place.ts';
import { startEmbedded } from '../../src/store/embedded.ts';
import { openPool } from '../../src/store/pool.ts';
import { inconsistencies } from '../support/consistency.ts';
import { digest } from './digest.ts';
import { halves } from './half.ts';
import type { Acknowledged, Sent } from './step.ts';
import type { Load, Order, Report } from './writer.ts';

/** What is killed, by turns. A killed backend makes PostgreSQL end all others and recover. */
const VICTIMS = ['server', 'postmaster', 'server', 'backend'] as const;
type Victim = (typeof VICTIMS)[number];

/** How long a server may take, in ms, to answer again after its database died. */
const RECOVERY = 20_000;

interface Place {
  readonly dataDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly port: number;
  readonly token: string;
}

/**
 * Runs so many rounds on a new data folder.
 *
 * @param load what is written: single resources, transactions, or both at once
 * @param log  told a line for each round
 * @returns    a line for each fault
 */
export async function crash(rounds: number, load: Load, log: (line: string) => void): Promise<string[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'consilium-crash-'));
  chmodSync(dataDir, 0o755);
  const env = { DATA_DIR: dataDir, DATABASE_URL: '', LOG_LEVEL: 'silent' };
  const writer = fork(join(import.meta.dirname, 'writer.ts'));
  const faults: string[] = [];
  const all = { acknowledged: [] as Acknowledged[], bundles: [] as Sent[] };
  let server: Running | undefined;
  try {
    const port = await freePort();
    server = await serve(env, port);
    const token = (await consilium(['token', '--minutes', '1440'], env)).trim();
    const place = { dataDir, env, port, token };
    for (let round = 0; round < rounds; round++) {
      const victim = VICTIMS[round % VICTIMS.length]!;
      const since = new Date(Date.now() - 1000);
      const before = faults.length;
      const { report, after } = await kill(victim, server, writer, place, load);
      server = after;
      faults.push(...report.faults.slice(0, 10), ...(await lost(place, report.acknowledged)));
      faults.push(...(await disagreements(place, report, since)));
      for (const one of report.acknowledged) all.acknowledged.push(one);
      for (const one of report.bundles) all.bundles.push(one);
      log(
        `round ${round + 1}: killed the ${victim}; ${report.acknowledged.length} writes acknowledged, ` +
          `${report.bundles.length} transactions sent, ${report.unanswered} unanswered, ${report.unavailable} refused meanwhile; ${faults.length - before} faults`,
      );
    }
    log(
      `at the end: ${all.acknowledged.length} acknowledged writes read again, ` +
        `${all.bundles.length} transactions and all rows compared`,
    );
    faults.push(...(await lost(place, all.acknowledged)), ...(await disagreements(place, all, new Date(0))));
    return faults;
  } finally {
    writer.disconnect();
    if (server) await stop(server.process);
    // Whatever a fault left: one more user that lets go stops the database.
    await (await startEmbedded({ dataDir })).release();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Lets the writer write, kills, and waits until the server answers again. */
async function kill(
  victim: Victim,
  server: Running,
  writer: ChildProcess,
  { dataDir, env, port, token }: Place,
  load: Load,
): Promise<{ report: Report; after: Running }> {
  writer.send({ port, token, load } satisfies Order);
  await sleep(200 + Math.random() * 1000);
  if (victim === 'server') {
    server.process.kill('SIGKILL');
    await once(server.process, 'exit');
    return { report: await ask<Report>(writer, { stop: true }), after: await serve(env, port) };
  }
  const postmaster = postmasterOf(dataDir);
  const backends = victim === 'backend' ? backendsOf(postmaster) : [];
  process.kill(backends[Math.floor(Math.random() * backends.length)] ?? postmaster, 'SIGKILL');
  // The server itself brings its database up again; then there is more writing.
  await sleep(100);
  await answersAgain(server, token);
  await sleep(300);
  return { report: await ask<Report>(writer, { stop: true }), after: server };
}

const postmasterOf = (dataDir: string): number =>
  Number(readFileSync(join(placeOf(dataDir, () => {}).dir, 'cluster/postmaster.pid'), 'utf8').split('\n')[0]);

/** The processes of a postmaster that serve connections, where the system has /proc. */
function backendsOf(postmaster: number): number[] {
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && isBackend(pid, postmaster));
  } catch {
    return [];
  }
}

function isBackend(pid: number, postmaster: number): boolean {
  try {
    const parent = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
    return (
      Number(parent) === postmaster && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('127.0.0.1(')
    );
  } catch {
    return false;
  }
}

async function answersAgain(server: Running, token: string): Promise<void> {
  let answer: Answer | undefined;
  for (const until = Date.now() + RECOVERY; Date.now() < until; await sleep(50)) {
    if (server.process.exitCode !== null)
      throw new Error(`the server ended when its database died: ${server.complaints()}`);
    [answer] = await get({ port: server.port, token }, ['/fhir/Patient/nobody']).catch(() => []);
    if (answer?.status === 404) return;
  }
  throw new Error(`no answer for ${RECOVERY} ms after the database died: ${answer?.head}`);
}

/** The answers to GETs, over a few connections. */
async function get(
  { port, token }: Pick<Place, 'port' | 'token'>,
  paths: readonly string[],
): Promise<Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const reader = async () => {
    const wire = await openWire(port);
    while (next < paths.length) {
      const at = next++;
      answers[at] = await send(wire, request('GET', paths[at]!, { token }));
    }
    wire.close();
  };
  await Promise.all(Array.from({ length: Math.min(8, paths.length) }, reader));
  return answers;
}

/** What was acknowledged and is not there as it was written. */
async function lost(place: Place, acknowledged: readonly Acknowledged[]): Promise<string[]> {
  const faults: string[] = [];
  const answers = await get(
    place,
    acknowledged.map(({ type, id, version }) => `/fhir/${type}/${id}/_history/${version}`),
  );
  for (const [i, { status, body }] of answers.entries()) {
    const { type, id, version, digest: content } = acknowledged[i]!;
    const name = `${type}/${id}/_history/${version}`;
    if (status !== (content ? 200 : 410)) faults.push(`${name} is lost: ${status} ${body.subarray(0, 200)}`);
    else if (content && digest(JSON.parse(body.toString()) as Resource) !== content)
      faults.push(`${name} has other content: ${body}`);
  }
  return faults.slice(0, 20);
}

/** What does not agree in the database, with itself or with what was acknowledged and sent. */
async function disagreements(
  { dataDir }: Place,
  { acknowledged, bundles }: Pick<Report, 'acknowledged' | 'bundles'>,
  since: Date,
): Promise<string[]> {
  const embedded = await startEmbedded({ dataDir });
  const pool = openPool({ databaseUrl: embedded.url, size: 2, plans: 'each' });
  try {
    const { rows } = await pool.query(
      `select t.name, e.id, e.version, r.version as current
       from unnest($1::text[], $2::text[], $3::integer[]) e (type, id, version)
       join type t on t.name = e.type
       left join resource r on r.type = t.code and r.id = e.id
       where r.version is null or r.version < e.version limit 20`,
      [
        acknowledged.map(({ type }) => type),
        acknowledged.map(({ id }) => id),
        acknowledged.map(({ version }) => version),
      ],
    );
    const behind = rows.map(
      ({ name, id, version, current }) => `${name}/${id} went back from version ${version} to ${current}`,
    );
    const parts = (await halves(pool, bundles, since)).slice(0, 20);
    return [...behind, ...parts, ...(await inconsistencies(pool, await loadDefinitions(), { since }))];
  } finally {
    await pool.end();
    await embedded.release();
  }
}
