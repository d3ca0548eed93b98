/**
 * Jobs: kept by whoever is asked, done by any process. One that was interrupted is done again, unless it may have
 * written: then its client is told what is known.
 */
import type pg from 'pg';
import type { Logger } from 'pino';
import { error, operationOutcome } from '../fhir/outcome.ts';
import {
  type Claimed,
  type JobAnswer,
  type JobProgress,
  type JobRequest,
  Lost,
  type OwnAnswer,
  type Perform,
} from './job.ts';
import { addPart, PIECE } from './parts.ts';
import {
  addJob,
  beatJobs,
  bodyOf,
  claimJob,
  discardAnswer,
  finishJob,
  forgetJob,
  hasWritten,
  lookAtJob,
} from './queue.ts';

export interface Jobs {
  /** @throws Refusal 429 */
  add(agent: number, request: JobRequest, body: Buffer): Promise<string>;
  look(agent: number, id: string): Promise<JobProgress | undefined>;
  forget(agent: number, id: string): Promise<boolean>;
  /** Does jobs from now on. */
  start(perform: Perform, log: Logger): void;
  /** Begins no more, and resolves when those under way are done. */
  close(): Promise<void>;
}

/** So many are done at once in a process: they take a part of its connections, and leave the most to others. */
const ABREAST = 2;

/** How often a process says that it is alive, and looks for what others have left, in ms. */
const BEAT = 3000;

/** So often a job is begun; one that ends its process each time must not go on doing so. */
const ATTEMPTS = 3;

/** The largest answer that is kept, in bytes. */
const MOST_ANSWER = 256 * 1024 * 1024;

class TooLarge extends Error {}

/** @param mostAnswer bytes of the largest answer that is kept */
export function openJobs(pool: pg.Pool, mostAnswer = MOST_ANSWER): Jobs {
  const running = new Map<Claimed, AbortController>();
  const ends = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let perform: Perform | undefined;
  let log: Logger | undefined;
  let claiming: Promise<void> | undefined;
  let woken = false;

  /** Takes what there is, up to what may go on at once. */
  function wake(): void {
    woken = true;
    claiming ??= claimAll().finally(() => {
      claiming = undefined;
      if (woken && perform) wake();
    });
  }

  async function claimAll(): Promise<void> {
    while (woken) {
      woken = false;
      while (perform && ends.size < ABREAST) {
        const how = perform;
        const job = await claimJob(pool).catch(told('could not look for jobs'));
        if (!job) break;
        const end = doJob({ pool, mostAnswer, running }, job, how).catch(told('could not finish a job'));
        ends.add(end);
        end.finally(() => {
          ends.delete(end);
          wake();
        });
      }
    }
  }

  async function beat(): Promise<void> {
    const jobs = [...running.keys()];
    if (jobs.length === 0) return;
    const ours = await beatJobs(pool, jobs);
    for (const job of jobs) if (!ours.has(job.id)) running.get(job)?.abort();
  }

  const told =
    (what: string) =>
    (fault: { readonly code?: unknown }): undefined => {
      log?.warn({ code: fault.code }, what);
    };

  return {
    async add(agent, request, body) {
      const id = await addJob(pool, agent, request, body);
      wake();
      return id;
    },
    look: (agent, id) => lookAtJob(pool, agent, id),
    forget: async (agent, id) => {
      const known = await forgetJob(pool, agent, id);
      for (const [job, stop] of running) if (job.id === id) stop.abort();
      return known;
    },
    start(how, where) {
      perform = how;
      log = where;
      timer = setInterval(() => {
        wake();
        beat().catch(told('could not look after jobs'));
      }, BEAT).unref();
      wake();
    },
    async close() {
      perform = undefined;
      await claiming;
      await Promise.all(ends);
      clearInterval(timer);
    },
  };
}

interface Doing {
  readonly pool: pg.Pool;
  readonly mostAnswer: number;
  readonly running: Map<Claimed, AbortController>;
}

async function doJob({ pool, mostAnswer, running }: Doing, job: Claimed, perform: Perform): Promise<void> {
  const stop = new AbortController();
  running.set(job, stop);
  const kept = { parts: 0, size: 0 };
  const put = async (piece: Buffer): Promise<void> => {
    if (stop.signal.aborted) throw new Lost();
    if (kept.size + piece.length > mostAnswer) throw new TooLarge();
    for (let at = 0; at < piece.length; at += PIECE)
      await addPart(pool, job, kept.parts++, piece.subarray(at, at + PIECE));
    kept.size += piece.length;
  };
  try {
    const own = interrupted(job);
    const answer = own
      ? await tell(own, put)
      : await perform({ ...job, body: bodyOf(pool, job), signal: stop.signal }, put).catch(async (fault) => {
          if (!(fault instanceof TooLarge)) throw fault;
          await discardAnswer(pool, job);
          Object.assign(kept, { parts: 0, size: 0 });
          return tell(tooLarge(mostAnswer, await hasWritten(pool, job)), put);
        });
    await finishJob(pool, job, answer, kept);
  } catch (fault) {
    // Cancelled, or somebody else's now.
    if (!(fault instanceof Lost) && !stop.signal.aborted) throw fault;
  } finally {
    running.delete(job);
  }
}

async function tell({ status, issue }: OwnAnswer, put: (piece: Buffer) => Promise<void>): Promise<JobAnswer> {
  await put(Buffer.from(JSON.stringify(operationOutcome([issue]))));
  return { status, about: true };
}

/** What is said of a job that was begun before, and is not to be done again. */
function interrupted({ mark, attempt }: Claimed): OwnAnswer | undefined {
  if (mark === 'done')
    return {
      status: 200,
      issue: {
        ...error('incomplete', 'This was done, but the server was interrupted before it kept its answer'),
        severity: 'warning',
      },
    };
  if (mark === 'begun')
    return {
      status: 500,
      issue: error(
        'incomplete',
        'The server was interrupted: some of this may have been done, or all. Look what is there before you send it again',
      ),
    };
  if (attempt > ATTEMPTS)
    return {
      status: 500,
      issue: error(
        'exception',
        `The server was interrupted each of the ${ATTEMPTS} times that it began this: nothing was written. Send it in smaller parts`,
      ),
    };
  return undefined;
}

function tooLarge(most: number, written: boolean): OwnAnswer {
  const what = `the answer is larger than ${most} bytes, and was not kept`;
  if (!written) return { status: 413, issue: error('too-costly', `Ask for less: ${what}`) };
  return {
    status: 200,
    issue: { ...error('too-costly', `This was done, but ${what}`), severity: 'warning' },
  };
}
