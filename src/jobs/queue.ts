/** The durable queue: one statement for each thing that can happen to a job. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { error, Refusal } from '../fhir/outcome.ts';
import { type Executor, run, transaction } from '../store/pool.ts';
import {
  type Claim,
  type Claimed,
  type JobAnswer,
  type JobProgress,
  type JobRequest,
  Lost,
  type Mark,
} from './job.ts';
import { addPart, PIECE, REQUEST, readParts } from './parts.ts';

/** Of one client, so many jobs may be undone, and so many bytes kept. */
const MOST_OPEN = 100;
const MOST_BYTES = 1024 ** 3;

/** Seconds after which an attempt that is not heard of is taken to be dead. */
const SILENCE = 20;

// Counting rides on job_agent. Two at once may both find room: the limit is no exact one.
const ADD = {
  name: 'add_job',
  text: `insert into job (id, agent, method, url, headers, size)
         select $1, $2, $3, $4, $5, $6
         where (select count(*) filter (where state <> 'd') < ${MOST_OPEN} and coalesce(sum(size), 0) < ${MOST_BYTES}
                from job where agent = $2)
         returning id`,
};
const LOOK = {
  name: 'look_at_job',
  text: `select state, attempt, extract(epoch from now() - created)::integer, answer, parts,
                (extract(epoch from expires) * 1000)::bigint
         from job where id = $1 and agent = $2 and (expires is null or expires > now())`,
};
const FORGET = {
  name: 'forget_job',
  text: 'delete from job where id = $1 and agent = $2 and (expires is null or expires > now()) returning id',
};
// The eldest of the client of whom least is under way: many jobs of one do not hold up those of others. Rides on
// job_open.
const CLAIM = {
  name: 'claim_job',
  text: `update job set state = 'r', attempt = attempt + 1, alive = now()
         where id = (
           select j.id from job j
           where j.state = 'w' or (j.state = 'r' and j.alive < now() - interval '${SILENCE} s')
           order by (select count(*) from job o where o.agent = j.agent and o.state = 'r'), j.created
           limit 1 for no key update of j skip locked)
         returning id, attempt, agent, method, url, headers, mark`,
};
const BEAT = {
  name: 'beat_jobs',
  text: `update job set alive = now()
         from unnest($1::uuid[], $2::integer[]) as mine (id, attempt)
         where job.id = mine.id and job.attempt = mine.attempt and job.state = 'r'
         returning job.id`,
};
const MARK = {
  name: 'mark_job',
  text: `update job set mark = $3 where id = $1 and attempt = $2 and state = 'r' returning id`,
};
const MARKED = { name: 'marked_job', text: 'select mark from job where id = $1 and attempt = $2' };
const FINISH = {
  name: 'finish_job',
  text: `update job set state = 'd', answer = $3, parts = $4, size = $5, expires = now() + interval '1 day'
         where id = $1 and attempt = $2 and state = 'r' returning id`,
};
const CLEAR = { name: 'clear_job', text: 'delete from job_part where job = $1 and attempt < $2' };
const DISCARD = { name: 'discard_job', text: 'delete from job_part where job = $1 and attempt = $2' };
const SWEEP = { name: 'sweep_jobs', text: 'delete from job where expires < now()' };

/**
 * Keeps a request: when this resolves, it outlasts a crash.
 *
 * @returns the id of the job
 * @throws  Refusal 429 where the client has too many
 */
export async function addJob(
  pool: pg.Pool,
  agent: number,
  { method, url, headers }: JobRequest,
  body: Buffer,
): Promise<string> {
  const id = randomUUID();
  await transaction(pool, async (executor) => {
    const values = [id, agent, method, url, JSON.stringify(headers), body.length];
    if ((await run(executor, ADD, values)).length === 0) throw tooMany();
    for (let at = 0, n = 0; at < body.length; at += PIECE, n++)
      await addPart(executor, { id, attempt: REQUEST }, n, body.subarray(at, at + PIECE));
  });
  return id;
}

function tooMany(): Refusal {
  const issue = error(
    'throttled',
    `You have ${MOST_OPEN} requests that wait to be done, or results of ${MOST_BYTES} bytes: fetch them, and DELETE their status URLs`,
  );
  return new Refusal(429, [issue], { 'Retry-After': '30' });
}

/** How far a client's own job is; undefined where there is none of that id. */
export async function lookAtJob(
  executor: Executor,
  agent: number,
  id: string,
): Promise<JobProgress | undefined> {
  const [row] = await run(executor, LOOK, [id, agent]);
  if (!row) return undefined;
  const [state, attempt, seconds, answer, parts, expires] = row;
  if (state !== 'd') return { state: state === 'w' ? 'waiting' : 'running', seconds: seconds as number };
  return {
    state: 'done',
    answer: answer as JobAnswer,
    body: readParts(executor, { id, attempt: attempt as number }, parts as number),
    expires: expires as number,
  };
}

/** Cancels a client's own job, or forgets its answer; says whether there was one. */
export async function forgetJob(executor: Executor, agent: number, id: string): Promise<boolean> {
  return (await run(executor, FORGET, [id, agent])).length > 0;
}

/** Takes a job that waits, or whose process is not heard of any more. */
export async function claimJob(executor: Executor): Promise<Claimed | undefined> {
  const [row] = await run(executor, CLAIM, []);
  if (!row) return undefined;
  const [id, attempt, agent, method, url, headers, mark] = row;
  const marks: Readonly<Record<string, Claimed['mark']>> = { d: 'done', b: 'begun' };
  return { id, attempt, agent, method, url, headers, mark: marks[mark as string] } as Claimed;
}

/** The body of a job's request. */
export function bodyOf(executor: Executor, { id }: Claim): AsyncGenerator<Buffer> {
  return readParts(executor, { id, attempt: REQUEST });
}

/** Says that jobs are still being done; answers with the ids of those that may go on. */
export async function beatJobs(executor: Executor, claims: readonly Claim[]): Promise<ReadonlySet<string>> {
  const rows = await run(executor, BEAT, [claims.map(({ id }) => id), claims.map(({ attempt }) => attempt)]);
  return new Set(rows.map(([id]) => id as string));
}

/**
 * Notes what a job writes: `done` in the transaction of its one write, so that both are committed or neither;
 * `begun` before the first of several.
 *
 * @throws Lost where the attempt may not go on: nothing may be written
 */
export async function markJob(executor: Executor, { id, attempt }: Claim, mark: Mark): Promise<void> {
  if ((await run(executor, MARK, [id, attempt, mark[0]])).length === 0) throw new Lost();
}

/** Whether anything of an attempt's writes may be committed. */
export async function hasWritten(executor: Executor, { id, attempt }: Claim): Promise<boolean> {
  const [row] = await run(executor, MARKED, [id, attempt]);
  return row?.[0] != null;
}

/** Throws away what an attempt has answered until now. */
export async function discardAnswer(executor: Executor, { id, attempt }: Claim): Promise<void> {
  await run(executor, DISCARD, [id, attempt]);
}

/**
 * Keeps the answer for a day; the request is not needed any more.
 *
 * @param kept pieces and bytes of its body
 * @throws     Lost
 */
export async function finishJob(
  pool: pg.Pool,
  { id, attempt }: Claim,
  answer: JobAnswer,
  kept: { readonly parts: number; readonly size: number },
): Promise<void> {
  await transaction(pool, async (executor) => {
    const values = [id, attempt, JSON.stringify(answer), kept.parts, kept.size];
    if ((await run(executor, FINISH, values)).length === 0) throw new Lost();
    await run(executor, CLEAR, [id, attempt]);
  });
}

/** Removes what has expired. */
export async function sweepJobs(executor: Executor): Promise<void> {
  await run(executor, SWEEP, []);
}
