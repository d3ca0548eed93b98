/** WORKERS above 1: processes that share the port, and a first one that holds the database and watches over them. */
import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../../config.ts';
import { oneLine } from '../fault.ts';
import { logger } from '../log.ts';
import { explained } from './listen.ts';
import { GRACE, type Serving } from './stop.ts';

/** Before each new start of a worker that died early, in ms; one that lived for a minute starts at the first. */
const PAUSES = [0, 500, 1000, 2000, 5000, 10_000, 30_000];
const WELL = 60_000;

/** What the first process tells a worker that is to end. */
const STOP = 'stop';

/** What a worker tells the first process: that it listens, or why it does not. */
type Told = { readonly fault?: string };

/**
 * Starts the workers and resolves when all listen. One that dies later is replaced.
 *
 * @throws Error where one cannot listen
 */
export async function startWorkers(config: Config, databaseUrl: string, log: Logger): Promise<Serving> {
  // The workers take connections themselves: one handed to a worker that is just dying would never be answered.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  let closing = false;
  const live = new Set<Worker>();

  const start = (deaths: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const since = Date.now();
      const worker = cluster.fork({
        DATABASE_URL: databaseUrl,
        PORT: String(config.port),
        BASE_URL: config.baseUrl,
      });
      live.add(worker);
      // What is said to one that is just ending is lost: its exit says enough.
      worker.on('error', () => {});
      worker.on('message', (told: Told) => {
        if (told.fault === undefined) resolve();
        else reject(new Error(told.fault));
      });
      worker.on('exit', async (code, signal) => {
        live.delete(worker);
        reject(new Error(`a worker ended before it listened (${signal ?? code})`));
        if (closing) return;
        const early = Date.now() - since < WELL ? deaths : 0;
        const pause = PAUSES[Math.min(early, PAUSES.length - 1)] as number;
        log.error(`worker ${worker.process.pid} died (${signal ?? code}): another starts in ${pause} ms`);
        await sleep(pause);
        if (!closing) start(early + 1).catch((fault) => log.error(oneLine(fault)));
      });
    });

  const close = async () => {
    closing = true;
    const ends = [...live].map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
    for (const worker of live) worker.send(STOP);
    const inTime = await Promise.race([
      Promise.all(ends).then(() => true),
      sleep(GRACE, false, { ref: false }),
    ]);
    for (const worker of live) worker.process.kill('SIGKILL');
    return inTime;
  };
  try {
    await Promise.all(Array.from({ length: config.workers }, () => start(0)));
    return { close };
  } catch (fault) {
    await close();
    throw fault;
  }
}

/** A worker: it serves until the first process lets go of it, or is gone. */
export async function serveAsWorker(config: Config): Promise<void> {
  // Ctrl-C goes to all processes of a terminal; the first one tells us when.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  // The same of the first process, whose end is seen below.
  cluster.worker?.on('error', () => {});
  const told = (message: Told) => process.send?.(message);
  // Without the first process nobody would stop us, and its database may be gone.
  const gone = new Promise<void>((resolve) =>
    process.once('disconnect', resolve).once('message', () => resolve()),
  );
  try {
    const { openApp } = await import('../../app.ts');
    const app = await openApp(config, await logger(config));
    try {
      await app.listen();
      told({});
      await gone;
    } finally {
      await app.close();
    }
  } catch (fault) {
    told({ fault: oneLine(explained(fault as NodeJS.ErrnoException, config)) });
    process.exitCode = 1;
  } finally {
    if (process.connected) process.disconnect?.();
  }
}
