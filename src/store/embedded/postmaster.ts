/** The postmaster of a cluster: finding it, starting it, stopping it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, copyFileSync, openSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Binaries } from './binaries.ts';
import { passwordOf } from './cluster.ts';
import { get, own, put } from './files.ts';
import type { Place } from './place.ts';
import { commandOf, startOf } from './process.ts';
import { as, cannotRun, environment, fault } from './program.ts';

/** A postmaster that runs, or is about to. */
export interface Postmaster {
  readonly pid: number;
  /** when it started, to tell it from a later process with its PID */
  readonly start: string;
  readonly port: number;
  /** what postmaster.pid says of it: starting, ready, stopping */
  readonly status: string;
}

/** The postmaster that runs on this cluster, undefined where there is none. */
export function find(place: Place): Postmaster | undefined {
  const [pid, , , port, , , , status] = pidFile(place)?.split('\n') ?? [];
  // The PID in a left-over file may by now be anybody's: it is ours if it was started for this cluster.
  const start = startOf(Number(pid));
  const command = commandOf(Number(pid));
  if (start === undefined || !command.includes(place.cluster) || !/postgres$/.test(command[0] ?? ''))
    return undefined;
  return { pid: Number(pid), start, port: Number(port), status: status?.trim() ?? 'starting' };
}

/** Whether this very postmaster still lives. */
export const lives = ({ pid, start }: Postmaster): boolean => startOf(pid) === start;

/** The URL of the database. */
export function urlOf(place: Place, port: number): string {
  return `postgres://consilium:${passwordOf(place)}@127.0.0.1:${port}/consilium`;
}

/** What a start needs to know. */
export interface Start {
  /** finds and prepares programs and cluster; called only where no postmaster runs */
  readonly prepare: () => Promise<Binaries>;
  readonly settings: Readonly<Record<string, string>>;
  /** the only port that will do, where somebody already holds its URL */
  readonly port?: number;
  readonly log: (line: string) => void;
}

/** How long what is left of a killed postmaster may hold its memory, or one that was found may not answer. */
const PATIENCE = 15_000;

/**
 * A postmaster that answers: the one that runs, else a new one. To be called under the lock.
 *
 * @throws Error in one line where it cannot be had
 */
export async function ensure(place: Place, start: Start): Promise<Postmaster> {
  const until = Date.now() + PATIENCE;
  let port = start.port ?? Number(get(join(place.dir, 'port')) ?? 0);
  for (;;) {
    const found = await settled(place, find(place), start.log);
    if (found) {
      if (await answers(place, found)) return found;
      start.log(`the postmaster with PID ${found.pid} does not answer: it is stopped and started anew`);
      await end(found, 'SIGQUIT');
      continue;
    }
    const binaries = await start.prepare();
    disown(place);
    if (!start.port && !(await isFree(port))) port = await freePort();
    put(join(place.dir, 'port'), String(port));
    const said = await launch(place, binaries, { ...start.settings, port: String(port) }, start.log);
    if (said === undefined) continue;
    const passing =
      /pre-existing shared memory block|lock file "postmaster.pid" (already exists|is empty)/.test(said);
    const taken = /could not bind|could not create any TCP\/IP sockets/.test(said);
    if ((!passing && !taken) || Date.now() > until)
      throw fault(`The database in ${place.dir} does not start`, said);
    // Somebody was faster with the port we just saw free.
    if (taken && !start.port) port = 0;
    // Backends of a killed postmaster end by themselves as soon as they see that they are orphans.
    else await sleep(50);
  }
}

/**
 * Stops the postmaster: connections are ended, everything is written, the next start has nothing to recover.
 */
export async function stop(place: Place): Promise<void> {
  const found = find(place);
  if (found) await end(found, 'SIGINT');
}

/** Signals in order of force: fast, at once (recovers at the next start), and none to argue with. */
const force = { SIGINT: 60_000, SIGQUIT: 10_000, SIGKILL: 5000 } as const;

async function end(postmaster: Postmaster, from: keyof typeof force): Promise<void> {
  const signals = Object.entries(force) as [keyof typeof force, number][];
  for (const [signal, patience] of signals.slice(signals.findIndex(([name]) => name === from))) {
    try {
      process.kill(postmaster.pid, signal);
    } catch {
      return;
    }
    for (const until = Date.now() + patience; Date.now() < until; await sleep(5))
      if (!lives(postmaster)) return;
  }
}

/** Waits for a postmaster to be ready; undefined where it ends instead. */
async function settled(
  place: Place,
  found: Postmaster | undefined,
  log: (line: string) => void,
): Promise<Postmaster | undefined> {
  const since = Date.now();
  let told = false;
  let now = found;
  while (now && now.pid === found?.pid) {
    if (now.status === 'ready') return now;
    // An orderly stop takes as long as there is to write, but not for ever.
    if (now.status === 'stopping' && Date.now() - since > force.SIGINT) await end(now, 'SIGQUIT');
    if (!told && now.status !== 'stopping' && Date.now() - since > 5000) {
      log(
        'PostgreSQL replays what was not yet in its files when it was stopped hard; this can take a minute',
      );
      told = true;
    }
    await sleep(5);
    now = find(place);
  }
  return undefined;
}

/** Whether it lets us in. One that is full answers too. */
async function answers(place: Place, found: Postmaster): Promise<boolean> {
  for (const until = Date.now() + PATIENCE; Date.now() < until && lives(found); await sleep(50)) {
    const client = new pg.Client({
      connectionString: urlOf(place, found.port),
      connectionTimeoutMillis: 5000,
    });
    // A connection that breaks later speaks through the query below.
    client.on('error', () => {});
    try {
      await client.connect();
      await client.query('select 1');
      return true;
    } catch (problem) {
      const { code, message } = problem as { code?: string; message: string };
      if (code === '53300') return true;
      if (code?.startsWith('28') || code?.startsWith('3D'))
        throw new Error(
          `The database in ${place.dir} refuses us (${message}): put its file "password" back from a backup`,
        );
    } finally {
      await client.end().catch(() => {});
    }
  }
  return false;
}

/**
 * Starts a postmaster and waits until it is ready.
 *
 * @returns what it said where it ended instead
 */
async function launch(
  place: Place,
  { bin }: Binaries,
  settings: Readonly<Record<string, string>>,
  log: (line: string) => void,
): Promise<string | undefined> {
  const file = logFile(place);
  rotate(place);
  const handle = openSync(file, 'a', 0o600);
  own(file);
  const before = statSync(file).size;
  let ended = false;
  let child: ChildProcess;
  try {
    child = spawn(
      join(bin, 'postgres'),
      [
        '-D',
        place.cluster,
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      {
        cwd: place.dir,
        env: environment,
        // A file and not a pipe: it outlives us. A session of its own: Ctrl-C in our terminal is not for it.
        stdio: ['ignore', handle, handle],
        detached: true,
        ...as(place.account),
      },
    );
  } finally {
    closeSync(handle);
  }
  let problem = '';
  child.on('exit', () => {
    ended = true;
  });
  child.on('error', (why) => {
    problem = `FATAL: ${cannotRun(child.spawnfile, why).message}`;
    ended = true;
  });
  child.unref();
  while (!ended) {
    const found = find(place);
    if (found && (await settled(place, found, log))) return undefined;
    await sleep(5);
  }
  return problem || readFileSync(file).subarray(before).toString('utf8');
}

/** The log of PostgreSQL itself. */
const logFile = (place: Place): string => join(place.dir, 'postgresql.log');

/**
 * Starts the log anew where it has grown large, keeping the one before. PostgreSQL appends to the open file, so
 * it is emptied in place.
 */
export function rotate(place: Place, most = 16 * 1024 * 1024): void {
  const file = logFile(place);
  try {
    if (statSync(file).size < most) return;
    rmSync(`${file}.1`, { force: true });
    copyFileSync(file, `${file}.1`);
    own(`${file}.1`);
    truncateSync(file);
  } catch {
    // There is none yet.
  }
}

/** The text of postmaster.pid: PID, cluster, start, port, socket, address, shared memory, status. */
function pidFile(place: Place): string | undefined {
  return get(join(place.cluster, 'postmaster.pid'));
}

/**
 * Takes the PID out of a postmaster.pid whose postmaster is gone, where another program has that number now, or
 * a zombie that nobody reaps: PostgreSQL would refuse to start for as long as it does. The file is not deleted:
 * by the shared memory noted in it PostgreSQL knows that orphans of the dead postmaster still write, and two
 * sets of writers destroy a cluster.
 */
function disown(place: Place): void {
  const [pid, ...rest] = pidFile(place)?.split('\n') ?? [];
  if (pid === undefined) return;
  try {
    process.kill(Number(pid), 0);
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'ESRCH') return;
  }
  const nobody = 2 ** 31 - 1;
  put(join(place.cluster, 'postmaster.pid'), `${[nobody, ...rest].join('\n')}\n`);
}

/** Below the ports that systems give to outgoing connections, where it would be taken at times. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_432 + Math.floor(Math.random() * 16_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  if (port === 0) return Promise.resolve(false);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
