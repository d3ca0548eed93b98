/** Requests that are done later, and what it means that a caller is one: its writes are noted in its job. */
import { error, Refusal } from '../fhir/outcome.ts';
import { Lost, type Mark } from '../jobs/job.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { markJob } from '../jobs/queue.ts';
import type { Executor } from '../store/pool.ts';
import { type Callers, checkEpoch } from './callers.ts';
import type { Caller, Deferred } from './records.ts';
import { forget, lookAt } from './reindex.ts';

export function openDeferred(jobs: Jobs, callers: Callers, pool: Executor): Deferred {
  /** Only who may still come in. */
  const known = <T>(caller: Caller, work: (agent: number, current: Caller) => Promise<T>): Promise<T> =>
    callers.asOf(caller, async (current) => {
      checkEpoch(current, await callers.epoch());
      return work(current.agent, current);
    });
  return {
    add: (caller, request, body) => known(caller, (agent) => jobs.add(agent, request, body)),
    look: (caller, id) =>
      known(caller, async (agent, current) => (await jobs.look(agent, id)) ?? lookAt(pool, current, id)),
    forget: (caller, id) =>
      known(caller, async (agent, current) => (await jobs.forget(agent, id)) || forget(pool, current, id)),
    callerOf: callers.ofJob,
  };
}

/**
 * Notes what a job writes (jobs/queue.ts `markJob`); of other callers nothing.
 *
 * @throws Refusal 409 where the job was cancelled, or is another process's now: nothing may be written
 */
export async function note({ job }: Caller, executor: Executor, mark: Mark): Promise<void> {
  if (!job) return;
  try {
    await markJob(executor, job, mark);
  } catch (fault) {
    if (!(fault instanceof Lost)) throw fault;
    throw new Refusal(409, [error('deleted', 'This request was cancelled')]);
  }
}
