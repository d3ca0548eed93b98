/** The database of the one-command start: a PostgreSQL of our own under the data folder, shared by all who use it. */
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { binaries } from './embedded/binaries.ts';
import { prepare } from './embedded/cluster.ts';
import { locked } from './embedded/lock.ts';
import { type Place, placeOf } from './embedded/place.ts';
import { ensure, find, lives, type Postmaster, rotate, stop, urlOf } from './embedded/postmaster.ts';
import { settings } from './embedded/settings.ts';
import { beat, register, stillHere, unregister, usedElsewhere, users } from './embedded/users.ts';

export interface EmbeddedOptions {
  /** the data folder; the database is in `postgres` below it */
  readonly dataDir: string;
  /** told, in one line each, what the operator should know */
  readonly log?: (line: string) => void;
  /** false only for tests: a power cut may then destroy the database */
  readonly fsync?: boolean;
  /** further PostgreSQL settings, or other values; they hold where this call starts the database */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface Embedded {
  /** postgres://consilium:PASSWORD@127.0.0.1:PORT/consilium; stays the same while held */
  readonly url: string;
  /** PID of the postmaster as it is now */
  readonly pid: number;
  /** Lets go. The last one to do so stops the database, and returns when it is down. */
  release(): Promise<void>;
}

/**
 * The embedded PostgreSQL of a data folder: made at the first start, started where it does not run, shared where
 * it does. Until released it is watched and, should it die, started again under the same URL.
 *
 * It outlives a killed process on purpose, as others may use it; the next start finds it.
 *
 * @throws Error in one line, saying what is wrong and what to do
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const dataDir = resolve(options.dataDir);
  const log = options.log ?? (() => {});
  try {
    const place = placeOf(dataDir, log);
    const use = register(join(place.dir, 'users'));
    try {
      await aloneOnThisMachine(place);
      const first = await locked(join(place.dir, 'locks'), { log }, () => start(place, options, log));
      return hold(place, use, first, options, log);
    } catch (fault) {
      unregister(use);
      throw fault;
    }
  } catch (fault) {
    throw explained(fault as NodeJS.ErrnoException, dataDir);
  }
}

function start(
  place: Place,
  options: EmbeddedOptions,
  log: (line: string) => void,
  port?: number,
): Promise<Postmaster> {
  const fsync = options.fsync !== false;
  return ensure(place, {
    port,
    log,
    settings: {
      ...settings(),
      ...(fsync ? {} : { fsync: 'off', full_page_writes: 'off' }),
      ...options.settings,
    },
    prepare: async () => {
      const found = binaries(place.dir, place.account);
      await prepare(place, found, fsync);
      return found;
    },
  });
}

/** How often the watch looks, and how long it waits before each new start in a row: ms. */
const LOOK = 250;
const PAUSES = [0, 500, 1000, 2000, 4000, 8000];
/** A postmaster that lived this long, in ms, has started well. */
const WELL = 60_000;

function hold(
  place: Place,
  use: string,
  first: Postmaster,
  options: EmbeddedOptions,
  log: (line: string) => void,
): Embedded {
  const url = urlOf(place, first.port);
  const locks = join(place.dir, 'locks');
  let current = first;
  let since = Date.now();
  let deaths = 0;
  let beaten = Date.now();
  let mending: Promise<void> | undefined;
  let released: Promise<void> | undefined;
  const leaving = new AbortController();

  // All users see it die; the lock lets one start it, and the others find it running.
  const mend = async () => {
    deaths = Date.now() - since > WELL ? 1 : deaths + 1;
    const pause = PAUSES[deaths - 1];
    if (pause === undefined) {
      clearInterval(watch);
      log(
        `PostgreSQL died ${PAUSES.length} times in a row and is left alone: read ${place.dir}/postgresql.log and start again`,
      );
      return;
    }
    await sleep(pause, undefined, { ref: false, signal: leaving.signal }).catch(() => {});
    if (leaving.signal.aborted) return;
    try {
      const before = current.pid;
      current = await locked(locks, { log }, () => start(place, options, log, first.port));
      log(`PostgreSQL (PID ${before}) died and runs again (PID ${current.pid})`);
    } catch (fault) {
      log((fault as Error).message);
    }
    since = Date.now();
  };

  const watch = setInterval(() => {
    if (Date.now() - beaten > beat.every) {
      beaten = Date.now();
      stillHere(use);
      rotate(place);
    }
    if (!mending && !lives(current))
      mending = mend().finally(() => {
        mending = undefined;
      });
  }, LOOK);
  watch.unref();

  const release = async () => {
    clearInterval(watch);
    leaving.abort();
    await mending;
    await locked(locks, { log }, async () => {
      unregister(use);
      const others = join(place.dir, 'users');
      if (users(others).length === 0 && !usedElsewhere(others)) await stop(place);
    });
  };
  return {
    url,
    get pid() {
      return (find(place) ?? current).pid;
    },
    release: () => (released ??= release()),
  };
}

/** Two containers with one data folder do not see each other's PostgreSQL; only one may run it. */
async function aloneOnThisMachine(place: Place): Promise<void> {
  const folder = join(place.dir, 'users');
  // One that was just killed still seems to live for some seconds.
  for (const until = Date.now() + beat.believed + 1000; usedElsewhere(folder); )
    if (Date.now() > until)
      throw new Error(
        `${place.dir} is in use in another container: give each its own DATA_DIR, or share a DATABASE_URL`,
      );
    else await sleep(200);
}

/** The faults of the file system, in words. */
function explained(fault: NodeJS.ErrnoException, dataDir: string): Error {
  const where = fault.path && !fault.path.startsWith(dataDir) ? ` (${fault.path})` : '';
  switch (fault.code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new Error(
        `DATA_DIR ${dataDir}${where} cannot be written by this user: change its owner or choose another DATA_DIR`,
      );
    case 'ENOTDIR':
    case 'EEXIST':
    case 'ENOENT':
      return new Error(
        `DATA_DIR ${dataDir}${where} is no folder and cannot become one: choose another DATA_DIR`,
      );
    case 'ENOSPC':
    case 'EDQUOT':
      return new Error(`DATA_DIR ${dataDir}: the disk is full: make room on it`);
    default:
      return fault;
  }
}
